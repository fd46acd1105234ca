"""LocallyConnected: a convolution with different weights at each position."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_alexnet.networks.layers import in_gradient_scope


@keras.saving.register_keras_serializable(package="keras_alexnet")
class LocallyConnected(keras.layers.Layer):
    """A convolution of stride 1 with a different kernel and bias at each position.

    It uses only slices, concatenations and matrix products, which TensorFlow Lite supports.

    Args:
        filters: channels of the output.
        kernel_size: side of the windows.
        padding: zeros (before, after) on both axes.
        activation: any Keras activation; None is linear.
        kernel_initializer: initializer of `kernel`, `[rows, columns, kernel_size, kernel_size,
            channels, filters]`.
        bias_initializer: initializer of `bias`, `[rows, columns, filters]`.

    Input: `[batch, height, width, channels]` with known height and width. Output: `[batch, rows,
    columns, filters]`.

    Raises:
        ValueError: `padding` is not less than `kernel_size`.

    Example:
        >>> layer = LocallyConnected(64, 3, padding=(1, 1))
        >>> layer(np.ones([1, 8, 8, 32], "float32")).shape, tuple(layer.kernel.shape)
        (TensorShape([1, 8, 8, 64]), (8, 8, 3, 3, 32, 64))
    """

    strides = (1, 1)

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        padding: Sequence[int] = (0, 0),
        activation: str | Callable | None = None,
        kernel_initializer: str | keras.Initializer = "glorot_uniform",
        bias_initializer: str | keras.Initializer = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = (kernel_size, kernel_size)
        before, after = padding
        self.zeros = (before, after)
        if max(self.zeros) >= kernel_size:
            raise ValueError(
                "padding must be less than kernel_size, so that no window holds only zeros. "
                f"Received: {padding}, {kernel_size}."
            )
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: tuple) -> None:
        _, *places, filters = self.compute_output_shape(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*places, *self.kernel_size, input_shape[-1], filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(*places, filters), initializer=self.bias_initializer
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = _products(inputs, tf.convert_to_tensor(self.kernel), self.zeros)
        return self.activation(tf.transpose(outputs, [2, 0, 1, 3]) + self.bias)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, *sides, _ = input_shape
        places = (side + sum(self.zeros) - self.kernel_size[0] + 1 for side in sides)
        return (batch, *places, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size[0],
            "padding": list(self.zeros),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


def _products(inputs: tf.Tensor, kernel: tf.Tensor, zeros: tuple[int, int]) -> tf.Tensor:
    """`[batch, height, width, channels]` and the kernel → `[rows, columns, batch, filters]`.

    It computes one row of positions at a time, so that its windows stay in the processor's cache.
    The gradient is written out for the same reason: TensorFlow's own, of 9 slices of everything,
    takes three times as long.
    """
    rows = [_Row(row, inputs.shape[1:], kernel.shape, zeros) for row in range(kernel.shape[0])]

    @tf.custom_gradient
    def products(inputs: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        # The batch comes after the places, each of which has a matrix product of its own.
        padded = tf.pad(tf.transpose(inputs, [1, 2, 0, 3]), [[0, 0], zeros, [0, 0], [0, 0]])
        windows = [row.windows(padded) for row in rows]
        matrices = [row.matrices(kernel) for row in rows]
        pairs = list(zip(windows, matrices, strict=True))
        outputs = tf.stack([tf.matmul(*pair) for pair in pairs])

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_kernel: list = []
            of_inputs: list[list] = [[] for _ in range(inputs.shape[1])]
            for index, row in enumerate(rows):
                of_matrices = tf.matmul(windows[index], upstream[index], transpose_a=True)
                of_kernel.append(row.kernel_gradient(of_matrices))
                # The batch goes last here, so that the cells are whole blocks of memory.
                of_windows = tf.matmul(matrices[index], upstream[index], transpose_b=True)
                for y, part in row.input_gradients(of_windows):
                    of_inputs[y].append(part)
            return (
                tf.transpose(tf.stack([tf.add_n(parts) for parts in of_inputs]), [3, 0, 1, 2]),
                tf.reshape(tf.stack(of_kernel), kernel.shape),
            )

        return outputs, in_gradient_scope(gradient)

    return products(inputs, kernel)


class _Row:
    """One row of positions, without the rows of its windows that are all zeros."""

    def __init__(
        self, row: int, input_shape: Sequence, kernel_shape: Sequence, zeros: tuple[int, int]
    ) -> None:
        self._row, self._before = row, zeros[0]
        height, self._width, self._channels = input_shape
        _, self._columns, self._side, *_, self._filters = kernel_shape
        self._top = row - zeros[0]
        self._first = max(0, -self._top)
        self._end = min(self._side, height - self._top)

    def windows(self, padded: tf.Tensor) -> tf.Tensor:
        """Returns `[columns, batch, cells * channels]` of inputs whose columns are padded."""
        parts = [
            padded[self._top + y, x : x + self._columns]
            for y in range(self._first, self._end)
            for x in range(self._side)
        ]
        return tf.concat(parts, axis=2)

    def matrices(self, kernel: tf.Tensor) -> tf.Tensor:
        """Returns the kernel of this row as `[columns, cells * channels, filters]`."""
        used = kernel[self._row, :, self._first : self._end]
        cells = (self._end - self._first) * self._side
        return tf.reshape(used, [self._columns, cells * self._channels, self._filters])

    def kernel_gradient(self, of_matrices: tf.Tensor) -> tf.Tensor:
        """Returns the gradient of this row's kernel from that of its matrices."""
        block = self._side * self._channels
        missing = [self._first * block, (self._side - self._end) * block]
        return tf.pad(of_matrices, [[0, 0], missing, [0, 0]]) if any(missing) else of_matrices

    def input_gradients(self, of_windows: tf.Tensor) -> Iterator[tuple[int, tf.Tensor]]:
        """Yields (row of the inputs, part of its gradient) for every cell of the windows."""
        for cell in range((self._end - self._first) * self._side):
            y, x = divmod(cell, self._side)
            left = x - self._before  # the input column of the first window's cell
            first, end = max(0, -left), min(self._columns, self._width - left)
            if first < end:
                channels = slice(cell * self._channels, (cell + 1) * self._channels)
                beside = [left + first, self._width - left - end]
                part = tf.pad(of_windows[first:end, channels], [beside, [0, 0], [0, 0]])
                yield self._top + self._first + y, part
