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

    def beyond_edge(self, inputs: tf.Tensor) -> tuple[int, ...]:
        """Returns how many rows and columns the last windows reach over the edge."""
        *_, height, width, _ = inputs.shape
        return tuple(
            max((ceil_pooled_size(side, size, stride) - 1) * stride + size - side, 0)
            for side, size, stride in zip(
                (height, width), self.pool_size, self.strides, strict=True
            )
        )

    def _same_as_tensorflow(self, inputs: tf.Tensor) -> bool:
        """Whether "SAME" pools these windows, adding at most one row and column, at the end."""
        return all(
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
        return (batch, *map(ceil_pooled_size, sides, self.pool_size, self.strides), channels)


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
        if not rows and not columns:
            return tf.nn.avg_pool2d(inputs, self.pool_size, self.strides, "VALID")
        padded = tf.pad(inputs, [[0, 0], [0, rows], [0, columns], [0, 0]])
        means = tf.nn.avg_pool2d(padded, self.pool_size, self.strides, "VALID")
        return means * tf.cast(self._correction(inputs), means.dtype)

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
