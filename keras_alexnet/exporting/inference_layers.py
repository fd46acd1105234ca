"""What layers compute in exported files: the same numbers, by operations that runtimes have fast.

A file is made of a network layer by layer, so that a layer can be written in another way than it is
trained in. Nothing here changes a saved Keras model.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.networks.layers import (
    LocalResponseNormalization,
    SameMapNormalization,
    Standardize,
)

Write = Callable[[Any, tf.Tensor], tf.Tensor]

_BETA = 0.75  # the power in all sources, which is two roots


def outputs(
    model: keras.Model,
    image: tf.Tensor,
    layers: Sequence[str] = (),
    as_trained: tuple[type, ...] = (),
) -> dict[str, tf.Tensor]:
    """Computes what a file of a network puts out.

    Args:
        model: a network that `build` made, whose layers follow one another.
        image: pixels 0–255, float32 `[N, H, W, 3]`.
        layers: names of layers whose outputs are wanted, too.
        as_trained: classes of layers that are written as they are trained.

    Returns:
        "logits", "probabilities" and each of the `layers`.
    """
    found = {}
    with tf.name_scope(model.name):  # names of operations are "network/layer/operation"
        for layer in model.layers[1:]:
            as_is = isinstance(layer, as_trained)
            image = layer(image, training=False) if as_is else _written(layer, image)
            if layer.name in layers:
                found[layer.name] = image
    return {**found, "logits": image, "probabilities": tf.nn.softmax(image)}


def _written(layer: keras.layers.Layer, inputs: tf.Tensor) -> tf.Tensor:
    write = _WRITTEN.get(type(layer))
    if write is None:
        return layer(inputs, training=False)
    with tf.name_scope(layer.name):
        return write(layer, inputs)


def _flatten(layer: keras.layers.Flatten, inputs: tf.Tensor) -> tf.Tensor:
    # Keras asks for the size of the batch: four operations, at which a delegate ends.
    return tf.reshape(inputs, [-1, inputs.shape[1:].num_elements()])


def _standardize(layer: Standardize, inputs: tf.Tensor) -> tf.Tensor:
    """The same bits from numbers or whole rows: runtimes take long over three numbers at a time."""
    height, width, channels = inputs.shape[1:]
    inputs = tf.cast(inputs, tf.float32)
    if len({*layer.mean}) == len({*layer.std}) == 1:
        outputs = (inputs - layer.mean[0]) / layer.std[0]
    else:
        rows = tf.reshape(inputs, [-1, height, width * channels])
        rows = (rows - np.float32(layer.mean * width)) / np.float32(layer.std * width)
        outputs = tf.reshape(rows, [-1, height, width, channels])
    return tf.reverse(outputs, axis=[-1]) if layer.reverse else outputs


def _normalize(layer: LocalResponseNormalization, inputs: tf.Tensor) -> tf.Tensor:
    """LRN as sums and roots: TFLite and ONNX Runtime raise number by number to a power."""
    if layer.beta != _BETA:
        return layer(inputs, training=False)
    parts = tf.split(inputs, layer.groups, axis=-1) if layer.groups > 1 else [inputs]
    scaled = [_scaled(layer, part) for part in parts]
    return scaled[0] if layer.groups == 1 else tf.concat(scaled, axis=-1)


def _scaled(layer: LocalResponseNormalization, inputs: tf.Tensor) -> tf.Tensor:
    reach = layer.depth_radius
    squares = tf.pad(tf.square(inputs), [[0, 0], [0, 0], [0, 0], [reach, reach]])
    sums = _sums_of_neighbors(squares, 2 * reach + 1)
    return inputs * _to_minus_beta(sums * layer.alpha + layer.bias)


def _normalize_map(layer: SameMapNormalization, inputs: tf.Tensor) -> tf.Tensor:
    if layer.beta != _BETA:
        return layer(inputs, training=False)
    sides = [layer.size // 2] * 2
    squares = tf.pad(tf.square(inputs), [[0, 0], sides, sides, [0, 0]])
    means = tf.nn.avg_pool2d(squares, layer.size, 1, "VALID")
    return inputs * _to_minus_beta(means * (layer.alpha * layer.size**2) + layer.bias)


def _to_minus_beta(scales: tf.Tensor) -> tf.Tensor:
    root = tf.math.rsqrt(scales)
    return root * tf.sqrt(root)


def _sums_of_neighbors(values: tf.Tensor, count: int) -> tf.Tensor:
    """Adds up so many neighboring channels, by adding sums of a power of two to one another."""
    length, start, width = values.shape[-1] - count + 1, 0, 1
    parts = []
    while width <= count:
        if count & width:
            parts.append(values[..., start : start + length])
            start += width
        values = values[..., :-width] + values[..., width:]
        width *= 2
    return sum(parts[1:], start=parts[0])


_WRITTEN: Mapping[type, Write] = {
    keras.layers.Flatten: _flatten,
    Standardize: _standardize,
    LocalResponseNormalization: _normalize,
    SameMapNormalization: _normalize_map,
}
