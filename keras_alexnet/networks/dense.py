"""Dense: `keras.layers.Dense`, trained faster on processors."""

import keras
import tensorflow as tf

_PAGE = 4096  # bytes
_MORE_COLUMNS = 16  # a line of the cache in float32


@keras.saving.register_keras_serializable(package="keras_alexnet")
class Dense(keras.layers.Dense):
    """`keras.layers.Dense` that trains faster on CPU if the rows of its kernel are whole pages.

    With 4096 units, all rows begin at the same place of a page, so that they compete for the same
    lines of the processor's cache: their product with a batch takes twice as long. Training uses a
    copy of the kernel with a few more columns, whose outputs are dropped.

    Input: `[batch, channels]`. Output: `[batch, units]`.

    Example:
        >>> Dense(4096)(np.ones([2, 8], "float32"), training=True).shape
        TensorShape([2, 4096])
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        has_whole_pages = self.units * tf.as_dtype(self.compute_dtype).size % _PAGE == 0
        if not training or not has_whole_pages or tf.config.list_physical_devices("GPU"):
            return super().call(inputs)
        kernel = tf.pad(self.kernel, [[0, 0], [0, _MORE_COLUMNS]])
        outputs = tf.matmul(inputs, kernel)[:, : self.units]
        return self.activation(outputs + self.bias if self.use_bias else outputs)
