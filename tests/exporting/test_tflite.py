"""TFLite files: what they compute, of which operators they are made, and what they say."""

import importlib
import io
import json
import tempfile
import zipfile

import flatbuffers
import flatbuffers.table
import keras
import numpy as np
import pytest
import tensorflow as tf
from flatbuffers import number_types
from tensorflow.lite.python import schema_py_generated as schema

from keras_alexnet import UsageError, UserError, list_variants
from keras_alexnet.exporting import tflite, tflite_file
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.runtimes.litert import LiteModel
from support.exports import noise, trained, transparent

# Largest difference of a logit from Keras's, over the largest logit, of the shrunk networks.
TOLERANCE = {"float32": 1e-4, "float16": 4e-3, "dynamic": 0.1, "int8": 0.2}
WITH_LRN = [name for name in list_variants() if "LocalResponseNorm" in str(variants.get(name))]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(
        tmp_path_factory.mktemp("run"), "cifar_v2", ["cat", "dog", "owl", "élan"], num_classes=4
    )


def trained_small(tmp_path_factory, name, **options):
    return trained(tmp_path_factory.mktemp(name), name, num_classes=20, **options)


def keras_logits(network, images):
    return network.model(images.astype("float32"), training=False).numpy()


def difference(network, contents, images) -> float:
    wanted = keras_logits(network, images)
    return np.abs(LiteModel(contents).run(images)["logits"] - wanted).max() / np.abs(wanted).max()


def tensors(contents):
    """The input and the outputs: name in the signature → tensor."""
    model = schema.ModelT.InitFromPackedBuf(contents)
    signature = model.signatureDefs[0]
    return {
        entry.name.decode(): model.subgraphs[0].tensors[entry.tensorIndex]
        for entry in (*signature.inputs, *signature.outputs)
    }


def operator_names(contents) -> list[str]:
    return [name for name, _, _ in tflite_file._operators(contents)]


# Between them they have all kinds of layers; the slow test has all variants.
@pytest.mark.parametrize(
    "name", ["cifar_v1", "cifar_v2", "cifar_v3", "alexnet_two_tower", "alexnet_owt"]
)
def test_computes_what_keras_computes(name, tmp_path_factory):
    network = trained_small(tmp_path_factory, name)
    images = noise(4, network)
    # float16 and dynamic take the same way as float32: the slow test tries them on all.
    for quantization in tflite.QUANTIZATIONS if name == "cifar_v2" else ("float32", "int8"):
        contents = tflite.convert(network, quantization, calibration=images)
        assert difference(network, contents, images) < TOLERANCE[quantization], quantization


@pytest.mark.slow
@pytest.mark.parametrize("name", list_variants())
def test_every_variant_in_full(name, tmp_path_factory):
    network = trained_small(tmp_path_factory, name, full_size=True)
    images, sizes = noise(4, network), {}
    for quantization in tflite.QUANTIZATIONS:
        contents = tflite.convert(network, quantization, calibration=images)
        assert difference(network, contents, images) < TOLERANCE[quantization], quantization
        sizes[quantization] = len(contents)
    besides_weights = 16_000  # bytes: operators, labels, metadata, which count in small networks
    assert sizes["float16"] < 0.51 * sizes["float32"] + besides_weights
    assert sizes["int8"] < 0.26 * sizes["float32"] + besides_weights


@pytest.mark.parametrize("quantization", tflite.QUANTIZATIONS)
def test_pixels_go_in_as_they_are_and_floats_come_out(network, quantization):
    images = noise(8, network)
    contents = {
        dtype: tflite.convert(network, quantization, input_dtype=dtype, calibration=images)
        for dtype in ("uint8", "float32")
    }
    for dtype, file in contents.items():
        found = tensors(file)
        assert set(found) == {"image", "logits", "probabilities"}
        assert found["image"].type == getattr(schema.TensorType, dtype.upper())
        assert list(found["image"].shapeSignature) == [-1, 32, 32, 3]
        assert found["logits"].type == found["probabilities"].type == schema.TensorType.FLOAT32
    logits = [LiteModel(file).run(images)["logits"] for file in contents.values()]
    np.testing.assert_allclose(*logits, atol=1e-5)


def test_int8_pixel_is_its_own_quantized_value_whatever_it_is_calibrated_on(network):
    gray = np.full([3, *network.input_shape], 100, np.uint8)
    contents = tflite.convert(network, "int8", calibration=gray)
    image = tensors(contents)["image"]
    assert image.quantization.scale == [1.0] and image.quantization.zeroPoint == [0]
    assert np.all(gray == 100)  # the caller's images are not painted on
    rounded = tflite.convert(network, "int8", input_dtype="float32", calibration=gray)
    whole = noise(2, network).astype("float32")
    found = LiteModel(rounded).run(np.concatenate([whole, np.clip(whole + 0.25, 0, 255)]))
    np.testing.assert_array_equal(found["logits"][:2], found["logits"][2:])


def test_int8_keeps_the_order_of_unlikely_classes(network):
    images = noise(32, network)
    found = LiteModel(tflite.convert(network, "int8", calibration=images)).run(images)
    softmax = tf.nn.softmax(found["logits"]).numpy()
    np.testing.assert_allclose(found["probabilities"], softmax, rtol=1e-4)
    # A quantized layer has one of 256 values: finer ones are a float's.
    steps = np.diff(np.unique(found["logits"]))
    assert steps.min() < (found["logits"].max() - found["logits"].min()) / 1000


def test_int8_computes_in_float_what_has_no_int8_kernel(network, tmp_path_factory):
    images = noise(4, network)
    plain = tflite.convert(network, "int8", calibration=images)
    assert tflite.float_operators(plain) == ("SOFTMAX",)
    assert {"CONV_2D", "FULLY_CONNECTED"} <= set(operator_names(plain))
    assert {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"} <= set(
        tflite.float_operators(tflite.convert(network, "float32"))
    )
    normalized = trained_small(tmp_path_factory, WITH_LRN[0])
    contents = tflite.convert(normalized, "int8", calibration=noise(2, normalized))
    assert tflite.float_operators(contents) == ("LOCAL_RESPONSE_NORMALIZATION", "SOFTMAX")


def test_int8_computes_same_map_normalization_in_float(tmp_path_factory):
    network = trained_small(tmp_path_factory, "cuda_convnet_18pct")
    images = noise(16, network)
    contents = tflite.convert(network, "int8", calibration=images)
    assert {"SQUARE", "POW"} <= set(tflite.float_operators(contents))
    assert "CONV_2D" not in tflite.float_operators(contents)
    # The powers in 255 steps would make it 0.1 and more.
    assert difference(network, contents, images) < 0.05


def test_last_layer_of_zeros_has_a_scale(tmp_path_factory):
    network = trained_small(tmp_path_factory, "cifar_v2")
    network.model.get_layer("logits").kernel.assign(np.zeros([16, 20]))
    images = noise(2, network)
    contents = tflite.convert(network, "int8", calibration=images)
    found = LiteModel(contents).run(images)["logits"]
    np.testing.assert_allclose(found, keras_logits(network, images), atol=1e-5)


def test_last_layer_has_the_weights_to_half_a_step(network):
    contents = tflite.convert(network, "int8", calibration=noise(2, network))
    model = schema.ModelT.InitFromPackedBuf(contents)
    [last] = [
        each
        for each in model.subgraphs[0].operators
        if each.builtinOptions is not None
        and getattr(each.builtinOptions, "asymmetricQuantizeInputs", False)
    ]
    weights = model.subgraphs[0].tensors[last.inputs[1]]
    kernel = network.model.get_layer("logits").kernel.numpy().T
    [scale] = weights.quantization.scale
    assert scale == pytest.approx(np.abs(kernel).max() / 127)
    found = model.buffers[weights.buffer].data.view(np.int8).reshape(kernel.shape) * scale
    assert np.abs(found - kernel).max() <= 0.501 * scale


def test_network_that_does_not_end_in_a_dense_layer(tmp_path):
    network = transparent(ImagePlan(8, 8, 0, 8))
    images = noise(2, network)
    contents = tflite.convert(network, "int8", calibration=images)
    assert difference(network, contents, images) < 0.01


def test_int8_names_the_oldest_runtime_that_runs_it(network):
    contents = tflite.convert(network, "int8", calibration=noise(2, network))
    model = schema.ModelT.InitFromPackedBuf(contents)
    [entry] = [entry for entry in model.metadata if entry.name == b"min_runtime_version"]
    assert bytes(model.buffers[entry.buffer].data).rstrip(b"\0") == b"2.3.0"
    tflite._require_runtime(model, "2.2.9")  # never an older one
    assert bytes(model.buffers[entry.buffer].data).rstrip(b"\0") == b"2.3.0"


def test_weights_start_where_the_schema_wants_them(network):
    contents = tflite.convert(network, "int8", calibration=noise(2, network))
    model = schema.Model.GetRootAs(contents)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    starts = [each._tab.Vector(each._tab.Offset(4)) for each in buffers if each.DataLength()]
    assert len(starts) > 10 and not any(start % 16 for start in starts)


def test_the_same_network_gives_the_same_file(network):
    images = noise(4, network)
    assert tflite.convert(network, "int8", calibration=images) == tflite.convert(
        network, "int8", calibration=images
    )


def test_conversion_is_quiet_and_leaves_no_files(network, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tflite.convert(network, "int8", calibration=noise(2, network))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


class Patches(keras.layers.Layer):
    def call(self, image):
        return tf.image.extract_patches(
            image, [1, 3, 3, 1], [1, 3, 3, 1], [1, 1, 1, 1], padding="VALID"
        )


@pytest.fixture
def with_patches(network):
    image = keras.Input([32, 32, 3], name="image")
    outputs = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(Patches()(image)))
    object.__setattr__(other := _copy(network), "model", keras.Model(image, outputs))
    return other


def _copy(network):
    fields = {name: getattr(network, name) for name in network.__dataclass_fields__}
    return type(network)(**fields)


def test_operators_that_are_not_builtin_are_an_error(with_patches, capfd):
    with pytest.raises(UserError, match="builtin operators from cifar_v2: ") as caught:
        tflite.convert(with_patches, "float32")
    assert "ExtractImagePatches" in str(caught.value) + capfd.readouterr().err


def test_finished_file_is_searched_for_other_operators(with_patches, network, monkeypatch):
    converter = tflite._converter(with_patches, "uint8")
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    contents = converter.convert()
    monkeypatch.setattr(tflite, "_converted", lambda *arguments: contents)
    with pytest.raises(UserError, match="Received: FlexExtractImagePatches. Replace"):
        tflite.convert(network, "float32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantization": "int4"}, r"Unknown quantization 'int4'.*Known: float32, float16"),
        ({"quantization": "float32", "input_dtype": "int8"}, "Unknown input_dtype 'int8'.*uint8"),
        ({"quantization": "int8"}, "--dataset and --data_dir"),
        ({"quantization": "int8", "calibration": np.zeros([0, 32, 32, 3], "uint8")}, "are none"),
        (
            {"quantization": "int8", "calibration": np.zeros([2, 28, 28, 3], "uint8")},
            r"must be uint8 \[n, 32, 32, 3\]. Received: uint8 \[2, 28, 28, 3\]",
        ),
        (
            {"quantization": "int8", "calibration": np.zeros([2, 32, 32, 3], "float32")},
            r"Received: float32 \[2, 32, 32, 3\]",
        ),
    ],
)
def test_wrong_arguments(network, arguments, message):
    with pytest.raises(UsageError, match=message):
        tflite.convert(network, **arguments)


def metadata_of(contents) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(contents)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


class Table:
    """A table of any flatbuffer, its fields by their numbers in the schema."""

    def __init__(self, data: bytes, place: int | None = None):
        if place is None:
            place = flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
        self._table = flatbuffers.table.Table(data, place)

    def _place(self, number):
        return self._table.Offset(4 + 2 * number) + self._table.Pos

    def text(self, number):
        return self._table.String(self._place(number)).decode()

    def number(self, number, flags=number_types.Uint8Flags):
        return self._table.Get(flags, self._place(number))

    def child(self, number):
        return Table(self._table.Bytes, self._table.Indirect(self._place(number)))

    def children(self, number):
        start, length = self._vector(number)
        places = [self._table.Indirect(start + 4 * index) for index in range(length)]
        return [Table(self._table.Bytes, place) for place in places]

    def floats(self, number):
        start, length = self._vector(number)
        return list(np.frombuffer(self._table.Bytes, "<f4", length, start))

    def _vector(self, number):
        offset = self._table.Offset(4 + 2 * number)
        return self._table.Vector(offset), self._table.VectorLen(offset)


def test_standard_metadata(network):
    contents = tflite.convert(network, "int8", calibration=noise(2, network))
    data = metadata_of(contents)
    assert data[4:8] == b"M001"
    model = Table(data)
    assert model.text(0) == "cifar_v2" and "4 classes, computed in int8" in model.text(1)
    assert "Apache-2.0" in model.text(5)
    [described] = model.children(6)
    assert described.text(0) == "signature.json"
    [graph] = model.children(3)
    [image] = graph.children(2)
    assert image.text(0) == "image" and "uint8 [N, 32, 32, 3]" in image.text(1)
    content = image.child(3)
    properties = content.child(1)
    assert content.number(0) == 2 and properties.number(0) == 1  # an image, RGB
    size = properties.child(1)
    assert [size.number(each, number_types.Uint32Flags) for each in (0, 1)] == [32, 32]
    [unit] = image.children(4)
    assert unit.number(0) == 1  # normalization
    assert unit.child(1).floats(0) == [0] and unit.child(1).floats(1) == [1]
    assert image.child(5).floats(0) == [255] and image.child(5).floats(1) == [0]
    outputs = graph.children(3)
    names = {tensor.name: name for name, tensor in tensors(contents).items()}
    graph_outputs = schema.ModelT.InitFromPackedBuf(contents).subgraphs[0]
    assert [each.text(0) for each in outputs] == [
        names[graph_outputs.tensors[index].name] for index in graph_outputs.outputs
    ]
    for output in outputs:
        [labels] = output.children(6)
        assert labels.text(0) == "labels.txt" and labels.number(2) == 2


def test_associated_files(network):
    contents = tflite.convert(network, "float32")
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        assert archive.testzip() is None
        files = {info.filename: info.compress_type for info in archive.infolist()}
        assert files == {"labels.txt": zipfile.ZIP_STORED, "signature.json": zipfile.ZIP_STORED}
        assert archive.read("labels.txt").decode() == "cat\ndog\nowl\nélan\n"
        assert json.loads(archive.read("signature.json")) == network.description()


def test_mediapipe_displays_the_metadata(network):
    metadata = pytest.importorskip(
        "mediapipe.tasks.python.metadata.metadata",
        reason="no mediapipe with its metadata library (0.10 has it)",
        exc_type=ImportError,
    )
    contents = tflite.convert(network, "int8", calibration=noise(2, network))
    shown = metadata.MetadataDisplayer.with_model_buffer(contents)
    values = json.loads(shown.get_metadata_json())
    [graph] = values["subgraph_metadata"]
    [image] = graph["input_tensor_metadata"]
    assert image["content"]["content_properties"]["color_space"] == "RGB"
    assert image["process_units"][0]["options"] == {"mean": [0.0], "std": [1.0]}
    assert graph["output_tensor_metadata"][0]["associated_files"][0]["name"] == "labels.txt"
    assert shown.get_packed_associated_file_list() == ["labels.txt", "signature.json"]
    assert shown.get_associated_file_buffer("labels.txt").decode() == "cat\ndog\nowl\nélan\n"


def test_mediapipe_classifies(network):
    mediapipe = pytest.importorskip("mediapipe", exc_type=ImportError)
    from mediapipe.tasks import python as tasks

    images = noise(2, network)
    contents = tflite.convert(network, "int8", calibration=images)
    options = tasks.vision.ImageClassifierOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=contents)
    )
    with tasks.vision.ImageClassifier.create_from_options(options) as classifier:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=images[0])
        heads = {head.head_name: head for head in classifier.classify(image).classifications}
    wanted = LiteModel(contents).run(images[:1])["probabilities"][0]
    found = {each.category_name: each.score for each in heads["probabilities"].categories}
    assert found == pytest.approx(dict(zip(network.labels, wanted, strict=True)), abs=1e-5)


@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_converter_that_cannot_write_its_temporary_files_is_found_out(
    network, quantization, monkeypatch
):
    def full(*arguments, **options):
        raise OSError("No space left on device")

    # The converter then goes on without the signature.
    monkeypatch.setattr(importlib.import_module("tensorflow.python.saved_model.save"), "save", full)
    with pytest.raises(UserError, match="temporary folder. Is .* full"):
        tflite.convert(network, quantization, calibration=noise(4, network))
