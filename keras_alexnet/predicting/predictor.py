"""Predictors: what all places that a network runs in have in common."""

import abc
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.images import as_jpeg_or_png
from keras_alexnet.run_folder import check_labels

SIGNATURE = INPUT = "image_bytes"

_NAMED, _ALL = ("classes", "scores"), ("probabilities",)

# Name of a signature → name of each of its outputs → static shape. Free axes are None or -1; a
# shape of which nothing is known is None.
Signatures = Mapping[str, Mapping[str, Sequence[int | None] | None]]


class TopClasses(NamedTuple):
    """The likeliest classes of one image, likeliest first, and their probabilities."""

    classes: tuple[str, ...]
    scores: tuple[float, ...]


class Refused(Exception):
    """A request was refused because of what is in it: one of its images, or their number."""


class Predictor(abc.ABC):
    """A network that classifies batches of images.

    Attributes:
        request_bytes: the most that a batch's preprocessed images may weigh; a heavier image is
            sent on its own.
    """

    request_bytes: float = math.inf

    @abc.abstractmethod
    def preprocess(self, contents: bytes) -> Any:
        """Does what can be done with one image at a time; is called from several threads.

        Returns:
            What `classify` takes; its `len` counts against `request_bytes`.

        Raises:
            tf.errors.OpError: the bytes are not an image.
        """

    @abc.abstractmethod
    def classify(self, images: list[Any]) -> list[TopClasses]:
        """Names the likeliest classes of each image of a batch.

        Args:
            images: what `preprocess` returned.

        Raises:
            Refused: the batch was refused because of what is in it.
            UserError: the network gives no answer.
        """

    def close(self) -> None:  # noqa: B027, most hold nothing
        """Closes connections."""


class EncodedPredictor(Predictor):
    """Sends encoded images to the signature `image_bytes`, which decodes and classifies them.

    Where labels are given, the classes are named by them; otherwise by the network itself.

    Args:
        model: what messages call the network.
        signatures: what the network has.
        top: how many classes to name.
        labels: the names of the classes, or None.

    Raises:
        UserError: the network was not exported by this package, or has another number of classes
            than there are labels.
        UsageError: more classes are requested than the network names by itself, and there are no
            labels.
    """

    def __init__(
        self, model: object, signatures: Signatures, top: int, labels: Sequence[str] | None
    ):
        outputs = signatures.get(SIGNATURE, {})
        if not all(_size(outputs.get(name)) for name in _NAMED + _ALL):
            raise UserError(
                f"The network at {model} has no signature {SIGNATURE!r} with the outputs classes, "
                "scores and probabilities: it was not exported by keras_alexnet. It has: "
                f"{_listed(signatures)}."
            )
        named, classes = _size(outputs["classes"]), _size(outputs["probabilities"])
        if labels is None and named < min(top, classes):
            labels = self.spare_labels()
        self._top, self._labels = top, labels
        if labels is not None:
            check_labels(labels, classes, model)
        elif named < min(top, classes):
            raise UsageError(
                f"top must be at most {named}, the classes that the network at {model} names by "
                "itself, unless --labels (labels=) gives the labels.txt of its run. Received: "
                f"{top}."
            )

    @abc.abstractmethod
    def call_signature(self, images: list[bytes], names: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Runs the signature.

        Args:
            images: JPEG or PNG files.
            names: of the outputs to return.

        Returns:
            Name → output `[N, …]`.

        Raises:
            Refused: with the reason, if the request was refused because of what is in it.
            UserError: there is no answer, or it has another form.
        """

    def spare_labels(self) -> Sequence[str] | None:
        """Returns the labels of all classes, if known, where the network names too few itself."""
        return None

    def preprocess(self, contents: bytes) -> bytes:
        return as_jpeg_or_png(contents)

    def classify(self, images: list[bytes]) -> list[TopClasses]:
        if self._labels is not None:
            [probabilities] = self.call_signature(images, _ALL).values()
            return top_classes(probabilities, self._labels, self._top)
        outputs = self.call_signature(images, _NAMED)
        return [
            TopClasses(
                tuple(_text(name) for name in classes[: self._top]),
                tuple(float(score) for score in scores[: self._top]),
            )
            for classes, scores in zip(outputs["classes"], outputs["scores"], strict=True)
        ]


def top_classes(probabilities: np.ndarray, labels: Sequence[str], top: int) -> list[TopClasses]:
    """Returns the likeliest classes of each image; of equals the first, as `tf.math.top_k` does.

    Args:
        probabilities: float32 `[N, classes]`.
        labels: the names of the classes.
        top: how many to return; all, if there are fewer.

    Example:
        >>> top_classes(np.float32([[0.25, 0.5, 0.25]]), ["cat", "dog", "owl"], 2)
        [TopClasses(classes=('dog', 'cat'), scores=(0.5, 0.25))]
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return [
        TopClasses(tuple(labels[i] for i in best), tuple(float(row[i]) for i in best))
        for row, best in zip(probabilities, order, strict=True)
    ]


def reason(text: str) -> str:
    """Returns the line of a TensorFlow error that says what is wrong, without names of nodes.

    Example:
        >>> reason("{{function_node f}} Invalid PNG data, size 60\\n\\t [[{{node map/DecodePng}}]]")
        'Invalid PNG data, size 60'
    """
    without_nodes = re.sub(r"\{\{.*?\}\}", "", text.split("[[")[0].split(" [Op:")[0])
    lines = [line.strip() for line in without_nodes.splitlines()]
    return next((line for line in reversed(lines) if line), text.strip() or "no reason given")


def unknown_answer(address: str, answer: object) -> UserError:
    """Returns the error for an answer that no network of this package gives."""
    shown = str(answer)
    shown = shown if len(shown) <= 300 else f"{shown[:300]}…"
    return UserError(
        f"{address} gave an answer of another form than TensorFlow Serving's: {shown} Is that the "
        "address of a TensorFlow Serving?"
    )


def checked_outputs(
    outputs: Mapping[str, np.ndarray], names: Sequence[str], images: int, address: str
) -> dict[str, np.ndarray]:
    """Returns the outputs of those names, if each has one row for every image.

    Raises:
        UserError: one is missing, or has another shape.
    """
    found = {name: outputs[name] for name in names if name in outputs}
    shapes = {name: value.shape for name, value in found.items()}
    fits = all(len(shape) == 2 and shape[0] == images for shape in shapes.values())
    if len(found) < len(names) or not fits or len(set(shapes.values())) != 1:
        raise unknown_answer(
            address, f"{shapes or sorted(outputs)} for {images} images and {', '.join(names)}."
        )
    return found


def _listed(signatures: Signatures) -> str:
    described = [f"{name} ({', '.join(sorted(out))})" for name, out in sorted(signatures.items())]
    return "; ".join(described) or "no signature"


def _size(shape: Sequence[int | None] | None) -> int:
    """How many numbers an output `[N, size]` has for each image; 0 for outputs of other forms."""
    return max(shape[1] or 0, 0) if shape is not None and len(shape) == 2 else 0


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
