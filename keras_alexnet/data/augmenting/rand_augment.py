"""RandAugment: random operations of a common strength (Cubuk et al., CVPRW 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from keras_alexnet.data.augmentation import Augmentation, Context
from keras_alexnet.networks.spec import ImagePlan

if TYPE_CHECKING:
    import tensorflow as tf

_STRONGEST = 30
_MOST_OPERATIONS = 14

# As in torchvision: level 30 of each operation; "signed" ones are reversed for half of the images.
# The level is (m / 30) times it, and for solarize and posterize it counts down from the other end.
_SHIFT = 150 / 331  # of the width, for the 331 pixels of the paper's images


class _Operation(NamedTuple):
    name: str
    strongest: float = 0.0
    is_signed: bool = False


OPERATIONS = (
    _Operation("identity"),
    _Operation("shear_x", 0.3, True),
    _Operation("shear_y", 0.3, True),
    _Operation("translate_x", _SHIFT, True),
    _Operation("translate_y", _SHIFT, True),
    _Operation("rotate", 30.0, True),
    _Operation("brightness", 0.9, True),
    _Operation("color", 0.9, True),
    _Operation("contrast", 0.9, True),
    _Operation("sharpness", 0.9, True),
    _Operation("posterize", 4.0),
    _Operation("solarize", 255.0),
    _Operation("autocontrast"),
    _Operation("equalize"),
)


class RandAugment(Augmentation):
    """Applies random operations to each image, one after the other.

    randaugment(2, 9) applies 2 operations of the strength 9, of 0 to 30: torchvision's 14
    operations, with its magnitudes, by the nearest pixel, and black where nothing is. What it
    leaves out of timm's `rand-m9-mstd0.5-inc1`: its own operations (invert, solarize-add), random
    strengths and the mean color as filling.

    Images that are not uint8 are rounded to it. keras.layers.RandAugment is not used: it draws from
    a state of its own, and one choice for a whole batch, so that no draw belongs to an image.
    """

    name, stage, stream = "randaugment", "crops", 8

    def __init__(self, parameter: str | None = None) -> None:
        parts = [part.strip() for part in (parameter or "2, 9").split(",")]
        if len(parts) != 2 or not all(part.isdecimal() for part in parts):
            raise ValueError("its parameters must be two whole numbers, such as (2, 9)")
        self.count, self.strength = int(parts[0]), int(parts[1])
        if not 1 <= self.count <= _MOST_OPERATIONS or self.strength > _STRONGEST:
            raise ValueError(
                f"it applies from 1 to {_MOST_OPERATIONS} operations, of a strength from 0 to "
                f"{_STRONGEST}"
            )

    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> tf.Tensor:
        """Draws operation and sign as one number, int32 `[n, count]` from 0 to 27."""
        import tensorflow as tf

        shape = [images, self.count]
        return tf.random.stateless_uniform(
            shape, key, 0, 2 * len(OPERATIONS), tf.int32, alg="philox"
        )

    def apply(self, images: tf.Tensor, draws: tf.Tensor, context: Context) -> tf.Tensor:
        import tensorflow as tf

        if images.dtype != tf.uint8:
            images = tf.cast(tf.round(tf.clip_by_value(images, 0, 255)), tf.uint8)
        # Converting all operations by AutoGraph, which they do not need, would take seconds.
        operated = tf.autograph.experimental.do_not_convert(self._operated)
        for number in range(self.count):
            drawn = draws[:, number]
            images = operated(images, drawn // 2, drawn % 2 == 1)
        return images

    def _operated(self, images: tf.Tensor, chosen: tf.Tensor, reverse: tf.Tensor) -> tf.Tensor:
        """Applies to each image its operation, on the images of one operation together."""
        import tensorflow as tf

        places = tf.dynamic_partition(tf.range(tf.shape(chosen)[0]), chosen, len(OPERATIONS))
        done = []
        for operation, own in zip(OPERATIONS, places, strict=True):
            signs = tf.where(tf.gather(reverse, own), -1.0, 1.0)
            done.append(self.operated(operation, tf.gather(images, own), signs))
        return tf.ensure_shape(tf.dynamic_stitch(places, done), images.shape)

    def operated(self, operation: _Operation, images: tf.Tensor, signs: tf.Tensor) -> tf.Tensor:
        """Applies one operation to uint8 `[k, h, w, 3]`, with signs float32 `[k]` of -1 or 1."""
        if operation.name == "identity":
            return images
        levels: Any = self._level(operation, images.shape[2])
        levels = signs * levels if operation.is_signed else signs * 0.0 + levels
        if operation.name in ("brightness", "color", "contrast", "sharpness"):
            levels = 1.0 + levels
        return _function(operation.name)(images, levels)

    def _level(self, operation: _Operation, side: int) -> float:
        share = self.strength / _STRONGEST
        if operation.name.startswith("translate"):
            return operation.strongest * side * share
        if operation.name == "posterize":
            return 8 - round(operation.strongest * share)
        if operation.name == "solarize":
            return operation.strongest * (1 - share)
        return operation.strongest * share


def _function(name: str) -> Any:
    from keras_alexnet.data.augmenting import colors, geometry

    return getattr(geometry, name, None) or getattr(colors, name)
