"""Augmentations: random changes of training images, and their registry.

To add one, write a class with a name, its random draws and what it does with them, and `register`
it: recipes, `--augment` and `train_batches` then find it by its name. TensorFlow is imported when
an augmentation is used, because `--help` and recipes only need the names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_alexnet.data.augmentation import STAGES, Augmentation, Context
from keras_alexnet.data.augmenting.rand_augment import RandAugment
from keras_alexnet.data.augmenting.random_erasing import RandomErasing
from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks.spec import ImagePlan

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


class Crop(Augmentation):
    """Crops each square at a random place, after the plan's padding.

    The padding is zeros; crop(reflect) mirrors the image at its border instead. crop(2) and
    crop(reflect, 2) cut at most 2 pixels beside the center crop, and not outside the padding.
    """

    name, stage, stream = "crop", "squares", 2

    def __init__(self, parameter: str | None = None) -> None:
        options = parameter.split(", ") if parameter else []
        self.reflects = options[:1] == ["reflect"]
        pixels = options[self.reflects :]
        if len(pixels) > 1 or not all(each.isdecimal() and int(each) for each in pixels):
            raise ValueError("its parameters must be reflect, a number of pixels, both, or none")
        self.farthest = int(pixels[0]) if pixels else None

    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> tf.Tensor:
        """Draws top and left, int32 `[n, 2]`, so that the crop is inside the padded square."""
        import tensorflow as tf

        largest = plan.square_size + 2 * plan.crop_padding - plan.crop_size
        first, last = 0, largest
        if self.farthest is not None:
            center = largest // 2
            first, last = max(0, center - self.farthest), min(largest, center + self.farthest)
        shape = [images, 2]
        return tf.random.stateless_uniform(shape, key, first, last + 1, tf.int32, alg="philox")

    def apply(self, images: tf.Tensor, draws: tf.Tensor, context: Context) -> tf.Tensor:
        return self.cut(images, draws, context)

    def cut(
        self, images: tf.Tensor, draws: tf.Tensor, context: Context, flips: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Does what `apply` does, and mirrors those for which bool `[batch]` flips is true."""
        from keras_alexnet.data import views

        padding, size = context.plan.crop_padding, context.plan.crop_size
        if self.reflects:
            return views.crop_reflected_at(images, padding, draws, size, flips)
        return views.crop_at(views.pad(images, padding), draws, size, flips)


class Flip(Augmentation):
    """Mirrors each image with probability 1/2.

    flip(alternating) draws in every second epoch only, and mirrors the other half of the images in
    the epoch after it, so that two epochs show each image in both forms (Jordan, "94% on CIFAR-10
    in 3.29 Seconds on a Single A100", 2024, section 3.6).
    """

    name, stage, stream = "flip", "crops", 1

    def __init__(self, parameter: str | None = None) -> None:
        if parameter not in (None, "alternating"):
            raise ValueError("its parameter must be alternating, or left out")
        self.alternates = parameter == "alternating"

    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> tf.Tensor:
        """Draws which images to mirror, bool `[n]`."""
        import tensorflow as tf

        return tf.random.stateless_uniform([images], key, alg="philox") < 0.5

    def draw_of_epoch(
        self,
        key_of: Callable[[tf.Tensor], tf.Tensor],
        epoch: tf.Tensor,
        images: int,
        plan: ImagePlan,
    ) -> tf.Tensor:
        """Draws which images to mirror, or, after an epoch that drew, takes the others."""
        import tensorflow as tf

        if not self.alternates:
            return self.draw(key_of(epoch), images, plan)
        second = epoch % 2
        return tf.math.logical_xor(self.draw(key_of(epoch - second), images, plan), second == 1)

    def apply(self, images: tf.Tensor, draws: tf.Tensor, context: Context) -> tf.Tensor:
        from keras_alexnet.data import views

        return views.flip_horizontal(images, draws)


class Cutout(Augmentation):
    """Fills a square of each image with the mean color of the training pixels.

    cutout(8) fills 8 x 8 pixels. The square's center is anywhere in the image, so that a part of it
    may lie outside (DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks
    with Cutout", 2017).
    """

    name, stage, stream, needs_statistics = "cutout", "crops", 4, True

    def __init__(self, parameter: str | None = None) -> None:
        if parameter is None or not parameter.isdecimal() or int(parameter) < 1:
            raise ValueError("its parameter must be the side of the square in pixels")
        self.side = int(parameter)

    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> tf.Tensor:
        """Draws the row and column of the center, int32 `[n, 2]`."""
        import tensorflow as tf

        size = plan.crop_size
        return tf.random.stateless_uniform([images, 2], key, 0, size, tf.int32, alg="philox")

    def apply(self, images: tf.Tensor, draws: tf.Tensor, context: Context) -> tf.Tensor:
        import tensorflow as tf

        from keras_alexnet.data import views

        assert context.statistics is not None
        hole = views.rectangles(images, draws - self.side // 2, tf.fill([1, 2], self.side))
        mean = tf.constant(context.statistics.mean, tf.float32)
        return tf.where(hole, tf.cast(tf.round(mean), images.dtype), images)


class ColorNoise(Augmentation):
    """Adds one random color to each image, along the principal axes of the training pixels.

    With p and λ the eigenvectors and eigenvalues of the pixels' covariance and z ~ N(0, 1):
    color_noise(paper) adds p · (0.1 z λ), λ of pixels in [0, 1], the sum brought back to 0–255;
    color_noise(2012), the form of the paper's own program, adds p · (0.1 z √λ), λ of pixels in
    0–255, and then divides the difference from the mean by 1.1. The program subtracts the mean; it
    is added again here, because the model subtracts it.

    The images become float32 and are not clipped.
    """

    name, stage, stream, needs_statistics = "color_noise", "inputs", 3, True

    def __init__(self, parameter: str | None = None) -> None:
        if parameter not in ("paper", "2012"):
            raise ValueError("its parameter must be paper or 2012")
        self.form = parameter

    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> tf.Tensor:
        """Draws z from N(0, 1), float32 `[n, 3]`."""
        import tensorflow as tf

        return tf.random.stateless_normal([images, 3], key, alg="philox")

    def apply(self, images: tf.Tensor, draws: tf.Tensor, context: Context) -> tf.Tensor:
        import tensorflow as tf

        assert context.statistics is not None
        axes = self._axes(context.statistics.covariance)
        noise = tf.linalg.matmul(draws, axes)
        # Whole rows are several times as fast as pixels of three numbers.
        height, width = images.shape[1:3]
        rows = tf.reshape(tf.cast(images, tf.float32), [-1, height, 3 * width])
        if self.form == "2012":
            # What does not depend on the pixel is computed once an image, not once a pixel.
            mean = tf.constant(context.statistics.mean, tf.float32)
            rows, noise = rows / 1.1, mean + (noise - mean) / 1.1
        noisy = rows + tf.tile(noise, [1, width])[:, None]
        return tf.reshape(noisy, [-1, height, width, 3])

    def _axes(self, covariance: np.ndarray) -> tf.Tensor:
        """Returns what z_i = 1 adds to (R, G, B) in row i, float32 `[3, 3]`, in gray levels."""
        import numpy as np
        import tensorflow as tf

        eigenvalues, eigenvectors = np.linalg.eigh(covariance)
        # An eigenvector's sign is arbitrary. It is fixed, so that a seed always gives one color.
        largest = eigenvectors[np.abs(eigenvectors).argmax(axis=0), range(3)]
        eigenvectors = eigenvectors * np.sign(largest)
        eigenvalues = np.maximum(eigenvalues, 0)  # for gray data, two may be just below zero
        strength = eigenvalues / 255**2 * 255 if self.form == "paper" else np.sqrt(eigenvalues)
        return tf.constant((eigenvectors * (0.1 * strength)).T, tf.float32)


_AUGMENTATIONS: dict[str, type[Augmentation]] = {
    augmentation.name: augmentation
    for augmentation in (Crop, Flip, Cutout, ColorNoise, RandAugment, RandomErasing)
}


def list_augmentations() -> list[str]:
    """Returns the names of all augmentations.

    Example:
        >>> list_augmentations()
        ['crop', 'flip', 'cutout', 'color_noise', 'randaugment', 'random_erasing']
    """
    return list(_AUGMENTATIONS)


def get(name: str) -> type[Augmentation]:
    """Returns an augmentation.

    Raises:
        UsageError: if no augmentation has that name.

    Example:
        >>> get("flip").stage
        'crops'
    """
    if name not in _AUGMENTATIONS:
        raise unknown_name("augmentation", name, _AUGMENTATIONS)
    return _AUGMENTATIONS[name]


def register(augmentation: type[Augmentation]) -> type[Augmentation]:
    """Adds an augmentation, so that recipes and `train_batches` find it by its name.

    Raises:
        UsageError: if another augmentation has that name, or if there is no such stage.
    """
    if _AUGMENTATIONS.get(augmentation.name, augmentation) is not augmentation:
        raise UsageError(
            f"An augmentation named {augmentation.name!r} already exists. Give yours a different "
            "name, or call unregister first."
        )
    if augmentation.stage not in STAGES:
        raise unknown_name("stage of an augmentation", augmentation.stage, STAGES)
    _AUGMENTATIONS[augmentation.name] = augmentation
    return augmentation


def unregister(name: str) -> None:
    """Removes an augmentation that `register` added.

    Raises:
        UsageError: if no augmentation has that name.
    """
    get(name)
    del _AUGMENTATIONS[name]
