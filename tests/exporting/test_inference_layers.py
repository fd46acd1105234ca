"""Layers as they are written to files: the numbers of the layers that were trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.exporting import inference_layers, tflite_int8
from keras_alexnet.networks.layers import (
    LocalResponseNormalization,
    SameMapNormalization,
    Standardize,
)

LAYERS = {
    "of the paper": LocalResponseNormalization(2, 2, 1e-4, 0.75),
    "of nine channels": LocalResponseNormalization(4, 1, 1e-3, 0.75),
    "beyond all channels": LocalResponseNormalization(9, 1, 1e-3, 0.75),
    "in two groups": LocalResponseNormalization(2, 2, 1e-4, 0.75, groups=2),
    "to another power": LocalResponseNormalization(2, 1, 1e-3, 0.5),
    "within a map": SameMapNormalization(3, 1, 1e-3, 0.75),
    "within a map, to another power": SameMapNormalization(3, 1, 1e-3, 0.5),
    "flat": keras.layers.Flatten(),
    "standardized alike": Standardize([127.5] * 12, [127.5] * 12),
    "standardized by channel": Standardize(range(12), range(1, 13)),
    "standardized and reversed": Standardize(range(12), [2.0] * 12, reverse=True),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_numbers_are_those_of_the_layer(name):
    maps = np.random.default_rng(0).normal(0, 60, (3, 5, 4, 12)).astype(np.float32)
    image = keras.Input(maps.shape[1:], name="image")
    hidden = LAYERS[name](image)
    flat = hidden if hidden.ndim == 2 else keras.layers.GlobalAveragePooling2D()(hidden)
    model = keras.Model(image, flat)
    found = inference_layers.outputs(model, tf.constant(maps), [LAYERS[name].name])
    wanted = LAYERS[name](maps).numpy()
    got = found[LAYERS[name].name].numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
    if isinstance(LAYERS[name], Standardize):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_allclose(found["logits"], model(maps), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "wanted", "unwanted"),
    [("standardized by channel", "RealDiv", "Reshape"), ("of the paper", "LRN", "Rsqrt")],
)
def test_int8_files_compute_what_was_trained(name, wanted, unwanted):
    image = keras.Input((5, 4, 12), name="image")
    model = keras.Model(image, LAYERS[name](image))

    def kinds(as_trained):
        written = tf.function(
            lambda pixels: inference_layers.outputs(model, pixels, as_trained=as_trained)["logits"]
        )
        graph = written.get_concrete_function(tf.TensorSpec([1, 5, 4, 12])).graph
        return {operation.type for operation in graph.get_operations()}

    assert unwanted in kinds(())
    assert wanted in kinds(tflite_int8.AS_TRAINED)
    assert unwanted not in kinds(tflite_int8.AS_TRAINED)
