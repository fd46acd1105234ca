"""Layers that Keras lacks: standardization, convolution, response normalization, dropout."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.errors import UsageError
from keras_alexnet.utils.pixels import message, wrong_scale

_register = keras.saving.register_keras_serializable(package="keras_alexnet")


# Registered under the name that it has in existing files.
@keras.saving.register_keras_serializable(package="keras_alexnet", name="Standardise")
class Standardize(keras.layers.Layer):
    """(pixel - mean) / std per channel, in float32 whatever the precision policy.

    Args:
        mean: one number per channel, on the scale of the pixels.
        std: one number per channel, on the same scale, above 0.
        reverse: whether to reverse the order of the channels, R, G, B to B, G, R.

    Input: pixels `[batch, height, width, channels]` of any number type, 0–255; at the first call
    outside a graph, a warning says if they seem to be on another scale. Output: float32 of the same
    shape.

    Example:
        >>> layer = Standardize(mean=[127.5] * 3, std=[127.5] * 3)
        >>> float(layer(np.full([1, 2, 2, 3], 255, "uint8"))[0, 0, 0, 0])
        1.0
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], reverse: bool = False, **kwargs: Any
    ) -> None:
        # bfloat16 has 8 significant bits: subtracting 123.68 in it would lose the image.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.mean = [float(value) for value in mean]
        self.std = [float(value) for value in std]
        if not np.all(np.isfinite(self.mean + self.std)) or min(self.std, default=1) <= 0:
            raise UsageError(
                "Pixels are standardized with finite means and deviations above 0. Received: "
                f"{self.mean}, {self.std}."
            )
        self.reverse = reverse
        self._looked = False

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        # A graph, as of `fit` and `predict`, shows no values.
        if tf.executing_eagerly() and not self._looked:
            self._looked = True
            if (received := wrong_scale(inputs)) is not None:
                logging.warning("%s", message("The input of a network", received))
        outputs = (tf.cast(inputs, tf.float32) - self.mean) / self.std
        return tf.reverse(outputs, axis=[-1]) if self.reverse else outputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {"mean": self.mean, "std": self.std, "reverse": self.reverse}
        return {**super().get_config(), **own}


@_register
class Convolution(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with separate padding for each side, and groups without XLA.

    Args:
        padding: zeros (before, after) on both axes, or one number for all four sides.

    All other arguments are those of Conv2D; dilation and channels-first data are not supported.

    Input: `[batch, height, width, channels]`. Output: `[batch, height, width, filters]`.

    Example:
        >>> layer = Convolution(96, 11, strides=4, padding=(0, 3))
        >>> layer(np.ones([1, 224, 224, 3], "float32")).shape
        TensorShape([1, 55, 55, 96])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        padding: int | Sequence[int] = (0, 0),
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, padding="valid", **kwargs)
        self.zeros = (padding, padding) if isinstance(padding, int) else tuple(padding)

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        padding = "SAME" if self._same_as_tensorflow() else "VALID"
        if padding == "VALID" and any(self.zeros):
            # tf.nn.conv2d also takes zeros for each side, but its gradients on CPU then run outside
            # oneDNN, which takes 1.3 times as long in float32 and about 50 times in bfloat16.
            inputs = tf.pad(inputs, [[0, 0], self.zeros, self.zeros, [0, 0]])
        if self.groups == 1:
            return tf.nn.conv2d(inputs, kernel, self.strides, padding)
        # One convolution per group is as fast as the groups of tf.nn.conv2d, whose gradient on CPU
        # exists only in oneDNN and not in float16. Keras compiles groups by XLA, and saved models
        # then hold a function that TF Serving cannot run.
        parts = zip(
            tf.split(inputs, self.groups, axis=-1),
            tf.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return tf.concat([tf.nn.conv2d(*part, self.strides, padding) for part in parts], axis=-1)

    def _same_as_tensorflow(self) -> bool:
        """Whether "SAME" adds these zeros; with strides that depends on the input's size."""
        return self.strides == (1, 1) and all(
            self.zeros == (side // 2, side // 2) and side % 2 for side in self.kernel_size
        )

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        batch, height, width, channels = input_shape
        height, width = (size and size + sum(self.zeros) for size in (height, width))
        return super().compute_output_shape((batch, height, width, channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": list(self.zeros)}


@_register
class LocalResponseNormalization(keras.layers.Layer):
    """Normalization across neighboring channels, as in the AlexNet paper, section 3.3.

    x / (bias + alpha * sum of x^2 over 2 * depth_radius + 1 channels) ^ beta, where the sum stops
    at the first and last channel. `alpha` multiplies the sum itself: Caffe, cuda-convnet and
    PyTorch first divide theirs by the number of channels in the sum. With `groups`, each of that
    many equal parts of the channels is normalized separately.

    Input and output: `[batch, height, width, channels]`. It computes in float32 and casts back,
    because TensorFlow has no bfloat16 kernel on CPU and only float32 on GPU and under XLA. In
    training, its gradient is not that of TensorFlow, which takes six times as long on CPU.

    Example:
        >>> layer = LocalResponseNormalization(depth_radius=2, bias=2, alpha=1e-4, beta=0.75)
        >>> layer(np.ones([1, 5, 5, 8], "float32")).shape
        TensorShape([1, 5, 5, 8])
    """

    def __init__(
        self,
        depth_radius: int,
        bias: float,
        alpha: float,
        beta: float,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth_radius = depth_radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta
        self.groups = groups

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        inputs = tf.cast(inputs, tf.float32)
        # Only in training, because a SavedModel has no gradient where it holds a custom one.
        normalize = tf.custom_gradient(self._with_gradient) if training else self._normalized
        parts = [inputs] if self.groups == 1 else tf.split(inputs, self.groups, axis=-1)
        outputs = [normalize(part) for part in parts]
        outputs = outputs[0] if self.groups == 1 else tf.concat(outputs, axis=-1)
        return tf.cast(outputs, self.compute_dtype)

    def _normalized(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.local_response_normalization(
            inputs, self.depth_radius, self.bias, self.alpha, self.beta
        )

    def _with_gradient(self, inputs: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            channels = inputs.shape[-1]
            values, errors = (tf.reshape(each, [-1, channels]) for each in (inputs, upstream))
            # The sums over neighboring channels are products with a band of ones.
            reach = min(self.depth_radius, channels)
            band = tf.linalg.band_part(tf.ones([channels, channels]), reach, reach)
            scales = self.bias + self.alpha * tf.matmul(tf.square(values), band)
            if self.beta == 0.75:  # as in all sources; a power takes four times as long
                root = tf.math.rsqrt(scales)
                errors *= root * tf.sqrt(root)
            else:
                errors *= tf.pow(scales, -self.beta)
            across = values * tf.matmul(errors * values / scales, band)
            return tf.reshape(errors - 2 * self.alpha * self.beta * across, tf.shape(inputs))

        return self._normalized(inputs), in_gradient_scope(gradient)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        constants = ("depth_radius", "bias", "alpha", "beta", "groups")
        return {**super().get_config(), **{name: getattr(self, name) for name in constants}}


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
        ValueError: `size` is even, so that no cell is in the middle.

    Example:
        >>> layer = SameMapNormalization(size=3, bias=1, alpha=1 / 9, beta=1)
        >>> float(layer(np.ones([1, 5, 5, 8], "float32"))[0, 2, 2, 0])
        0.5
    """

    def __init__(self, size: int, bias: float, alpha: float, beta: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if size % 2 == 0:
            raise ValueError(f"size must be odd. Received: {size}.")
        self.size = size
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        values = tf.cast(inputs, tf.float32)
        sides = [self.size // 2] * 2
        # "SAME" would leave the zeros out of the mean, so that the number of cells would vary.
        squares = tf.pad(tf.square(values), [[0, 0], sides, sides, [0, 0]])
        sums = tf.nn.avg_pool2d(squares, self.size, 1, "VALID") * self.size**2
        return tf.cast(values * tf.pow(self.bias + self.alpha * sums, -self.beta), inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        constants = ("size", "bias", "alpha", "beta")
        return {**super().get_config(), **{name: getattr(self, name) for name in constants}}


@_register
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` whose masks differ from replica to replica.

    Keras draws one mask for all replicas of a `tf.distribute` strategy. The seed here is the
    layer's own state, which changes at every call, combined with the number of the replica. Masks
    are drawn in float32, so that they are the same and the rate is exact in every precision.

    Args:
        rate: fraction of the units set to 0 in training; the others are divided by 1 - rate.
        seed: int; the same seed gives the same masks.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return inputs
        return tf.where(self._kept(inputs), inputs / (1 - self.rate), tf.zeros_like(inputs))

    def _kept(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns which units this call on this replica keeps, bool in the shape of the inputs."""
        return tf.random.stateless_uniform(tf.shape(inputs), self._next_seed()) >= self.rate

    def _next_seed(self) -> tf.Tensor:
        """Returns the seed, int32 [2], of this call on this replica."""
        state = tf.math.floormod(self.seed_generator.next(), tf.int32.max)
        context = tf.distribute.get_replica_context()
        replica = context.replica_id_in_sync_group if context else 0
        return tf.random.experimental.stateless_fold_in(tf.cast(state, tf.int32), replica)


@_register
class UnscaledDropout(Dropout):
    """`Dropout` of the 2012 program, which scales all units outside training.

    Training sets the fraction `rate` of the units to 0 and leaves the others unchanged. Outside
    training all units are multiplied by 1 - rate. The masks are those of `Dropout` with the same
    seed.

    Example:
        >>> float(UnscaledDropout(0.5)(np.ones([1, 8], "float32"), training=False)[0, 0])
        0.5
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return inputs * (1 - self.rate)
        if self.rate == 0:
            return inputs
        return tf.where(self._kept(inputs), inputs, tf.zeros_like(inputs))


def in_gradient_scope(gradient: Callable) -> Callable:
    """Returns a function for `tf.custom_gradient`, named as TensorFlow names its own gradients.

    By these names, profiles find the layer of an operation.
    """
    scope = tf.get_current_name_scope()

    def scoped(*upstream: tf.Tensor) -> Any:
        with tf.name_scope(f"gradient_tape/{scope}/"):
            return gradient(*upstream)

    return scoped if scope else gradient
