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
        inputs = tf.pad(inputs, [[0, 0], self.zeros, self.zeros, [0, 0]])
        kernel = tf.convert_to_tensor(self.kernel)
        # The batch goes inside, so that each position is one matrix product.
        outputs = _products(tf.transpose(inputs, [1, 2, 0, 3]), kernel)
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


@tf.custom_gradient
def _products(inputs, kernel):
    """`[height, width, batch, channels]` and the kernel → `[rows, columns, batch, filters]`.

    One row of positions after the other, since its windows then stay in the processor's cache. The
    gradient is written out for the same reason: TensorFlow's own, of 9 slices of everything, takes
    three times as long.
    """
    rows, columns, side, _, channels, filters = kernel.shape
    matrices = tf.reshape(kernel, [rows, columns, side**2 * channels, filters])
    windows = [_windows(inputs[row : row + side], side, columns) for row in range(rows)]
    outputs = tf.stack([tf.matmul(windows[row], matrices[row]) for row in range(rows)])

    def gradient(upstream):
        of_kernel = [
            tf.matmul(windows[row], upstream[row], transpose_a=True) for row in range(rows)
        ]
        of_inputs = [[] for _ in range(inputs.shape[0])]
        for row in range(rows):
            of_windows = tf.matmul(upstream[row], matrices[row], transpose_b=True)
            parts = tf.split(of_windows, side**2, axis=-1)
            for place, part in enumerate(parts):
                y, x = divmod(place, side)
                ends = [x, inputs.shape[1] - columns - x]
                of_inputs[row + y].append(tf.pad(part, [ends, [0, 0], [0, 0]]))
        of_inputs = tf.stack([tf.add_n(parts) for parts in of_inputs])
        return of_inputs, tf.reshape(tf.stack(of_kernel), kernel.shape)

    return outputs, gradient


def _windows(slab, side, columns):
    """`[side, width, batch, channels]` → `[columns, batch, side * side * channels]`."""
    parts = [slab[y, x : x + columns] for y in range(side) for x in range(side)]
    return tf.concat(parts, axis=-1)
