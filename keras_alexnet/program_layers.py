"""Layers of the programs behind the paper (cuda-convnet and its 2012 successor), which Keras lacks.

All are serialisable, made of plain TensorFlow operations, and export to TensorFlow Lite's built-in
ones. They take maps of known height and width. `keras_alexnet.local_layers` has another.
"""

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.rows import ceil_pooled_size

_register = keras.saving.register_keras_serializable(package="keras_alexnet")


class _CeilPooling:
    """What both kinds of pooling share: windows that may reach over the lower and right edge."""

    def __init__(self, pool_size, strides, **kwargs):
        super().__init__(pool_size, strides, **{**kwargs, "padding": "valid"})

    def _beyond(self, inputs):
        """Returns how many rows and columns the last windows reach over the edge."""
        *_, height, width, _ = inputs.shape
        return tuple(
            max((ceil_pooled_size(side, size, stride) - 1) * stride + size - side, 0)
            for side, size, stride in zip(
                (height, width), self.pool_size, self.strides, strict=True
            )
        )

    def _same_as_tensorflow(self, inputs):
        """Whether "SAME" pools these windows, its one row and column too many being the last."""
        return all(
            beyond < 2 and ceil_pooled_size(side, size, stride) == -(-side // stride)
            for beyond, side, size, stride in zip(
                self._beyond(inputs), inputs.shape[1:3], self.pool_size, self.strides, strict=True
            )
        )

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        sides = map(ceil_pooled_size, sides, self.pool_size, self.strides)
        return (batch, *sides, channels)


@_register
class CeilMaxPooling2D(_CeilPooling, keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` in ceil mode: the last windows may reach over the edge.

    Args:
        pool_size: side of the windows.
        strides: from one window to the next.

    Input: `[batch, height, width, channels]`. Output: `[batch, rows, columns, channels]`, as many
    as `ceil_pooled_size` says.

    Example:
        >>> CeilMaxPooling2D(3, 2)(np.ones([1, 32, 31, 8], "float32")).shape
        TensorShape([1, 16, 15, 8])
    """

    def call(self, inputs):
        if self._same_as_tensorflow(inputs):
            return tf.nn.max_pool2d(inputs, self.pool_size, self.strides, "SAME")
        rows, columns = self._beyond(inputs)
        # A window that starts inside the map and ends beyond it holds the last row already.
        inputs = tf.concat([inputs, *[inputs[:, -1:]] * rows], axis=1)
        inputs = tf.concat([inputs, *[inputs[:, :, -1:]] * columns], axis=2)
        return tf.nn.max_pool2d(inputs, self.pool_size, self.strides, "VALID")


@_register
class CeilAveragePooling2D(_CeilPooling, keras.layers.AveragePooling2D):
    """`keras.layers.AveragePooling2D` in ceil mode, whose averages count only cells of the map.

    Args, input and output: those of `CeilMaxPooling2D`.

    Example:
        >>> outputs = CeilAveragePooling2D(3, 2)(np.ones([1, 32, 31, 8], "float32"))
        >>> outputs.shape, float(outputs[0, -1, -1, 0])
        (TensorShape([1, 16, 15, 8]), 1.0)
    """

    def call(self, inputs):
        if self._same_as_tensorflow(inputs):
            return tf.nn.avg_pool2d(inputs, self.pool_size, self.strides, "SAME")
        rows, columns = self._beyond(inputs)
        if not rows and not columns:
            return tf.nn.avg_pool2d(inputs, self.pool_size, self.strides, "VALID")
        padded = tf.pad(inputs, [[0, 0], [0, rows], [0, columns], [0, 0]])
        means = tf.nn.avg_pool2d(padded, self.pool_size, self.strides, "VALID")
        return means * tf.cast(self._share_of_zeros(inputs), means.dtype)

    def _share_of_zeros(self, inputs):
        """float32 `[rows, columns, 1]`: cells of a window over those of them in the map."""
        real = [
            np.minimum(size, side - stride * np.arange(ceil_pooled_size(side, size, stride)))
            for side, size, stride in zip(
                inputs.shape[1:3], self.pool_size, self.strides, strict=True
            )
        ]
        cells = self.pool_size[0] * self.pool_size[1]
        return (cells / np.outer(*real)).astype("float32")[..., None]


@_register
class SameMapNormalization(keras.layers.Layer):
    """Response normalisation over an n x n neighbourhood inside one channel.

    x / (bias + alpha * sum of x^2 over the n x n cells around x) ^ beta, where cells beyond the
    edge count as 0. `alpha` multiplies the sum itself: cuda-convnet divides its scale by n^2 first.

    Args:
        size: n, odd.
        bias, alpha, beta: as above.

    Input and output: `[batch, height, width, channels]`. It computes in float32 and casts back.

    Raises:
        ValueError: `size` is even: no cell is then in the middle.

    Example:
        >>> layer = SameMapNormalization(size=3, bias=1, alpha=1 / 9, beta=1)
        >>> float(layer(np.ones([1, 5, 5, 8], "float32"))[0, 2, 2, 0])
        0.5
    """

    def __init__(self, size, bias, alpha, beta, **kwargs):
        super().__init__(**kwargs)
        if size % 2 == 0:
            raise ValueError(f"size must be odd. Received: {size}.")
        self.size = size
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs):
        values = tf.cast(inputs, tf.float32)
        sides = [self.size // 2] * 2
        # "SAME" would leave the zeros out of the mean, and with it the number of cells would vary.
        squares = tf.pad(tf.square(values), [[0, 0], sides, sides, [0, 0]])
        sums = tf.nn.avg_pool2d(squares, self.size, 1, "VALID") * self.size**2
        return tf.cast(values * tf.pow(self.bias + self.alpha * sums, -self.beta), inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        constants = ("size", "bias", "alpha", "beta")
        return {**super().get_config(), **{name: getattr(self, name) for name in constants}}
