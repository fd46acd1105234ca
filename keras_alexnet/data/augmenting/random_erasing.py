"""Random erasing: a random rectangle of some images is filled (Zhong et al., AAAI 2020)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from keras_alexnet.data.augmentation import Augmentation, Context
from keras_alexnet.networks.spec import ImagePlan

if TYPE_CHECKING:
    import tensorflow as tf

_AREA, _RATIO = (0.02, 0.33), (0.3, 3.3)  # torchvision's
_TRIES = 10


class RandomErasing(Augmentation):
    """Fills a rectangle of an image with the mean color of the training pixels, at random.

    random_erasing(0.25) does so with the probability 0.25, random_erasing with torchvision's 0.5.
    The rectangle has 2 to 33 % of the area and a height of 0.3 to 3.3 times its width, and lies
    inside the image; of ten that are drawn, the first that fits is used. The mean color is what
    torchvision's 0 is, which erases after the mean is subtracted.
    """

    name, stage, stream, needs_statistics = "random_erasing", "crops", 9, True

    def __init__(self, parameter: str | None = None) -> None:
        try:
            self.probability = 0.5 if parameter is None else float(parameter)
        except ValueError:
            self.probability = math.nan
        if not 0 < self.probability <= 1:
            raise ValueError("its parameter must be a probability above 0, of at most 1")

    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> tf.Tensor:
        """Draws the rectangles, int32 `[n, 4]`: top, left, height, width; of size 0 for none."""
        import tensorflow as tf

        drawn = tf.random.stateless_uniform([images, 3 + 2 * _TRIES], key, alg="philox")
        area = plan.crop_size**2 * (_AREA[0] + (_AREA[1] - _AREA[0]) * drawn[:, 3 : 3 + _TRIES])
        low, high = (math.log(ratio) for ratio in _RATIO)
        ratio = tf.exp(low + (high - low) * drawn[:, 3 + _TRIES :])
        sides = tf.stack([tf.sqrt(area * ratio), tf.sqrt(area / ratio)], axis=2)
        sides = tf.cast(tf.round(sides), tf.int32)
        fits = tf.reduce_all(sides < plan.crop_size, axis=2)
        first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
        erases = tf.reduce_any(fits, axis=1) & (drawn[:, 0] < self.probability)
        sides = tf.where(erases[:, None], tf.gather(sides, first, axis=1, batch_dims=1), 0)
        room = tf.cast(plan.crop_size - sides + 1, tf.float32)
        return tf.concat([tf.cast(drawn[:, 1:3] * room, tf.int32), sides], axis=1)

    def apply(self, images: tf.Tensor, draws: tf.Tensor, context: Context) -> tf.Tensor:
        import tensorflow as tf

        from keras_alexnet.data import views

        assert context.statistics is not None
        hole = views.rectangles(images, draws[:, :2], draws[:, 2:])
        mean = tf.constant(context.statistics.mean, tf.float32)
        return tf.where(hole, tf.cast(tf.round(mean), images.dtype), images)
