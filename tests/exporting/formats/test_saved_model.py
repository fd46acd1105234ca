"""What a SavedModel holds, and what its signatures answer when TensorFlow's Python loads it."""

import json
import re
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from keras_alexnet import UserError, run_folder
from keras_alexnet.exporting.formats import ExportJob, saved_model
from keras_alexnet.networks import variants
from keras_alexnet.trained import TrainedNetwork
from support.exports import (
    EVERY_KIND_OF_LAYER,
    LABELS,
    SIGNATURES,
    VARIANTS,
    keras_logits,
    meta_graph,
    nodes_of,
    noise,
    trained,
)

FORMAT = saved_model.SavedModelFormat()


@pytest.fixture(scope="module")
def loaded(export):
    return tf.saved_model.load(str(export[1]))


@pytest.fixture(scope="module")
def pixels(export):
    return tf.constant(noise(3, export[0]).astype(export[2]))


def encoded(images):
    return tf.constant([tf.io.encode_png(image).numpy() for image in images])


@pytest.mark.parametrize("export", ["uint8"], indirect=True)
def test_weights_and_arithmetic_in_bfloat16(export, tmp_path):
    """All outputs are float32, of about the same numbers, and the file is smaller."""
    network, folder, dtype = export
    job = ExportJob(network, SimpleNamespace(input_dtype=dtype, precision="bfloat16"), tmp_path, 1)
    [output] = FORMAT.outputs(job.config)
    assert (output.name, output.exact) == ("saved_model bfloat16", False)
    written = FORMAT.write(output, job)
    assert written.facts()["precision"] == "bfloat16"
    assert "weights in bfloat16" in FORMAT.notes(written.facts())[0]
    assert written.facts()["bytes"] < sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file()
    )
    images = noise(3, network).astype(dtype)
    found, wanted = written.logits(images), keras_logits(network, images)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    read = TrainedNetwork.load(tmp_path / "1")
    np.testing.assert_allclose(read.logits(images.astype(np.uint8)), found, rtol=1e-5, atol=1e-4)
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    for name in SIGNATURES:
        for each in signatures[name].structured_outputs.values():
            assert each.dtype in (tf.float32, tf.string), name
    nodes = nodes_of(meta_graph(tmp_path / "1"), "serving_default")
    kinds = {(node.op, node.attr["T"].type) for node in nodes if node.op in ("Conv2D", "Softmax")}
    assert kinds == {("Conv2D", types_pb2.DT_BFLOAT16), ("Softmax", types_pb2.DT_FLOAT)}


# The folder ---------------------------------------------------------------------------------------
def described(infos):
    return {
        name: (types_pb2.DataType.Name(info.dtype), [size.size for size in info.tensor_shape.dim])
        for name, info in infos.items()
    }


def test_signatures_have_plain_names_and_free_batches(export):
    network, folder, dtype = export
    signatures = dict(meta_graph(folder).signature_def)
    signatures.pop("__saved_model_init_op")
    image = {"image": ({"uint8": "DT_UINT8", "float32": "DT_FLOAT"}[dtype], [-1, 32, 32, 3])}
    classified = {
        "logits": ("DT_FLOAT", [-1, 10]),
        "probabilities": ("DT_FLOAT", [-1, 10]),
        "classes": ("DT_STRING", [-1, 5]),
        "scores": ("DT_FLOAT", [-1, 5]),
    }
    assert {
        name: (described(s.inputs), described(s.outputs)) for name, s in signatures.items()
    } == {
        "serving_default": (image, classified),
        "image_bytes": ({"image_bytes": ("DT_STRING", [-1])}, classified),
        "features": (image, {"features": ("DT_FLOAT", [-1, 16])}),
    }
    assert {s.method_name for s in signatures.values()} == {"tensorflow/serving/predict"}


def test_signature_json_says_what_the_graph_takes_and_returns(export):
    network, folder, _ = export
    said = json.loads((folder / "assets.extra" / "signature.json").read_text(encoding="utf-8"))
    signatures = meta_graph(folder).signature_def
    assert set(said["signatures"]) == set(SIGNATURES)
    for name, parts in said["signatures"].items():
        for part in ("inputs", "outputs"):
            held = described(getattr(signatures[name], part))
            for tensor, one in parts[part].items():
                kind = types_pb2.DataType.Name(tf.as_dtype(one["dtype"]).as_datatype_enum)
                sizes = [-1 if size is None else size for size in one["shape"]]
                assert held.pop(tensor) == (kind, sizes) and one["meaning"]
            assert not held
    assert {key: said[key] for key in network.description()} == network.description()
    assert said["variant"] == "cifar_v1" and said["labels"] == LABELS and said["labels_are_names"]
    plan = {"square_size": 32, "crop_size": 32, "crop_padding": 4, "input_size": 32}
    plan |= {"warp": False, "resize": "area"}
    assert said["image_plan"] == plan


def test_labels_are_an_asset_of_the_graph(export):
    _, folder, _ = export
    assert (folder / "assets" / "labels.txt").read_text(encoding="utf-8").splitlines() == LABELS
    assert {asset.filename for asset in meta_graph(folder).asset_file_def} == {"labels.txt"}


def test_folder_can_be_moved(export, tmp_path, pixels, loaded):
    moved = shutil.copytree(export[1], tmp_path / "elsewhere")
    here, there = (
        each.signatures["serving_default"](image=pixels)
        for each in (loaded, tf.saved_model.load(str(moved)))
    )
    assert np.array_equal(here["logits"], there["logits"])
    assert np.array_equal(here["classes"], there["classes"])


LOCALLY_CONNECTED = ("cuda_convnet_11pct", "cuda_convnet_13pct")


def layer_kinds(names):
    specs = map(variants.get, names)
    return {type(layer) for spec in specs for layer in (*spec.features, *spec.head)}


def test_the_networks_that_are_tried_have_every_kind_of_layer():
    assert layer_kinds(EVERY_KIND_OF_LAYER) == layer_kinds(variants.list_variants())


@pytest.mark.parametrize("name", VARIANTS)
def test_graph_is_for_inference_needs_no_xla_and_stores_each_variable_once(name, tmp_path):
    # The gradients of locally connected layers are in the file as well, place by place.
    small = {"input_shape": (8, 8, 3)} if name in LOCALLY_CONNECTED else {}
    network = trained(tmp_path / "run", name, **small)
    saved_model.write(network, tmp_path / "1")
    stored = tf.train.list_variables(str(tmp_path / "1" / "variables" / "variables"))
    kept = sorted(tuple(shape) for key, shape in stored if key != "_CHECKPOINTABLE_OBJECT_GRAPH")
    assert kept == sorted(tuple(weight.shape) for weight in network.model.trainable_weights)

    graph = meta_graph(tmp_path / "1")
    functions = graph.graph_def.library.function
    everything = [*functions, *graph.graph_def.node, *(n for f in functions for n in f.node_def)]
    assert not {key for each in everything for key in each.attr if re.search("xla|jit", key, re.I)}
    # `features` ends before the classifier, which in some networks is the only dense layer.
    dense = [layer for layer in network.model.layers if isinstance(layer, keras.layers.Dense)]
    for signature in SIGNATURES:
        nodes = nodes_of(graph, signature)
        products = {"MatMul"} if signature != "features" or len(dense) > 1 else set()
        assert {"Conv2D"} | products <= {node.op for node in nodes}
        training = "Random|Dropout|Grad|Apply|Assign|Multinomial|Shuffle|PyFunc"
        assert not {node.op for node in nodes if re.search(training, node.op)}
        assert not {node.device for node in nodes}.difference([""])


# What it answers ----------------------------------------------------------------------------------
def test_same_logits_as_keras(export, loaded, pixels):
    network, _, dtype = export
    wanted = keras_logits(network, pixels)
    outputs = loaded.signatures["serving_default"](image=pixels)
    np.testing.assert_allclose(outputs["logits"], wanted, atol=1e-5 * np.abs(wanted).max())
    exponentials = np.exp(wanted - wanted.max(1, keepdims=True))
    softmax = exponentials / exponentials.sum(1, keepdims=True)
    np.testing.assert_allclose(outputs["probabilities"], softmax, atol=1e-5)


def test_classes_are_the_five_likeliest_labels(loaded, pixels):
    outputs = loaded.signatures["serving_default"](image=pixels)
    order = np.argsort(-outputs["probabilities"].numpy(), axis=1, kind="stable")[:, :5]
    labels = [[label.decode() for label in row] for row in outputs["classes"].numpy()]
    assert labels == [[LABELS[number] for number in row] for row in order]
    scores = np.take_along_axis(outputs["probabilities"].numpy(), order, axis=1)
    assert np.array_equal(outputs["scores"], scores)
    assert np.all(np.diff(outputs["scores"]) <= 0)


def test_features_feed_the_classifier(export, loaded, pixels):
    network, _, _ = export
    features = loaded.signatures["features"](image=pixels)["features"].numpy()
    kernel, bias = network.model.get_layer("logits").get_weights()
    wanted = keras_logits(network, pixels)
    np.testing.assert_allclose(features @ kernel + bias, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("count", [1, 7])
def test_batch_size_is_free(export, loaded, count):
    images = noise(count, export[0])
    from_pixels = loaded.signatures["serving_default"](image=tf.constant(images.astype(export[2])))
    from_bytes = loaded.signatures["image_bytes"](image_bytes=encoded(images))
    for name, value in from_pixels.items():
        assert value.shape[0] == count and np.array_equal(value, from_bytes[name])


def test_fractions_of_a_gray_level_count(export, loaded, pixels):
    network, _, dtype = export
    if dtype == "uint8":
        with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be a uint8 tensor"):
            loaded.signatures["serving_default"](image=tf.cast(pixels, tf.float32))
        return
    between = pixels + 0.4
    wanted = keras_logits(network, between)
    assert not np.allclose(wanted, keras_logits(network, pixels), atol=1e-4)
    outputs = loaded.signatures["serving_default"](image=between)
    np.testing.assert_allclose(outputs["logits"], wanted, atol=1e-5 * np.abs(wanted).max())


def test_function_for_keras_takes_either_number_type(export, loaded, pixels):
    wanted = keras_logits(export[0], pixels)
    layer = keras.layers.TFSMLayer(str(export[1]), call_endpoint="logits")
    for image in (tf.cast(pixels, tf.uint8), tf.cast(pixels, tf.float32)):
        for found in (loaded.logits(image), layer(image)):
            np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_softmax_at_the_end_exports_the_same(tmp_path):
    network = trained(tmp_path / "run", "cifar_v2", num_classes=1, classifier_activation="softmax")
    assert keras.saving.load_model(network.path).layers[-1].name == "predictions"
    saved_model.write(network, tmp_path / "1")
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    images = noise(3, network)
    outputs = serve(image=tf.constant(images))
    plain = trained(tmp_path / "plain", "cifar_v2", num_classes=1)
    np.testing.assert_allclose(outputs["logits"], keras_logits(plain, images), rtol=1e-5)
    # Of a network of one class, the five likeliest are one.
    assert outputs["classes"].shape == [3, 1] and np.all(outputs["scores"] == 1)


def test_bare_file_has_numbers_for_labels_and_says_so(tmp_path, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        network = trained(tmp_path / "run", "cifar_v2", labels=(), num_classes=4)
    [warning] = [record.getMessage() for record in caplog.records if record.name == "absl"]
    assert run_folder.LABELS in warning and "class numbers" in warning
    saved_model.write(network, tmp_path / "1")
    said = json.loads((tmp_path / "1" / "assets.extra" / "signature.json").read_text())
    assert said["labels"] == ["0", "1", "2", "3"] and not said["labels_are_names"]
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    outputs = serve(image=tf.constant(noise(3, network)))
    order = np.argsort(-outputs["logits"].numpy(), axis=1, kind="stable")
    assert [[int(label) for label in row] for row in outputs["classes"].numpy()] == order.tolist()


def test_an_empty_label_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"labels has an empty line for class 1"):
        trained(tmp_path / "run", "cifar_v1", ["cat", "", "owl"], num_classes=3)


# Bad input ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("signature", ["serving_default", "features"])
@pytest.mark.parametrize("shape", [(2, 31, 32, 3), (2, 32, 33, 3), (2, 32, 32, 1), (32, 32, 3)])
def test_wrong_image_size_is_a_clear_error(loaded, export, shape, signature):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        loaded.signatures[signature](image=tf.zeros(shape, export[2]))
    received = ",".join(str(size) for size in shape)
    assert f"[{received}]" in str(caught.value) and "expected shape [?,32,32,3]" in str(
        caught.value
    )


def corrupt():
    """Name → (contents, a part of the error)."""
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    png, jpeg = tf.io.encode_png(image).numpy(), tf.io.encode_jpeg(image).numpy()
    neither = "neither JPEG nor PNG"
    return {
        "empty": (b"", neither),
        "text": (b"<html>no image</html>", f"{neither}. Its first bytes:] [<html>no]"),
        "bmp": (b"BM" + bytes(60), f"{neither}. Its first bytes:] [BM"),
        "gif": (b"GIF89a" + bytes(30), f"{neither}. Its first bytes:] [GIF89a"),
        "png cut off": (png[: len(png) // 2], "Invalid PNG"),
        "png without an image": (png[:8], "Invalid PNG"),
        "jpeg cut off": (jpeg[: len(jpeg) // 2], "Invalid JPEG"),
        "jpeg without an image": (jpeg[:4], "Invalid JPEG"),
    }


@pytest.mark.parametrize("kind", corrupt())
def test_corrupt_image_is_a_clear_error_and_the_next_request_runs(loaded, export, kind):
    contents, message = corrupt()[kind]
    good = encoded(noise(2, export[0]))
    wanted = loaded.signatures["image_bytes"](image_bytes=good)
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(message)):
        loaded.signatures["image_bytes"](image_bytes=tf.concat([good, [contents]], 0))
    again = loaded.signatures["image_bytes"](image_bytes=good)
    assert np.array_equal(again["logits"], wanted["logits"])


def test_empty_batch_is_refused_in_words(export, loaded, pixels):
    calls = {
        "serving_default": {"image": pixels[:0]},
        "features": {"image": pixels[:0]},
        "image_bytes": {"image_bytes": tf.constant([], tf.string)},
    }
    for name, inputs in calls.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match="batch is empty"):
            loaded.signatures[name](**inputs)
