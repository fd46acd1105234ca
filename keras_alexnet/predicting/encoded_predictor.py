"""What the predictors share that send encoded images to the signature of an export."""

import abc
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.images import as_jpeg_or_png
from keras_alexnet.predicting.messages import shortened, unknown_answer
from keras_alexnet.predicting.predictor import Predictor, TopClasses, top_classes
from keras_alexnet.run_folder import check_labels

SIGNATURE = INPUT = "image_bytes"

_MOST_CLASSES = 10**7  # that a server may claim, since answers may be as large as they need

_NAMED, _ALL = ("classes", "scores"), ("probabilities",)
OUTPUTS = _NAMED + _ALL

# Name of a signature → name of each of its outputs → static shape. Free axes are None or -1; an
# unknown shape is None.
Signatures = Mapping[str, Mapping[str, Sequence[int | None] | None]]


class EncodedPredictor(Predictor):
    """Sends encoded images to the signature `image_bytes`, which decodes and classifies them.

    If labels are given, they name the classes; if not, the network does.

    Attributes:
        signature, input: what is called, and the name of its input.

    Args:
        model: the name of the network in messages.
        signatures: the signatures of the network; None if they are unknown, so that the first
            answer is checked in their place (`learn_outputs`).
        top: how many classes to name.
        labels: the names of the classes, or None.

    Raises:
        UserError: if this package did not export the network, or the number of its classes is not
            that of the labels.
        UsageError: if more classes are requested than the network names itself, and there are no
            labels.
    """

    signature, input = SIGNATURE, INPUT

    def __init__(
        self,
        model: object,
        signatures: Signatures | None,
        top: int,
        labels: Sequence[str] | None,
    ):
        self._model, self._top, self._labels = model, top, labels
        self._widths: dict[str, int] = {}
        if signatures is None:
            return
        outputs = signatures.get(SIGNATURE, {})
        if not all(_size(outputs.get(name)) for name in OUTPUTS):
            raise UserError(
                f"The network at {model} has no signature {SIGNATURE!r} with the outputs classes, "
                "scores and probabilities: it was not exported by keras_alexnet. It has: "
                f"{_listed(signatures)}."
            )
        self._set_widths({name: _size(outputs[name]) for name in OUTPUTS})

    def learn_outputs(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Takes the sizes of the outputs from the first answer of a network without signatures.

        Args:
            outputs: what the network answered. It may leave out the probabilities, if it names
                classes, or what names them, if the labels are known.

        Raises:
            UserError, UsageError: as `EncodedPredictor`; or a needed output is missing.
        """
        if self._widths:
            return
        widths = {name: _size(outputs[name].shape) for name in OUTPUTS if name in outputs}
        needed = _NAMED if self._labels is None else _ALL
        if missing := [name for name in needed if not widths.get(name)]:
            advice = "It must serve an export of keras_alexnet."
            if "classes" in widths:
                advice = "Leave out --labels (labels=), which needs them."
            raise UserError(
                f"{self._model} answers images without {' and '.join(missing)}. {advice} "
                f"Received: {shortened(', '.join(sorted(outputs)) or 'nothing')}."
            )
        self._set_widths(widths)

    def _set_widths(self, widths: dict[str, int]) -> None:
        named, classes = widths.get("classes", 0), widths.get("probabilities")
        if max(named, classes or 0) > _MOST_CLASSES:
            raise unknown_answer(self._model, f"{max(named, classes or 0)} classes.")
        if self._labels is None and classes is not None and named < min(self._top, classes):
            self._labels = self.spare_labels()
        if self._labels is not None and classes is not None:
            check_labels(self._labels, classes, self._model)
        elif classes is not None and named < min(self._top, classes):
            raise UsageError(
                f"top must be at most {named}, the classes that the network at {self._model} names "
                "itself, unless --labels (labels=) gives the labels.txt of its run. Received: "
                f"{self._top}."
            )
        elif named < self._top:
            logging.warning(
                "%s names %d classes and does not say whether it has more, so that there are no "
                "more in the predictions.",
                *(self._model, named),
            )
        self._widths = widths

    @abc.abstractmethod
    def call_signature(self, images: list[bytes], names: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Runs the signature.

        Args:
            images: encoded JPEG or PNG files.
            names: the names of the outputs to return.

        Returns:
            A dict: name → output `[N, …]`.

        Raises:
            Refused: with the reason, if the request is refused because of its contents.
            UserError: if there is no answer, or it has a different form.
        """

    def spare_labels(self) -> Sequence[str] | None:
        """Returns the labels of all classes, if known; used if the network names too few."""
        return None

    def width(self, name: str) -> int:
        """Returns how many values a known output has for each image."""
        return self._widths[name]

    def checked(
        self, outputs: Mapping[str, np.ndarray], names: Sequence[str], images: int
    ) -> dict[str, np.ndarray]:
        """Returns the outputs with these names, if they are those that the signature declares.

        Raises:
            UserError: if one is missing, or has a different shape, or a score is not in 0–1.
        """
        found = {name: outputs[name] for name in names if name in outputs}
        shapes = {name: value.shape for name, value in found.items()}
        wanted = {name: (images, self._widths[name]) for name in names}
        if shapes != wanted:
            raise unknown_answer(
                self._model,
                f"{shapes or sorted(outputs)} for {images} images and {', '.join(names)}, of which "
                f"it declares {wanted}.",
            )
        for name, value in found.items():
            # Rounding may lead beyond 1; NaN is named by whoever checks what a network computed.
            if name != "classes" and np.any((value < 0) | (value > 1.001)):
                raise unknown_answer(self._model, f"{name} that are no probabilities.")
        return found

    def preprocess(self, contents: bytes) -> bytes:
        return as_jpeg_or_png(contents, self.max_image_pixels)

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


def _listed(signatures: Signatures) -> str:
    described = [f"{name} ({', '.join(sorted(out))})" for name, out in sorted(signatures.items())]
    return shortened("; ".join(described) or "no signature")


def _size(shape: Sequence[int | None] | None) -> int:
    """The size of an output `[N, size]`; 0 for outputs of different shapes."""
    return max(shape[1] or 0, 0) if shape is not None and len(shape) == 2 else 0


def _text(name: bytes | str) -> str:
    """A label from a graph or a server, made safe to print."""
    return shortened(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name))
