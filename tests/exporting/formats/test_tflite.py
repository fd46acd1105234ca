"""TFLite files: what they compute, and of which operators and numbers they are made."""

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import UsageError, UserError, list_variants
from keras_alexnet.exporting import tflite_file
from keras_alexnet.exporting.formats import tflite
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.runtimes.litert import LiteModel
from keras_alexnet.utils import tensorflow_private
from support.exports import keras_logits, noise, trained, transparent

schema = tensorflow_private.tflite_schema()

# Largest difference of a logit from Keras's, over the largest logit, of the shrunk networks.
TOLERANCE = {"float32": 1e-4, "float16": 4e-3, "dynamic": 0.1, "int8": 0.2}
WITH_LRN = [name for name in list_variants() if "LocalResponseNorm" in str(variants.get(name))]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(
        tmp_path_factory.mktemp("run"), "cifar_v2", ["cat", "dog", "owl", "élan"], num_classes=4
    )


@pytest.fixture(scope="module")
def int8(network):
    """An int8 file of the network, calibrated on noise(4, network)."""
    return tflite.convert(network, "int8", calibration=noise(4, network))


def trained_small(tmp_path_factory, name, **options):
    return trained(tmp_path_factory.mktemp(name), name, num_classes=20, **options)


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


# Plain layers; two towers and LRN; zeros around maps, adaptive pooling and dropout. The slow test
# has all variants.
@pytest.mark.parametrize("name", ["cifar_v2", "alexnet_two_tower", "alexnet_owt"])
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
        assert list(found["image"].shape) == [1, 32, 32, 3]
        # LiteRT.js runs no file whose shapes are signed; LiteModel runs batches all the same.
        graph = schema.ModelT.InitFromPackedBuf(file).subgraphs[0]
        assert all(tensor.shapeSignature is None for tensor in graph.tensors)
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


def test_int8_keeps_the_order_of_unlikely_classes(network, int8):
    found = LiteModel(int8).run(noise(32, network))
    softmax = tf.nn.softmax(found["logits"]).numpy()
    np.testing.assert_allclose(found["probabilities"], softmax, rtol=1e-4)
    # A quantized layer has one of 256 values: finer ones are a float's.
    steps = np.diff(np.unique(found["logits"]))
    assert steps.min() < (found["logits"].max() - found["logits"].min()) / 1000


def test_int8_computes_in_float_what_has_no_int8_kernel(network, int8, tmp_path_factory):
    assert tflite_file.float_operators(int8) == ("SOFTMAX",)
    assert {"CONV_2D", "FULLY_CONNECTED"} <= set(tflite_file.operators(int8))
    assert {"CONV_2D", "FULLY_CONNECTED", "SOFTMAX"} <= set(
        tflite_file.float_operators(tflite.convert(network, "float32"))
    )
    normalized = trained_small(tmp_path_factory, WITH_LRN[0])
    contents = tflite.convert(normalized, "int8", calibration=noise(2, normalized))
    assert tflite_file.float_operators(contents) == ("LOCAL_RESPONSE_NORMALIZATION", "SOFTMAX")


def test_int8_computes_same_map_normalization_in_float(tmp_path_factory):
    network = trained_small(tmp_path_factory, "cuda_convnet_18pct")
    images = noise(16, network)
    contents = tflite.convert(network, "int8", calibration=images)
    assert {"SQUARE", "RSQRT"} <= set(tflite_file.float_operators(contents))
    assert "CONV_2D" not in tflite_file.float_operators(contents)
    # The powers in 255 steps would make it 0.1 and more.
    assert difference(network, contents, images) < 0.05


def test_last_layer_of_zeros_has_a_scale(tmp_path_factory):
    network = trained_small(tmp_path_factory, "cifar_v2")
    network.model.get_layer("logits").kernel.assign(np.zeros([16, 20]))
    images = noise(2, network)
    contents = tflite.convert(network, "int8", calibration=images)
    found = LiteModel(contents).run(images)["logits"]
    np.testing.assert_allclose(found, keras_logits(network, images), atol=1e-5)


def test_last_layer_has_the_weights_to_half_a_step(network, int8):
    model = schema.ModelT.InitFromPackedBuf(int8)
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


def test_int8_names_the_oldest_runtime_that_runs_it(int8):
    model = schema.ModelT.InitFromPackedBuf(int8)
    [entry] = [entry for entry in model.metadata if entry.name == b"min_runtime_version"]
    assert bytes(model.buffers[entry.buffer].data).rstrip(b"\0") == b"2.3.0"


def test_weights_start_where_the_schema_wants_them(int8):
    model = schema.Model.GetRootAs(int8)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    views = [each.DataAsNumpy() for each in buffers if each.DataLength()]
    starts = [view.__array_interface__["data"][0] for view in views]
    file = np.frombuffer(int8, np.uint8).__array_interface__["data"][0]
    assert len(starts) > 10 and not any((start - file) % 16 for start in starts)


def test_the_same_network_gives_the_same_file_quietly_and_leaves_no_others(
    network, int8, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert tflite.convert(network, "int8", calibration=noise(4, network)) == int8
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


@pytest.mark.parametrize("quantization", ["float32", "int8"])
def test_converter_that_cannot_write_its_temporary_files_is_found_out(network, quantization):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    images = noise(4, network)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as on a disk that is full
    try:
        with pytest.raises(UserError, match="temporary folder. Is .* full"):
            tflite.convert(network, quantization, calibration=images)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
