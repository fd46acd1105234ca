"""PerceptualDistance is LPIPS: values, maps and gradients, weights, sizes, and saving."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.perceptual import linear_weights
from keras_alexnet.perceptual.backbone import SMALLEST, build_backbone
from support import lpips_reference as reference


@pytest.fixture(scope="module")
def network():
    """A network without its top, with fixed weights."""
    return reference.model()


@pytest.fixture(scope="module")
def layer(network):
    return ka.PerceptualDistance(network)


@pytest.fixture(scope="module")
def measured(network):
    """Images 0-255 → value, map and gradients as the reference gives them."""
    layers = [
        ka.PerceptualDistance(network, value_range=(-1, 1), spatial=spatial)
        for spatial in (False, True)
    ]

    def measure(first, second):
        images = [tf.constant(each / 127.5 - 1) for each in (first, second)]
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = layers[0](*images)
        return values, layers[1](*images), *tape.gradient(values, images)

    return measure


def _assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        largest = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=min(1e-5, 1e-4 * largest))


@pytest.mark.processes  # because of the time that importing lpips takes
def test_same_as_lpips(measured):
    images = reference.images(130, 33)
    _assert_same(measured(*images), reference.by_lpips(*images))


@pytest.mark.parametrize("size", reference.SIZES, ids=str)
def test_same_as_the_golden_file_of_lpips(measured, size):
    expected = json.loads(reference.GOLDEN.read_text())[f"{size[0]}x{size[1]}"]
    found = measured(*reference.images(*size))
    _assert_same([reference.few(each) for each in found], expected)


@pytest.mark.processes
def test_linear_weights_are_those_of_the_package_lpips():
    lpips = reference.imported("lpips")
    network = lpips.LPIPS(pretrained=True, pnet_rand=True, net="alex", verbose=False)
    for linear, weights in zip(network.lins, linear_weights.read().values(), strict=True):
        np.testing.assert_array_equal(linear.model[-1].weight.detach().numpy().ravel(), weights)


def test_a_changed_file_of_linear_weights_is_refused(tmp_path, monkeypatch):
    for contents, message in ((b"", "SHA-256 should be cd58"), (None, "No such file")):
        file = tmp_path / f"{contents}.safetensors"
        if contents is not None:
            file.write_bytes(contents)
        monkeypatch.setattr(linear_weights, "FILE", file)
        with pytest.raises(UserError, match=message):
            linear_weights.read.__wrapped__()


def test_gradient_where_all_activations_are_0():
    network = reference.model()
    conv1 = network.get_layer("conv1")
    conv1.bias.assign(tf.fill([64], -1e4))
    image = tf.Variable(tf.zeros([1, 40, 40, 3]))
    layer = ka.PerceptualDistance(network)
    with tf.GradientTape() as tape:
        distance = layer(image, image + 1.0)
    assert np.isfinite(distance).all() and np.isfinite(tape.gradient(distance, image)).all()


def test_kinds_of_images(network, layer):
    first, second = (each.astype("uint8") for each in reference.images(40, 50))
    expected = layer(first, second)
    for value_range, scale in (((0, 1), 255), ((-1, 1), 127.5), ((-0.5, 0.5), 255)):
        other = ka.PerceptualDistance(network, value_range=value_range)
        images = [each / scale + value_range[0] for each in (first, second)]
        np.testing.assert_allclose(other(*images), expected, rtol=1e-5)
    with pytest.raises(UsageError, match="uint8 have the values 0-255, but value_range is"):
        other(first, second)
    half = layer(tf.cast(first, tf.bfloat16), tf.cast(second, tf.bfloat16))
    assert half.dtype == tf.float32
    np.testing.assert_allclose(half, expected, rtol=1e-6)  # 8 bits hold pixels
    single = layer(first[:1], second)
    assert single.shape == [2] and float(single[0]) == pytest.approx(float(expected[0]), rel=1e-6)
    assert layer(second, first[:1]).shape == [2]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1, 30, 64, 3], [1, 30, 64, 3], "at least 31x31 pixels.*Received: 30x64"),
        ([1, 40, 40, 3], [1, 40, 41, 3], "the same size"),
        ([2, 40, 40, 3], [3, 40, 40, 3], "or one of them be 1"),
        ([40, 40, 3], [40, 40, 3], r"RGB images \[batch, height, width, 3\]"),
        ([1, 40, 40, 1], [1, 40, 40, 1], "RGB images"),
    ],
)
def test_images_that_cannot_be_compared(layer, first, second, message):
    with pytest.raises(UsageError, match=message):
        layer(tf.zeros(first), tf.zeros(second))


def test_sizes_that_only_a_graph_knows(layer):
    image = tf.TensorSpec([None, None, None, 3], tf.float32)
    graph = tf.function(layer, input_signature=[image, image])
    images = reference.images(40, 50)
    np.testing.assert_allclose(graph(*images), layer(*images), rtol=1e-6)
    assert graph(tf.zeros([1, SMALLEST, SMALLEST, 3]), tf.zeros([1, SMALLEST, SMALLEST, 3])) == 0
    for wrong in ([1, 40, 41, 3], [1, 30, 50, 3]):
        other = tf.zeros(wrong)
        with pytest.raises(tf.errors.InvalidArgumentError, match="the same size, at least 31x31"):
            graph(other, other if wrong[1] == 30 else tf.zeros([1, 40, 40, 3]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value_range": (0, 0)}, "value_range's second number must be a number above 0"),
        ({"value_range": 255}, "such as"),
        ({"spatial": "yes"}, "spatial must be True or False"),
        ({"weights": 3}, "weights must be a file"),
        ({"seed": 1.5}, "seed must be a whole number"),
    ],
)
def test_arguments_that_cannot_be_used(options, message):
    with pytest.raises(UsageError, match=message):
        ka.PerceptualDistance(**{"weights": None, **options})


def test_weights_from_a_file_and_of_other_networks(network, tmp_path):
    network.save(tmp_path / "mine.keras")
    images = reference.images(40, 50)
    from_file = ka.PerceptualDistance(tmp_path / "mine.keras")
    np.testing.assert_array_equal(from_file(*images), ka.PerceptualDistance(network)(*images))
    assert from_file.get_config()["weights"] == str(tmp_path / "mine.keras")
    with pytest.raises(UserError, match="nowhere.keras"):
        ka.PerceptualDistance(tmp_path / "nowhere.keras")
    other = ka.AlexNet(include_top=False, weights=None, variant="alexnet")
    with pytest.raises(UserError, match="LPIPS compares.*network alexnet is different: no l"):
        ka.PerceptualDistance(other)
    darker = reference.model()
    darker.get_layer("standardize").mean = [0.0, 0.0, 0.0]
    with pytest.raises(UserError, match="pixels have"):
        ka.PerceptualDistance(darker)


def test_the_layer_in_a_model_that_is_saved(layer, network, tmp_path):
    sides = keras.Input([None, None, 3]), keras.Input([None, None, 3])
    model = keras.Model(sides, ka.PerceptualDistance(network, spatial=True, name="lpips")(*sides))
    assert model.output_shape == (None, None, None)
    model.trainable = True
    assert not model.trainable_variables and len(model.variables) == 10
    images = reference.images(40, 50)
    expected = model(images)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "model.keras")(images), expected
    )
    copy = ka.PerceptualDistance.from_config(model.get_layer("lpips").get_config())
    assert np.isnan(copy(*images)).all(), "until weights are loaded"
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(*images), expected)


def test_random_weights_come_from_the_seed():
    layers = ka.PerceptualDistance(None, seed=3), ka.PerceptualDistance(None)
    assert layers[0].get_weights()[0].std() > 0
    for layer in layers:
        copy = ka.PerceptualDistance.from_config(layer.get_config())
        np.testing.assert_array_equal(copy.get_weights()[0], layer.get_weights()[0])
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(*(layer.get_weights()[0] for layer in layers))


def test_smallest_side():
    maps = build_backbone(None)(tf.zeros([1, SMALLEST, SMALLEST, 3]))
    assert maps[-1].shape[1:3] == [1, 1]
