"""What every place that a network runs in has in common."""

import abc
import math
import os
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from keras_alexnet.errors import UserError


class TopClasses(NamedTuple):
    """The likeliest classes of one image, likeliest first, and their probabilities."""

    classes: tuple[str, ...]
    scores: tuple[float, ...]


class Refused(Exception):
    """A request was refused for what is in it: one of its images, or their number."""


class Predictor(abc.ABC):
    """A network to which batches of images are given.

    Attributes:
        request_bytes: the most that a batch's prepared images may weigh; a heavier image goes
            alone.
    """

    request_bytes: float = math.inf

    @abc.abstractmethod
    def prepare(self, contents: bytes):
        """Does what can be done with one image alone; is called from several threads.

        Returns:
            What `classify` takes; its `len` counts against `request_bytes`.

        Raises:
            tf.errors.OpError: if the bytes are no image.
        """

    @abc.abstractmethod
    def classify(self, prepared: list) -> list[TopClasses]:
        """Names the likeliest classes of each of a batch's images.

        Raises:
            Refused: if the batch was refused for what is in it.
            UserError: if nothing can be had from the network.
        """

    def close(self) -> None:  # noqa: B027, most have nothing to give back
        """Gives connections back."""


def top_of(probabilities: np.ndarray, labels: Sequence[str], top: int) -> list[TopClasses]:
    """Picks the likeliest classes, of equals the first as `tf.math.top_k` does.

    Args:
        probabilities: float32 `[N, classes]`.
        labels: of the classes.
        top: how many, or all there are if fewer.

    Example:
        >>> top_of(np.float32([[0.25, 0.5, 0.25]]), ["cat", "dog", "owl"], 2)
        [Top(classes=('dog', 'cat'), scores=(0.5, 0.25))]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        TopClasses(tuple(labels[i] for i in best), tuple(float(row[i]) for i in best))
        for row, best in zip(probabilities, order, strict=True)
    ]


def read_labels(path: str | os.PathLike) -> tuple[str, ...]:
    """Reads the names of classes, one a line.

    Raises:
        UserError: if there is no such file, or it is not UTF-8 text.
    """
    try:
        return tuple(pathlib.Path(path).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise UserError(
            f"The labels cannot be read: {error}. Give a text file with a class a line, such as "
            "the labels.txt of the run."
        ) from error


def check_labels(labels: Sequence[str], classes: int, where) -> None:
    """Raises a UserError unless there is one label a class."""
    if len(labels) != classes:
        raise UserError(
            f"{len(labels)} labels were given, and the network at {where} has {classes} classes. "
            "They are another network's."
        )


def reason(text: str) -> str:
    """The line of a TensorFlow error that says what is wrong, without the names of nodes.

    Example:
        >>> reason("{{function_node f}} Invalid PNG data, size 60\\n\\t [[{{node map/DecodePng}}]]")
        'Invalid PNG data, size 60'
    """
    without_nodes = re.sub(r"\{\{.*?\}\}", "", text.split("[[")[0].split(" [Op:")[0])
    lines = [line.strip() for line in without_nodes.splitlines()]
    return next((line for line in reversed(lines) if line), text.strip() or "no reason given")
