"""Pixels in 0–1, or standardized ones, are noticed wherever arrays come in."""

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.data.images import ImageArray
from keras_alexnet.errors import UsageError
from keras_alexnet.utils.pixels import as_uint8, wrong_scale

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.float32)
STANDARDIZED = (PIXELS - 120) / 60
LABELS = np.arange(6)


@pytest.mark.parametrize("pixels", [PIXELS / 255, PIXELS / 127.5 - 1, STANDARDIZED])
def test_pixels_of_another_scale_are_noticed(pixels):
    assert wrong_scale(pixels).startswith("float32 [6, 32, 32, 3] with values from ")
    with pytest.raises(UsageError, match="image must be pixels 0–255. Received: float32"):
        as_uint8(pixels, "image")


@pytest.mark.parametrize(
    "pixels",
    # The last are those that color noise leaves, of dark images too.
    [PIXELS, PIXELS * 0, PIXELS.astype(np.uint8) // 128, PIXELS - 30, PIXELS[:0], PIXELS / 12 - 3],
)
def test_pixels_0_to_255_and_black_ones_are_not(pixels):
    assert wrong_scale(pixels) is None
    assert ka.check_pixels(pixels) is pixels


def test_check_pixels_looks_at_a_data_set():
    batches = tf.data.Dataset.from_tensor_slices((PIXELS, LABELS)).batch(2)
    assert ka.check_pixels(batches) is batches
    scaled = batches.map(lambda images, labels: (images / 255, labels))
    for data in (scaled, [PIXELS / 255], tf.constant(PIXELS / 255)):
        with pytest.raises(UsageError, match="images must be .* with values from 0 to 1. The net"):
            ka.check_pixels(data)
    assert ka.check_pixels([]) == []
    with pytest.raises(UsageError, match="which an iterator would lose"):
        ka.check_pixels(iter(batches))


def test_a_network_says_it_once(caplog):
    model = ka.build("cifar_v2", seed=0)
    model.predict(PIXELS / 255, verbose=0)  # a graph, which cannot see them
    assert caplog.text == ""
    for _ in range(2):
        model(PIXELS / 255)
    assert caplog.text.count("The input of a network must be pixels 0–255. Received:") == 1
    ka.build("cifar_v2", seed=0)(PIXELS)
    assert len(caplog.records) == 1


def test_trained_networks_and_data_sets_refuse_them():
    network = ka.load("cifar_v2")
    with pytest.raises(UsageError, match="must be pixels 0–255. Received: .* from 0 to 1"):
        network.logits(PIXELS / 255)
    with pytest.raises(UsageError, match="data set, uint8, must be .* values from 0 to 1"):
        ImageArray(PIXELS / 255)
