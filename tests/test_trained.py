"""TrainedNetwork: every kind of model file, its labels, its variant and its data."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, UsageError, UserError, run_folder
from keras_alexnet.distributed.precision import precision
from keras_alexnet.distributed.precision_choice import FOR_INFERENCE
from keras_alexnet.predicting import journal
from keras_alexnet.trained import TrainedNetwork, check_finite
from support import predict_places
from support.blank_pictures import blank_pictures  # noqa: F401
from support.machines import AVX2, X86, set_machine

KINDS = ("run", "file", "exported", "lite", "onnx")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return predict_places.made(tmp_path_factory.getbasetemp() / "places")


def load(places, kind, **options):
    if getattr(places, kind) is None:
        pytest.skip("ONNX files need onnx, onnxruntime and tf2onnx")
    return ka.load(getattr(places, kind), **options)


def pixels(count):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_network(places, kind):
    network, images = load(places, kind), pixels(5)
    assert network.labels == tuple(f"class {number} ü" for number in range(7))
    assert network.labels_are_names and network.variant == "cifar_v2"
    assert network.plan == ka.variants.get("cifar_v2").image_plan_for()
    wanted = places.network.model(tf.cast(images, tf.float32), training=False).numpy()
    found = network.logits(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        network.probabilities(images), tf.nn.softmax(wanted), atol=predict_places.TOLERANCE
    )


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_form_are_refused(places, kind):
    network = load(places, kind)
    for images in (pixels(2).astype(np.float32), pixels(2)[:, 1:], pixels(2)[0]):
        with pytest.raises(UsageError, match=r"uint8 \[N, 32, 32, 3\]. Received: "):
            network.logits(images)


@pytest.mark.parametrize("kind", ["exported", "lite", "onnx"])
def test_what_needs_keras_says_so_of_exported_files(places, kind, tmp_path):
    load(places, kind)
    model = getattr(places, kind)
    with pytest.raises(UserError, match="An export needs a Keras model: a run's folder"):
        ka.export(ka.ExportConfig(model=model, out=tmp_path / "out"))
    with pytest.raises(UserError, match="A figure needs a Keras model"):
        ka.figures.neighbors(model, tmp_path / "out.png")
    assert load(places, "run").require_keras("A test").variant == "cifar_v2"


def test_a_saved_model_is_a_layer_to_build_with(places):
    layer = load(places, "exported").model
    image = keras.Input([32, 32, 3])
    model = keras.Model(image, keras.layers.Softmax()(layer(image)))
    wanted = load(places, "run").probabilities(pixels(3))
    np.testing.assert_allclose(model(pixels(3)), wanted, atol=predict_places.TOLERANCE)


def test_a_model_in_memory(places):
    model = ka.build("cifar_v2", num_classes=3, seed=0, classifier_activation="softmax")
    network = TrainedNetwork.load(model)
    assert network.labels == ("0", "1", "2") and not network.labels_are_names
    np.testing.assert_allclose(network.probabilities(pixels(2)), model(pixels(2)), rtol=1e-5)
    assert network.model.output.name != model.output.name
    named = TrainedNetwork.of_model(model, labels=["cat", "dog", "owl"])
    assert named.labels == ("cat", "dog", "owl") and named.labels_are_names


def test_config_and_results_come_with_a_run(places, tmp_path):
    assert load(places, "run").config is None and load(places, "run").results is None
    model = ka.build("cifar_v2", num_classes=2, seed=0, name="mine")
    run_folder.save(tmp_path, model, ["cat", "dog"])
    settings = {"variant": "cifar_v2", "seed": 0, "validation_images": 10}
    config = {"config": settings, "recipe": {"validation_fraction": 0.1}, "commit": "0"}
    (tmp_path / "config.json").write_text(json.dumps({**config, "data": {"sha256": "abc"}}))
    (tmp_path / "results.json").write_text('{"test_top1": 0.5}')
    network = ka.load(tmp_path)
    assert network.variant == "cifar_v2" and network.results == {"test_top1": 0.5}
    assert network.sha256 == ka.load(tmp_path / "model.keras").sha256
    data = ka.load_dataset("shapes")
    assert network.split(data, "test") is data.test
    with pytest.raises(UsageError, match="split=train is a part of the data that the run"):
        network.split(data, "train")
    with pytest.raises(UserError, match="has 2 classes, but shapes has 10"):
        network.check_data(data)


def test_the_data_of_a_run_are_loaded_and_divided_as_it_did(tmp_path):
    data = ka.load_dataset("shapes")
    run_folder.save(tmp_path, ka.build("cifar_v2"), data.class_names)
    settings = {"variant": "cifar_v2", "seed": 3, "validation_images": 10, "dataset": "shapes"}
    described = {"config": settings, "recipe": {"validation_fraction": 0.1}, "commit": "0"}
    described["data"] = {"sha256": data.sha256}
    (tmp_path / "config.json").write_text(json.dumps(described))
    network = ka.load(tmp_path)
    again = network.load_data(DataSpec())
    network.check_data(again)
    assert again.sha256 == data.sha256
    train, validation = ka.split_validation(data.train, 10, seed=3)
    np.testing.assert_array_equal(network.split(again, "validation").rows, validation.rows)
    np.testing.assert_array_equal(network.split(again, "train").rows, train.rows)


def test_the_variant_is_what_the_files_say_or_else_what_is_requested(places, tmp_path):
    for kind in KINDS:
        assert load(places, kind, variant="cifar_v2").variant == "cifar_v2"
        with pytest.raises(UsageError, match="is a cifar_v2, and --variant .* Leave it out"):
            load(places, kind, variant="cifar_v1")
    ka.build("cifar_v2", num_classes=3, name="mine").save(tmp_path / "mine.keras")
    with pytest.raises(UsageError, match="named 'mine'.* with --variant"):
        ka.load(tmp_path / "mine.keras")
    assert ka.load(tmp_path / "mine.keras", variant="cifar_v2").plan.input_size == 32


def test_labels_in_place_of_the_networks_own(places, tmp_path):
    names = [f"name {number}" for number in range(7)]
    run_folder.write_labels(tmp_path / "names.txt", names)
    for kind in KINDS:
        for labels in (names, tmp_path / "names.txt", str(tmp_path / "names.txt")):
            assert load(places, kind, labels=labels).labels == tuple(names)
        with pytest.raises(UserError, match="must name the 7 classes of .*Received: 2 names"):
            load(places, kind, labels=["cat", "dog"])


def test_models_that_are_refused(tmp_path):
    keras.Sequential([keras.Input([32, 32, 3]), keras.layers.Flatten()]).save(
        tmp_path / "other.keras"
    )
    with pytest.raises(UserError, match="no layer named .*logits"):
        ka.load(tmp_path / "other.keras")
    run_folder.save(tmp_path, ka.build("cifar_v2", num_classes=3), ["cat", "dog"])
    with pytest.raises(UserError, match="must name the 3 classes of .*Received: 2 names"):
        ka.load(tmp_path)
    ka.build("cifar_v3", num_classes=3, input_shape=(32, 48, 3)).save(tmp_path / "wide.keras")
    with pytest.raises(UsageError, match="wide.keras takes images of 32 x 48"):
        ka.load(tmp_path / "wide.keras")
    predict_places.save_foreign(tmp_path / "1", "x", tf.TensorSpec([None], tf.float32), ["y"])
    with pytest.raises(UserError, match="cannot be read as a SavedModel of this package"):
        ka.load(tmp_path / "1")


def test_numbers_that_are_not_finite():
    check_finite(np.zeros(3))
    with pytest.raises(UserError, match="outputs are not finite.* its weights are too large"):
        check_finite(np.array([0, np.nan]))


# Precision ----------------------------------------------------------------------------------------
def test_auto_is_the_fastest_of_the_machine(places, monkeypatch, tmp_path):
    network, images = load(places, "run"), pixels(3)
    set_machine(monkeypatch, tmp_path, X86)
    found = network.in_precision("mixed_bfloat16")
    again = load(places, "run").in_precision()
    assert str(again.precision) == ("auto (mixed_bfloat16: this processor has bf16 instructions)")
    np.testing.assert_array_equal(found.logits(images), again.logits(images))
    assert network.in_precision("mixed_bfloat16") is found  # not compiled again
    difference = np.abs(found.logits(images) - network.logits(images)).max()
    assert 0 < difference < 0.05 * np.abs(network.logits(images)).max()
    with pytest.raises(UserError, match="were rounded for mixed_bfloat16. Save the network that"):
        ka.save(found, tmp_path / "saved")
    exact = network.in_precision("float32")
    assert exact.in_precision() is exact and found.in_precision() is found
    assert exact.predict(images) == network.predict(images, precision="float32")
    assert network.precision.name == "float32" and found.logits(images).dtype == np.float32


def test_models_of_ones_own_keep_their_policy(monkeypatch, tmp_path):
    set_machine(monkeypatch, tmp_path, AVX2)
    with precision("mixed_bfloat16"):
        own = TrainedNetwork.of_model(ka.build("cifar_v2", seed=0))
    assert own.in_precision().precision == ("mixed_bfloat16", "of the model")
    assert own.in_precision().model is own.model
    exact = TrainedNetwork.of_model(ka.build("cifar_v2", seed=0))
    np.testing.assert_array_equal(
        own.in_precision("float32").logits(pixels(2)), exact.logits(pixels(2))
    )


@pytest.mark.parametrize("kind", ["exported", "lite"])
def test_exported_files_compute_as_they_were_exported(places, kind):
    network = load(places, kind)
    assert network.in_precision().precision.name == "of the file"
    message = "precision is for Keras models, but .* computes as it was exported"
    with pytest.raises(UsageError, match=message):
        network.in_precision("float32")
    with pytest.raises(UsageError, match=message):
        ka.predict(getattr(places, kind), pixels(1), precision="mixed_bfloat16")


def test_what_computes_with_a_network_takes_a_precision(places, monkeypatch, tmp_path):
    set_machine(monkeypatch, tmp_path, X86)
    model, images = load(places, "run").model, pixels(2)
    scores = [
        [each.scores for each in ka.predict(model, images, precision=precision)]
        for precision in ("auto", "mixed_bfloat16", "float32")
    ]
    assert scores[0] == scores[1] != scores[2]
    options = {"layers": ["conv2"], "out": tmp_path / "features"}
    [found] = ka.features(places.run, images, **options).values()
    described = json.loads((tmp_path / "features" / "features.json").read_text())
    assert (described["precision"], found.dtype) == ("mixed_bfloat16", np.float32)
    assert described["precision_why"] == "auto: this processor has bf16 instructions"
    drawn = ka.figures.activations(model, images[0], "conv2", tmp_path / "conv2.png")
    np.testing.assert_array_equal(drawn, found[0])
    assert np.array_equal(found, found.astype("bfloat16").astype(np.float32))
    [exact] = ka.features(places.run, images, ["conv2"], precision="float32").values()
    assert not np.array_equal(found, exact)
    made = {journal.made_from(places.run, precision=each)["precision"] for each in FOR_INFERENCE}
    assert made == {"mixed_bfloat16", "mixed_float16", "float32"}
