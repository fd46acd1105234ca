"""Rows of layers → Keras layers: one builder for each type of row."""

import keras

from keras_alexnet import layers, program_layers, rows
from keras_alexnet.initial_weights import initializers, seed_of
from keras_alexnet.local_layers import LocallyConnected


def keras_layer(row, inputs, choices):
    """Returns the Keras layer of a row; `inputs` is what it will be put on.

    Args:
        row: a `rows.Layer`.
        inputs: the tensor before it, for its number of channels.
        choices: the `models.Choices` of the network.

    Example:
        >>> keras_layer(rows.MaxPool("pool1", size=3, stride=2), inputs=None, choices=None).name
        'pool1'
    """
    return _LAYERS[type(row)](row, inputs, choices)


def _convolution(row, inputs, choices):
    fan_in = row.kernel**2 * inputs.shape[-1] // row.groups
    return layers.Convolution(
        row.filters,
        row.kernel,
        strides=row.stride,
        padding=row.padding,
        groups=row.groups,
        activation=None if row.linear else choices.activation,
        name=row.name,
        **initializers(row, fan_in, choices.seed),
    )


def _locally_connected(row, inputs, choices):
    return LocallyConnected(
        row.filters,
        row.kernel,
        padding=row.padding,
        activation=choices.activation,
        name=row.name,
        **initializers(row, row.kernel**2 * inputs.shape[-1], choices.seed),
    )


def _activation(row, inputs, choices):
    return keras.layers.Activation(choices.activation, name=row.name)


def _local_response_norm(row, inputs, choices):
    return layers.LocalResponseNormalization(
        row.depth_radius, row.bias, row.alpha, row.beta, row.groups, name=row.name
    )


def _same_map_norm(row, inputs, choices):
    return program_layers.SameMapNormalization(
        row.size, row.bias, row.alpha, row.beta, name=row.name
    )


def _max_pool(row, inputs, choices):
    pooling = program_layers.CeilMaxPooling2D if row.ceil else keras.layers.MaxPooling2D
    return pooling(row.size, row.stride, name=row.name)


def _ceil_average_pool(row, inputs, choices):
    return program_layers.CeilAveragePooling2D(row.size, row.stride, name=row.name)


def _adaptive_average_pool(row, inputs, choices):
    return layers.AdaptiveAveragePooling2D(row.size, name=row.name)


def _flatten(row, inputs, choices):
    return keras.layers.Flatten(name=row.name)


def _dropout(row, inputs, choices):
    seed = seed_of(choices.seed, row.name, "masks")
    unscaled = isinstance(row, rows.UnscaledDropout)
    layer = layers.UnscaledDropout if unscaled else layers.Dropout
    return layer(row.rate, seed=seed, name=row.name)


def _dense(row, inputs, choices):
    return keras.layers.Dense(
        row.units,
        activation=choices.activation,
        name=row.name,
        **initializers(row, inputs.shape[-1], choices.seed),
    )


def _classifier(row, inputs, choices):
    # float32: the loss of a thousand classes needs more than the 8 bits of bfloat16.
    return keras.layers.Dense(
        choices.num_classes,
        dtype="float32",
        name=row.name,
        **initializers(row, inputs.shape[-1], choices.seed),
    )


_LAYERS = {
    rows.Convolution: _convolution,
    rows.LocallyConnected: _locally_connected,
    rows.Activation: _activation,
    rows.LocalResponseNorm: _local_response_norm,
    rows.SameMapNorm: _same_map_norm,
    rows.MaxPool: _max_pool,
    rows.CeilAveragePool: _ceil_average_pool,
    rows.AdaptiveAveragePool: _adaptive_average_pool,
    rows.Flatten: _flatten,
    rows.Dropout: _dropout,
    rows.UnscaledDropout: _dropout,
    rows.Dense: _dense,
    rows.Classifier: _classifier,
}
