"""The base class of augmentations, and what they may use."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_alexnet.networks.spec import ImagePlan

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

STAGES = ("squares", "crops", "inputs")


class PixelStatistics(NamedTuple):
    """Mean `[3]` and covariance `[3, 3]` of RGB pixels on 0–255, over `images` images.

    `sampled` says whether the images are a seeded sample of the training set.
    """

    mean: np.ndarray
    covariance: np.ndarray
    images: int
    sampled: bool


class Context(NamedTuple):
    """What an augmentation may use, apart from the images and its draws."""

    plan: ImagePlan
    statistics: PixelStatistics | None = None


class Augmentation(abc.ABC):
    """A random change of training images.

    Attributes:
        name: what recipes call it.
        stage: what it changes: "squares" `[batch, square_size, square_size, 3]`; "crops", cut out
            of them at the center unless an augmentation has cut them; or "inputs", enlarged to
            `input_size`. Within a stage, augmentations are applied in the recipe's order.
        stream: number of its random stream, by default a hash of its name.
        needs_statistics: whether it uses the statistics of the training pixels.

    Example:
        >>> from keras_alexnet.data import augmentations
        >>> @augmentations.register
        ... class Brightness(Augmentation):
        ...     name = "brightness"
        ...     def __init__(self, parameter=None):
        ...         self.strength = float(parameter)
        ...     def draw(self, key, images, plan):
        ...         return tf.random.stateless_uniform([images, 1, 1, 1], key, -1, 1, alg="philox")
        ...     def apply(self, images, draws, context):
        ...         return tf.cast(images, tf.float32) + self.strength * draws
        >>> augmentations.get("brightness")("20").strength
        20.0
        >>> augmentations.unregister("brightness")
    """

    name: str
    stage: str = "inputs"
    stream: int | None = None
    needs_statistics: bool = False

    def __init__(self, parameter: str | None = None) -> None:
        """Takes the text in parentheses after the name, such as "paper" in color_noise(paper).

        Raises:
            ValueError: with a message that says what the parameter must be.
        """
        if parameter is not None:
            raise ValueError("it has no parameter")

    @abc.abstractmethod
    def draw(self, key: tf.Tensor, images: int, plan: ImagePlan) -> Any:
        """Makes an epoch's draws.

        Args:
            key: int64 `[2]`, the seed of a `tf.random.stateless_*` function. Pass `alg="philox"`
                with it, so that every device draws the same.
            images: n, the number of images of the training split.
            plan: how an image becomes an input.

        Returns:
            Tensors `[n, ...]`; row i belongs to image i.
        """

    def draw_of_epoch(
        self,
        key_of: Callable[[tf.Tensor], tf.Tensor],
        epoch: tf.Tensor,
        images: int,
        plan: ImagePlan,
    ) -> Any:
        """Makes the draws of an epoch that may depend on those of another one.

        By default they do not.

        Args:
            key_of: an epoch's number, int64 scalar → its key, as for `draw`.
            epoch: the epoch, int64 scalar.
            images: n, the number of images of the training split.
            plan: how an image becomes an input.
        """
        return self.draw(key_of(epoch), images, plan)

    @abc.abstractmethod
    def apply(self, images: tf.Tensor, draws: Any, context: Context) -> tf.Tensor:
        """Changes a batch.

        Args:
            images: uint8 or float32 `[batch, height, width, 3]` in 0–255.
            draws: rows of what `draw` returned, `[batch, ...]`.
            context: the image plan, and the statistics of the training pixels.

        Returns:
            uint8 or float32 `[batch, height, width, 3]`.
        """
