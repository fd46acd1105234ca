"""The small Keras layers that Keras itself lacks."""

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.networks.spec import ceil_pooled_size

_register = keras.saving.register_keras_serializable(package="keras_alexnet")


# Registered by the name that it has in files which exist.
@keras.saving.register_keras_serializable(package="keras_alexnet", name="Standardise")
class Standardize(keras.layers.Layer):
    """(pixel - mean) / std per channel, in float32 whatever the precision policy.

    Args:
        mean: one number per channel, on the scale of the pixels.
        std: one number per channel.
        reverse: whether the channels come out in reverse order, R, G, B as B, G, R.

    Input: pixels `[batch, height, width, channels]` of any number type. Output: float32, the same
    shape.

    Example:
        >>> layer = Standardize(mean=[127.5] * 3, std=[127.5] * 3)
        >>> float(layer(np.full([1, 2, 2, 3], 255, "uint8"))[0, 0, 0, 0])
        1.0
    """

    def __init__(self, mean, std, reverse=False, **kwargs):
        # bfloat16 holds 8 bits of a number: taking 123.68 from pixels in it would lose the image.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        self.reverse = reverse

    def call(self, inputs):
        outputs = (tf.cast(inputs, tf.float32) - self.mean) / self.std
        return tf.reverse(outputs, axis=[-1]) if self.reverse else outputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"mean": self.mean, "std": self.std, "reverse": self.reverse}
        return {**super().get_config(), **own}


@_register
class Convolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with zeros counted per side, and groups without XLA.

    Args:
        padding: zeros (before, after) both height and width, or one number for all four sides.

    All other arguments are Conv2D's; dilation and channels-first data are not supported.

    Input: `[batch, height, width, channels]`. Output: `[batch, height, width, filters]`.

    Example:
        >>> layer = Convolution(96, 11, strides=4, padding=(0, 3))
        >>> layer(np.ones([1, 224, 224, 3], "float32")).shape
        TensorShape([1, 55, 55, 96])
    """

    def __init__(self, filters, kernel_size, padding=(0, 0), **kwargs):
        super().__init__(filters, kernel_size, padding="valid", **kwargs)
        self.zeros = (padding, padding) if isinstance(padding, int) else tuple(padding)

    def convolution_op(self, inputs, kernel):
        padding = "SAME" if self._same_as_tensorflow() else "VALID"
        if padding == "VALID" and any(self.zeros):
            # tf.nn.conv2d takes zeros per side as well, but its CPU gradients then run outside
            # oneDNN: 1.3 times the time in float32, some 50 times in bfloat16.
            inputs = tf.pad(inputs, [[0, 0], self.zeros, self.zeros, [0, 0]])
        if self.groups == 1:
            return tf.nn.conv2d(inputs, kernel, self.strides, padding)
        # One convolution per group is as fast as tf.nn.conv2d's own groups, whose gradient CPUs
        # have in oneDNN only and never in float16. Keras compiles groups by XLA, and every saved
        # model then holds a function that TF Serving cannot run.
        parts = zip(
            tf.split(inputs, self.groups, axis=-1),
            tf.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return tf.concat([tf.nn.conv2d(*part, self.strides, padding) for part in parts], axis=-1)

    def _same_as_tensorflow(self):
        """Whether "SAME" puts these zeros: with strides it depends on the input's size."""
        return self.strides == (1, 1) and all(
            self.zeros == (side // 2, side // 2) and side % 2 for side in self.kernel_size
        )

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        height, width = (size and size + sum(self.zeros) for size in (height, width))
        return super().compute_output_shape((batch, height, width, channels))

    def get_config(self):
        return {**super().get_config(), "padding": list(self.zeros)}


@_register
class LocalResponseNormalization(keras.layers.Layer):
    """Normalization across neighboring channels, as in the AlexNet paper, section 3.3.

    x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 channels) ^ beta, where the sum stops
    at the first and last channel. `alpha` multiplies the sum itself: Caffe, cuda-convnet and
    PyTorch divide theirs by the number of channels in the sum first. With `groups`, each of so many
    equal parts of the channels is normalized by itself.

    Input and output: `[batch, height, width, channels]`. It computes in float32 and casts back,
    since TensorFlow has no bfloat16 kernel on CPU and only float32 on GPU and under XLA.

    Example:
        >>> layer = LocalResponseNormalization(depth_radius=2, bias=2, alpha=1e-4, beta=0.75)
        >>> layer(np.ones([1, 5, 5, 8], "float32")).shape
        TensorShape([1, 5, 5, 8])
    """

    def __init__(self, depth_radius, bias, alpha, beta, groups=1, **kwargs):
        super().__init__(**kwargs)
        self.depth_radius = depth_radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta
        self.groups = groups

    def call(self, inputs):
        inputs = tf.cast(inputs, tf.float32)
        parts = [inputs] if self.groups == 1 else tf.split(inputs, self.groups, axis=-1)
        outputs = [
            tf.nn.local_response_normalization(
                part, self.depth_radius, self.bias, self.alpha, self.beta
            )
            for part in parts
        ]
        outputs = outputs[0] if self.groups == 1 else tf.concat(outputs, axis=-1)
        return tf.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        constants = ("depth_radius", "bias", "alpha", "beta", "groups")
        return {**super().get_config(), **{name: getattr(self, name) for name in constants}}


@_register
class AdaptiveAveragePooling2D(keras.layers.AdaptiveAveragePooling2D):
    """`keras.layers.AdaptiveAveragePooling2D`, also of maps one pixel high or wide.

    Inside a `tf.function` Keras lays a window of two over that one pixel and fails. All of
    PyTorch's bins hold just that pixel, and so it is repeated first.

    Input: `[batch, height, width, channels]` with known height and width. Output:
    `[batch, *output_size, channels]`, equal to PyTorch's `AdaptiveAvgPool2d`.
    """

    def call(self, inputs):
        _, height, width, _ = inputs.shape
        rows, columns = self.output_size
        repeats = [1, rows if height == 1 else 1, columns if width == 1 else 1, 1]
        return super().call(tf.tile(inputs, repeats) if max(repeats) > 1 else inputs)


@_register
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` whose masks differ from replica to replica.

    Keras draws one mask for all replicas of a `tf.distribute` strategy. The seed here is the
    layer's own state, which moves on at every call, folded with the number of the replica. Masks
    are drawn in float32, so that they are the same and the rate exact in every precision.

    Args:
        rate: share of the units set to 0 in training; the others are divided by 1 - rate.
        seed: int; the same seed gives the same masks.
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        return tf.where(self._kept(inputs), inputs / (1 - self.rate), tf.zeros_like(inputs))

    def _kept(self, inputs):
        """Returns which units this call on this replica keeps, bool in the shape of the inputs."""
        return tf.random.stateless_uniform(tf.shape(inputs), self._next_seed()) >= self.rate

    def _next_seed(self):
        """Returns the seed, int32 [2], of this call on this replica."""
        state = tf.math.floormod(self.seed_generator.next(), tf.int32.max)
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        return tf.random.experimental.stateless_fold_in(tf.cast(state, tf.int32), replica)


@_register
class UnscaledDropout(Dropout):
    """`Dropout` of the 2012 program: kept units stay as they are, and at test all are reduced.

    Training sets the share `rate` of the units to 0 and leaves the others alone; otherwise all
    units are multiplied by 1 - rate. The masks are those of `Dropout` with the same seed.

    Example:
        >>> float(UnscaledDropout(0.5)(np.ones([1, 8], "float32"), training=False)[0, 0])
        0.5
    """

    def call(self, inputs, training=False):
        if not training:
            return inputs * (1 - self.rate)
        if self.rate == 0:
            return inputs
        return tf.where(self._kept(inputs), inputs, tf.zeros_like(inputs))


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
    """Response normalization over an n x n neighborhood inside one channel.

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
