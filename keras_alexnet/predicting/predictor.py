"""The interface of predictors, and what they answer."""

import abc
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_alexnet.data.config import MAX_IMAGE_PIXELS


class TopClasses(NamedTuple):
    """The likeliest classes of one image, likeliest first, and their probabilities."""

    classes: tuple[str, ...]
    scores: tuple[float, ...]


class Refused(Exception):
    """Raised when a request is refused because of its images or their number."""


class Predictor(abc.ABC):
    """A network that classifies batches of images.

    Attributes:
        request_bytes: the largest size of a batch of preprocessed images; a larger image is sent on
            its own.
        max_image_pixels: the largest image that is decoded here; set before the first image.
    """

    request_bytes: float = math.inf
    max_image_pixels: int = MAX_IMAGE_PIXELS

    @abc.abstractmethod
    def preprocess(self, contents: bytes) -> Any:
        """Does the work on a single image; called from several threads.

        Returns:
            What `classify` takes; its `len` counts against `request_bytes`.

        Raises:
            tf.errors.OpError: if the bytes are not an image.
        """

    @abc.abstractmethod
    def classify(self, images: list[Any]) -> list[TopClasses]:
        """Names the likeliest classes of each image of a batch.

        Args:
            images: what `preprocess` returned.

        Raises:
            Refused: if the batch is refused because of its contents.
            UserError: if the network does not answer.
        """

    def close(self) -> None:  # noqa: B027, most hold nothing
        """Closes connections."""


def top_classes(probabilities: np.ndarray, labels: Sequence[str], top: int) -> list[TopClasses]:
    """Returns the likeliest classes of each image; of equal ones the first, as `tf.math.top_k`.

    Args:
        probabilities: float32 `[N, classes]`.
        labels: the names of the classes.
        top: how many to return; all if there are fewer.

    Example:
        >>> top_classes(np.float32([[0.25, 0.5, 0.25]]), ["cat", "dog", "owl"], 2)
        [TopClasses(classes=('dog', 'cat'), scores=(0.5, 0.25))]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        TopClasses(tuple(labels[i] for i in best), tuple(float(row[i]) for i in best))
        for row, best in zip(probabilities, order, strict=True)
    ]
