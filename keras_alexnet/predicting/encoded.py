"""Networks that take encoded images: a SavedModel here, or one behind a server.

All have the signature `image_bytes`, which decodes, and names the likeliest classes.
"""

import abc
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.images import as_jpeg_or_png
from keras_alexnet.predicting.predictor import (
    Predictor,
    Refused,
    TopClasses,
    check_labels,
    read_labels,
    reason,
    top_of,
)

SIGNATURE = INPUT = "image_bytes"


_NAMED, _ALL = ("classes", "scores"), ("probabilities",)


# Name of a signature → name of each of its outputs → static shape; axes that are free are None
# or -1, and nothing is known of a shape that is None.
Signatures = Mapping[str, Mapping[str, Sequence[int | None] | None]]


class EncodedPredictor(Predictor):
    """Sends encoded images to the signature `image_bytes`.

    Where labels are given, the classes are named by them; otherwise by the network itself.

    Args:
        where: what messages call the network.
        signatures: that the network has.
        top: how many classes to name.
        labels: of the classes, or None.

    Raises:
        UserError: if the network was not exported by this project, or has another number of
            classes than labels.
        UsageError: if the network names fewer classes than are asked for, and labels are missing.
    """

    def __init__(self, where, signatures: Signatures, top: int, labels: Sequence[str] | None):
        outputs = signatures.get(SIGNATURE, {})
        if not all(_size(outputs.get(name)) for name in _NAMED + _ALL):
            raise UserError(
                f"The network at {where} has no signature {SIGNATURE!r} with the outputs classes, "
                "scores and probabilities: it was not written by scripts/export.py. It has: "
                f"{_listed(signatures)}."
            )
        named, classes = _size(outputs["classes"]), _size(outputs["probabilities"])
        if labels is None and named < min(top, classes):
            labels = self.spare_labels()
        self._top, self._labels = top, labels
        if labels is not None:
            check_labels(labels, classes, where)
        elif named < min(top, classes):
            raise UsageError(
                f"top must be at most {named}, the classes that the network at {where} names by "
                "itself, unless --labels (labels=) gives the labels.txt of its run. Received: "
                f"{top}."
            )

    @abc.abstractmethod
    def ask(self, images: list[bytes], wanted: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Runs the signature; returns the outputs named by `wanted`, each `[N, …]`.

        Raises:
            Refused: with the reason, if the request was refused for what is in it.
            UserError: if there is no answer, or one of another form.
        """

    def spare_labels(self) -> Sequence[str] | None:
        """The labels of all classes, if they can be had, where the network names too few."""
        return None

    def prepare(self, contents: bytes) -> bytes:
        return as_jpeg_or_png(contents)

    def classify(self, prepared: list[bytes]) -> list[TopClasses]:
        if self._labels is not None:
            [probabilities] = self.ask(prepared, _ALL).values()
            return top_of(probabilities, self._labels, self._top)
        outputs = self.ask(prepared, _NAMED)
        return [
            TopClasses(
                tuple(_text(name) for name in classes[: self._top]),
                tuple(float(score) for score in scores[: self._top]),
            )
            for classes, scores in zip(outputs["classes"], outputs["scores"], strict=True)
        ]


class SavedModelPredictor(EncodedPredictor):
    """A SavedModel, loaded into this process.

    Args:
        folder: that of the version.
        top: how many classes to name.
        labels: of the classes; None takes the graph's, or for more than five the labels.txt in
            the folder.

    Raises:
        UserError: if it cannot be loaded; as `EncodedPredictor`.
    """

    def __init__(self, folder: str | os.PathLike, top: int, labels: Sequence[str] | None):
        try:
            self._loaded = tf.saved_model.load(os.fspath(folder))
        except Exception as error:  # TensorFlow raises whatever the damage leads it to.
            raise UserError(
                f"{folder} cannot be loaded as a SavedModel: {reason(str(error))}"
            ) from error
        functions = self._loaded.signatures
        signatures = {
            name: {key: _shape(spec) for key, spec in function.structured_outputs.items()}
            for name, function in functions.items()
        }
        self._labels_file = pathlib.Path(folder) / "assets" / run_folder.LABELS
        super().__init__(folder, signatures, top, labels)
        self._function = functions[SIGNATURE]

    def spare_labels(self) -> Sequence[str] | None:
        return read_labels(self._labels_file) if self._labels_file.exists() else None

    def ask(self, images: list[bytes], wanted: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            outputs = self._function(**{INPUT: tf.constant(images)})
        except tf.errors.InvalidArgumentError as error:
            raise Refused(reason(error.message)) from error
        return {name: outputs[name].numpy() for name in wanted}


def answer_of_another_form(where, answer) -> UserError:
    """Returns the error for an answer that is none of a network of this project."""
    shown = str(answer)
    shown = shown if len(shown) <= 300 else f"{shown[:300]}…"
    return UserError(
        f"{where} gave an answer of another form than TensorFlow Serving's: {shown} Is that the "
        "address of a TensorFlow Serving?"
    )


def checked(outputs: Mapping[str, np.ndarray], wanted: Sequence[str], images: int, where):
    """Returns the wanted outputs if they are there, a row for each image.

    Raises:
        UserError: otherwise.
    """
    found = {name: outputs[name] for name in wanted if name in outputs}
    shapes = {name: value.shape for name, value in found.items()}
    fits = all(len(shape) == 2 and shape[0] == images for shape in shapes.values())
    if len(found) < len(wanted) or not fits or len(set(shapes.values())) != 1:
        raise answer_of_another_form(
            where, f"{shapes or sorted(outputs)} for {images} images and {', '.join(wanted)}."
        )
    return found


def _listed(signatures: Signatures) -> str:
    described = [f"{name} ({', '.join(sorted(out))})" for name, out in sorted(signatures.items())]
    return "; ".join(described) or "no signature"


def _size(shape: Sequence[int | None] | None) -> int:
    """How many numbers an output `[N, size]` has for each image; 0 if it is of another form."""
    return max(shape[1] or 0, 0) if shape is not None and len(shape) == 2 else 0


def _shape(spec: tf.TensorSpec) -> list[int | None] | None:
    return None if spec.shape.rank is None else spec.shape.as_list()


def _text(name) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
