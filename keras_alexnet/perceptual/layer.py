"""PerceptualDistance: LPIPS 0.1 on AlexNet as a Keras layer."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError, shown, whole_number
from keras_alexnet.perceptual import linear_weights
from keras_alexnet.perceptual.backbone import (
    LAYERS,
    SMALLEST,
    build_backbone,
    check_image_size,
)
from keras_alexnet.utils.values import Range, number, path_text, switch

_EPSILON = 1e-10  # of the package lpips


@keras.saving.register_keras_serializable(package="keras_alexnet")
class PerceptualDistance(keras.layers.Layer):
    """Distance of two images as people see it: LPIPS 0.1 on AlexNet (Zhang et al., CVPR 2018).

    The activations of the five convolutions, each scaled to length 1 at every position, are
    subtracted and squared; a weighted sum over the channels, the mean over the positions and the
    sum over the layers is the distance. It is 0 for equal images. Value, map and gradient are those
    of the package lpips with `net="alex"`, but where all activations of a position are 0, its
    gradient is NaN, and this one is 0.

    The layer is frozen, and computes in float32 whatever the precision policy. A `.keras` file of a
    model with this layer holds its weights, so that loading it needs no other file. `from_config`
    gives distances of NaN until weights are loaded, unless they were random.

    Args:
        weights: of the network: "imagenet", with which LPIPS was calibrated; a file, as for
            `keras_alexnet.AlexNet`; a model of `alexnet_owt` that `build` made, whose weights are
            copied; or None for random ones.
        value_range: the values of black and white: (0, 255), (-1, 1), (0, 1) or others.
        spatial: whether to return a map of the distance instead of its mean.
        seed: fixes random weights.
        name: the layer's name.

    Input: two batches of RGB images of the same size, at least 31 x 31: `[batch, height, width,
    3]`, of any number type; one of them may be a batch of 1, which is compared with all others.

    Output: float32 `[batch]`; with `spatial`, `[batch, height, width]`, where the map of each
    layer has been enlarged bilinearly.

    Raises:
        UsageError: an argument that cannot be used, or images that are too small or differ in size.
        UserError: the weights cannot be read, or are of a different network.

    Example:
        >>> distance = PerceptualDistance(weights=None, seed=0)
        >>> black, white = np.zeros([2, 64, 64, 3], "uint8"), np.full([2, 64, 64, 3], 255, "uint8")
        >>> distance(black, black).numpy()
        array([0., 0.], dtype=float32)
        >>> bool(distance(black, white)[0] > 0)
        True
    """

    def __init__(
        self,
        weights: str | os.PathLike | keras.Model | None = "imagenet",
        *,
        value_range: Sequence[float] = (0, 255),
        spatial: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Differences of activations that are nearly the same are lost in 8 bits.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.value_range = checked_value_range(value_range)
        self.spatial = switch("spatial", spatial)
        if seed is None and weights is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])  # which get_config returns
        self.seed = None if seed is None else whole_number("seed", seed)
        self.source = source_of(weights)
        self.backbone = build_backbone(weights, self.seed)
        self._channels = linear_weights.read()

    def call(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        parts = self.by_layer(first, second)
        return map_of(parts, tf.shape(first)[1:3]) if self.spatial else mean_of(parts)

    def by_layer(self, first: tf.Tensor, second: tf.Tensor) -> list[tf.Tensor]:
        """Returns the distances at each position of each layer.

        Args:
            first, second: images, as for the layer.

        Returns:
            For conv1 to conv5, `[batch, height, width, 1]` of the layer's map.
        """
        check_shapes(first.shape, second.shape)
        if self.value_range != (0, 255) and tf.uint8 in (first.dtype, second.dtype):
            raise UsageError(
                f"Images of uint8 have the values 0-255, but value_range is {self.value_range}."
            )
        with tf.control_dependencies(_checked_when_run(first, second)):
            first, second = tf.cast(first, tf.float32), tf.cast(second, tf.float32)
        return [
            tf.reduce_sum(tf.math.squared_difference(*pair) * self._channels[layer], -1, True)
            for layer, *pair in zip(LAYERS, self._maps(first), self._maps(second), strict=True)
        ]

    def _maps(self, images: tf.Tensor) -> list[tf.Tensor]:
        low, high = self.value_range
        if self.value_range != (0, 255):
            images = (images - low) * (255 / (high - low))
        return [_unit(maps) for maps in self.backbone(images, training=False)]

    def compute_output_shape(self, first_shape: tuple, second_shape: tuple) -> tuple:
        batch = check_shapes(first_shape, second_shape)
        return (batch, *first_shape[1:3]) if self.spatial else (batch,)

    @property
    def trainable(self) -> bool:
        """False, even if a model that contains the layer is made trainable."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        pass

    def get_config(self) -> dict[str, Any]:
        own = {
            "weights": self.source,
            "value_range": list(self.value_range),
            "spatial": self.spatial,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PerceptualDistance":
        layer = cls(**{**config, "weights": None})
        if config["weights"] is not None:
            layer.source = config["weights"]
            # Random weights would give distances that look right.
            layer.backbone.set_weights(
                [np.full(each.shape, np.nan, np.float32) for each in layer.backbone.weights]
            )
        return layer


def mean_of(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the distances of images, `[batch]`, from those of `PerceptualDistance.by_layer`."""
    return tf.add_n([tf.reduce_mean(part, [1, 2, 3]) for part in parts])


def map_of(parts: Sequence[tf.Tensor], size: tf.Tensor) -> tf.Tensor:
    """Returns the map of the distance, `[batch, height, width]`, enlarged to the images' size."""
    return tf.add_n([tf.image.resize(part, size, "bilinear") for part in parts])[..., 0]


def check_shapes(first: Sequence[int | None], second: Sequence[int | None]) -> int | None:
    """Returns the size of the batch of two batches of images; None is a side that is not known.

    Raises:
        UsageError: they are no batches of RGB images, too small, or do not have the same size.
    """
    for shape in (first, second):
        if len(shape) != 4 or shape[-1] != 3:
            raise UsageError(
                "The perceptual distance is of RGB images [batch, height, width, 3]. "
                f"Received: {_shown(first)} and {_shown(second)}."
            )
        check_image_size(*shape[1:3])
    known = [None not in pair and pair[0] != pair[1] for pair in zip(first, second, strict=True)]
    batches = (first[0], second[0])
    if any(known[1:]) or (known[0] and 1 not in batches):
        raise UsageError(
            "Both images must have the same size, and both batches too, or one of them be 1. "
            f"Received: {_shown(first)} and {_shown(second)}."
        )
    return batches[1] if batches[0] == 1 else batches[0]


def checked_value_range(value_range: Sequence[float]) -> tuple[float, float]:
    """Returns the values of black and white.

    Raises:
        UsageError: they are not two numbers, the lower first.

    Example:
        >>> checked_value_range([-1, 1])
        (-1, 1)
    """
    values = tuple(value_range) if np.iterable(value_range) else ()
    if len(values) == 2:
        low = number("value_range", values[0])
        return low, number("value_range's second number", values[1], Range(above=low))
    raise UsageError(
        "value_range must be the values of black and white, such as (0, 255) or (-1, 1). "
        f"Received: {shown(value_range)}."
    )


def source_of(weights: Any) -> str | None:
    """Returns what a config says of the weights; a file is named by its full path."""
    if isinstance(weights, keras.Model):
        return f"<the model {weights.name} in memory>"  # not the name of a file
    if isinstance(weights, (str, os.PathLike)):
        text = path_text("weights", weights)
        return os.path.abspath(text) if os.path.exists(text) else text
    return None


def _checked_when_run(first: tf.Tensor, second: tf.Tensor) -> list[tf.Operation]:
    """Checks sizes that are known only when a graph runs."""
    if None not in (*first.shape[1:3], *second.shape[1:3]):
        return []
    sizes = [tf.shape(image)[1:3] for image in (first, second)]
    wanted = f"Both images must have the same size, at least {SMALLEST}x{SMALLEST}."
    return [
        tf.debugging.assert_equal(*sizes, message=wanted),
        tf.debugging.assert_greater_equal(tf.reduce_min(sizes[0]), SMALLEST, message=wanted),
    ]


def _unit(maps: tf.Tensor) -> tf.Tensor:
    """Scales the activations at each position to length 1."""
    squares = tf.reduce_sum(tf.square(maps), axis=-1, keepdims=True)
    # The gradient of a root at 0 would be NaN.
    lengths = tf.sqrt(tf.where(squares > 0, squares, tf.ones_like(squares)))
    return maps / (lengths + _EPSILON)


def _shown(shape: Sequence[int | None]) -> str:
    return str(list(shape))
