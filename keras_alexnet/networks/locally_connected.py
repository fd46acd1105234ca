"""Locally connected layers: convolutions whose weights are not shared over positions."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_alexnet")
class LocallyConnected(keras.layers.Layer):
    """A convolution, of stride 1, whose kernel and bias are others at each position.

    Made of slices, concatenations and matrix products, which TensorFlow Lite has built in.

    Args:
        filters: channels of the output.
        kernel_size: side of the windows.
        padding: zeros (before, after) both height and width.
        activation: any Keras activation; None is linear.
        kernel_initializer, bias_initializer: of `kernel`, `[rows, columns, kernel_size,
            kernel_size, channels, filters]`, and `bias`, `[rows, columns, filters]`.

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
        filters,
        kernel_size,
        padding=(0, 0),
        activation=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = (kernel_size, kernel_size)
        self.zeros = tuple(padding)
        if max(self.zeros) >= kernel_size:
            raise ValueError(
                "padding must be less than kernel_size, else windows would see zeros alone. "
                f"Received: {padding}, {kernel_size}."
            )
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        _, *places, filters = self.compute_output_shape(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*places, *self.kernel_size, input_shape[-1], filters),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(*places, filters), initializer=self.bias_initializer
        )

    def call(self, inputs):
        # The batch goes last, so that what is cut out for a window are whole blocks of memory.
        outputs = _products(
            tf.transpose(inputs, [1, 2, 3, 0]), tf.convert_to_tensor(self.kernel), self.zeros
        )
        return self.activation(tf.transpose(outputs, [2, 0, 1, 3]) + self.bias)

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        places = (side + sum(self.zeros) - self.kernel_size[0] + 1 for side in sides)
        return (batch, *places, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size[0],
            "padding": list(self.zeros),
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


def _products(inputs, kernel, zeros):
    """`[height, width, channels, batch]` and the kernel → `[rows, columns, batch, filters]`.

    One row of positions after the other, since its windows then stay in the processor's cache. The
    gradient is written out for the same reason: TensorFlow's own, of 9 slices of everything, takes
    three times as long.
    """
    rows = [_Row(row, inputs.shape, kernel.shape, zeros) for row in range(kernel.shape[0])]

    @tf.custom_gradient
    def products(inputs, kernel):
        padded = tf.pad(inputs, [[0, 0], zeros, [0, 0], [0, 0]])
        windows = [row.windows(padded) for row in rows]
        matrices = [row.matrices(kernel) for row in rows]
        pairs = list(zip(windows, matrices, strict=True))
        outputs = tf.stack([tf.matmul(*pair, transpose_a=True) for pair in pairs])

        def gradient(upstream):
            of_kernel, of_inputs = [], [[] for _ in range(inputs.shape[0])]
            for index, row in enumerate(rows):
                of_kernel.append(row.of_kernel(tf.matmul(windows[index], upstream[index])))
                of_windows = tf.matmul(matrices[index], upstream[index], transpose_b=True)
                for y, part in row.of_inputs(of_windows):
                    of_inputs[y].append(part)
            of_inputs = tf.stack([tf.add_n(parts) for parts in of_inputs])
            return of_inputs, tf.reshape(tf.stack(of_kernel), kernel.shape)

        return outputs, gradient

    return products(inputs, kernel)


class _Row:
    """One row of positions; rows of its windows that are all zeros are left out."""

    def __init__(self, row, input_shape, kernel_shape, zeros):
        self._row, self._before = row, zeros[0]
        height, self._width, self._channels, _ = input_shape
        _, self._columns, self._side, *_, self._filters = kernel_shape
        self._top = row - zeros[0]
        self._first = max(0, -self._top)
        self._end = min(self._side, height - self._top)

    def windows(self, padded):
        """`[columns, cells * channels, batch]` of inputs whose columns are padded."""
        parts = [
            padded[self._top + y, x : x + self._columns]
            for y in range(self._first, self._end)
            for x in range(self._side)
        ]
        return tf.concat(parts, axis=1)

    def matrices(self, kernel):
        """`[columns, cells * channels, filters]`."""
        used = kernel[self._row, :, self._first : self._end]
        cells = (self._end - self._first) * self._side
        return tf.reshape(used, [self._columns, cells * self._channels, self._filters])

    def of_kernel(self, of_matrices):
        """The gradient of this row's kernel from that of its matrices."""
        block = self._side * self._channels
        missing = [self._first * block, (self._side - self._end) * block]
        return tf.pad(of_matrices, [[0, 0], missing, [0, 0]]) if any(missing) else of_matrices

    def of_inputs(self, of_windows):
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
