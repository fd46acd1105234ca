"""Pooling that Keras lacks: windows cut by the edge, and adaptive pooling of any map."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.networks.spec import ceil_pooled_size

_register = keras.saving.register_keras_serializable(package="keras_alexnet")


@_register
class AdaptiveAveragePooling2D(keras.layers.AdaptiveAveragePooling2D):
    """`keras.layers.AdaptiveAveragePooling2D`, also for maps one pixel high or wide.

    Inside a `tf.function` Keras puts a window of two on that one pixel and fails. All of PyTorch's
    windows hold just that pixel, so it is repeated first.

    Input: `[batch, height, width, channels]` with known height and width. Output:
    `[batch, *output_size, channels]`, equal to that of PyTorch's `AdaptiveAvgPool2d`.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, _ = inputs.shape
        rows, columns = self.output_size
        repeats = [1, rows if height == 1 else 1, columns if width == 1 else 1, 1]
        return super().call(tf.tile(inputs, repeats) if max(repeats) > 1 else inputs)


class _CeilPooling(keras.layers.Layer):
    """What both kinds of ceil pooling share: windows that reach over the lower and right edge."""

    pool_size: tuple[int, int]
    strides: tuple[int, int]

    def __init__(self, pool_size: int, strides: int, **kwargs: Any) -> None:
        super().__init__(pool_size, strides, **{**kwargs, "padding": "valid"})

    def beyond_edge(self, inputs: tf.Tensor) -> tuple[Any, ...]:
        """Returns how many rows and columns the last windows reach over the edge.

        They are tensors if the size of the map is not known before it is pooled.
        """
        places = zip(_sides(inputs), self.pool_size, self.strides, strict=True)
        return tuple(
            _largest((_windows(side, size, stride) - 1) * stride + size - side, 0)
            for side, size, stride in places
        )

    def _same_as_tensorflow(self, inputs: tf.Tensor) -> bool:
        """Whether "SAME" pools these windows, adding at most one row and column, at the end."""
        return _has_known_sides(inputs) and all(
            beyond < 2 and ceil_pooled_size(side, size, stride) == -(-side // stride)
            for beyond, side, size, stride in zip(
                self.beyond_edge(inputs),
                inputs.shape[1:3],
                self.pool_size,
                self.strides,
                strict=True,
            )
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, channels = input_shape
        places = zip(sides, self.pool_size, self.strides, strict=True)
        pooled = (None if place[0] is None else ceil_pooled_size(*place) for place in places)
        return (batch, *pooled, channels)


@_register
class CeilMaxPooling2D(_CeilPooling, keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` in ceil mode: the last windows may reach over the edge.

    Args:
        pool_size: side of the windows.
        strides: distance from one window to the next.

    Input: `[batch, height, width, channels]`. Output: `[batch, rows, columns, channels]`, with
    `ceil_pooled_size` rows and columns.

    Example:
        >>> CeilMaxPooling2D(3, 2)(np.ones([1, 32, 31, 8], "float32")).shape
        TensorShape([1, 16, 15, 8])
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self._same_as_tensorflow(inputs):
            return tf.nn.max_pool2d(inputs, self.pool_size, self.strides, "SAME")
        rows, columns = self.beyond_edge(inputs)
        if not _has_known_sides(inputs):
            lowest = inputs.dtype.min
            inputs = tf.pad(inputs, _at_the_end(rows, columns), constant_values=lowest)
            return tf.nn.max_pool2d(inputs, self.pool_size, self.strides, "VALID")
        # A window that reaches over the edge already holds the last row: repeating it is harmless.
        if rows:
            inputs = tf.concat([inputs, *[inputs[:, -1:]] * rows], axis=1)
        if columns:
            inputs = tf.concat([inputs, *[inputs[:, :, -1:]] * columns], axis=2)
        return tf.nn.max_pool2d(inputs, self.pool_size, self.strides, "VALID")


@_register
class CeilAveragePooling2D(_CeilPooling, keras.layers.AveragePooling2D):
    """`keras.layers.AveragePooling2D` in ceil mode, with averages over cells inside the map.

    Args, input and output: those of `CeilMaxPooling2D`.

    Example:
        >>> outputs = CeilAveragePooling2D(3, 2)(np.ones([1, 32, 31, 8], "float32"))
        >>> outputs.shape, float(outputs[0, -1, -1, 0])
        (TensorShape([1, 16, 15, 8]), 1.0)
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self._same_as_tensorflow(inputs):
            return tf.nn.avg_pool2d(inputs, self.pool_size, self.strides, "SAME")
        rows, columns = self.beyond_edge(inputs)
        known = _has_known_sides(inputs)
        if known and not rows and not columns:
            return tf.nn.avg_pool2d(inputs, self.pool_size, self.strides, "VALID")
        means = self._means(inputs, rows, columns)
        if known:
            return means * tf.cast(self._correction(inputs), means.dtype)
        inside = self._means(tf.ones_like(inputs[:1, :, :, :1]), rows, columns)
        return means / inside

    def _means(self, inputs: tf.Tensor, rows: Any, columns: Any) -> tf.Tensor:
        padded = tf.pad(inputs, _at_the_end(rows, columns))
        return tf.nn.avg_pool2d(padded, self.pool_size, self.strides, "VALID")

    def _correction(self, inputs: tf.Tensor) -> np.ndarray:
        """float32 `[rows, columns, 1]`: cells of a window over its cells inside the map."""
        real = [
            np.minimum(size, side - stride * np.arange(ceil_pooled_size(side, size, stride)))
            for side, size, stride in zip(
                inputs.shape[1:3], self.pool_size, self.strides, strict=True
            )
        ]
        cells = self.pool_size[0] * self.pool_size[1]
        return (cells / np.outer(*real)).astype("float32")[..., None]


def _sides(inputs: tf.Tensor) -> list[Any]:
    """Returns height and width, as tensors where they are not known yet."""
    return [
        tf.shape(inputs)[axis] if inputs.shape[axis] is None else inputs.shape[axis]
        for axis in (1, 2)
    ]


def _has_known_sides(inputs: tf.Tensor) -> bool:
    return None not in inputs.shape[1:3]


def _windows(side: Any, size: int, stride: int) -> Any:
    """Does what `ceil_pooled_size` does, also for a tensor."""
    if not tf.is_tensor(side):
        return ceil_pooled_size(side, size, stride)
    windows = -(-(side - size) // stride) + 1
    return windows - tf.cast((windows - 1) * stride >= side, tf.int32)


def _largest(first: Any, second: int) -> Any:
    return tf.maximum(first, second) if tf.is_tensor(first) else max(first, second)


def _at_the_end(rows: Any, columns: Any) -> list[list[Any]]:
    return [[0, 0], [0, rows], [0, columns], [0, 0]]
