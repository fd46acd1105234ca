"""Dense against Keras's, in training and outside it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.networks.dense import Dense


def _operations(layer, training):
    inputs = tf.TensorSpec([3, 5])
    graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(inputs).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("units", [2048, 10])
@pytest.mark.parametrize("use_bias", [True, False])
def test_values_and_gradients_are_those_of_keras(units, use_bias):
    own, keras_own = (
        kind(units, "relu", use_bias, bias_initializer="ones")
        for kind in (Dense, keras.layers.Dense)
    )
    x = tf.random.stateless_normal([3, 5], [0, 0])
    keras_own.build(x.shape), own.build(x.shape)
    keras_own.set_weights(own.get_weights())
    found = []
    for layer in (own, keras_own):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            loss = tf.reduce_sum(outputs**2)
        found.append([outputs, *tape.gradient(loss, [x, *layer.trainable_variables])])
    for value, expected in zip(*found, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("units", "training", "pads"), [(2048, True, True), (2048, False, False), (1000, True, False)]
)
def test_only_training_copies_a_kernel_whose_rows_are_whole_pages(units, training, pads):
    layer = Dense(units)
    layer.build([None, 5])
    assert ("Pad" in _operations(layer, training)) == pads
