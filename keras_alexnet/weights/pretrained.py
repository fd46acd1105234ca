"""PretrainedWeights: what a run starts from, as its results describe it."""

import dataclasses
import os
from collections.abc import Sequence

import keras
from absl import logging

from keras_alexnet.weights import named, shipped_file
from keras_alexnet.weights.layout import CLASSIFIER
from keras_alexnet.weights.load import load, set_pixels
from keras_alexnet.weights.source import check_sha256, kind_of, labels_of, pixels_of


@dataclasses.dataclass(frozen=True)
class PretrainedWeights:
    """The weights that a run starts from.

    Attributes:
        file: the path of their file, or their name, as given.
        sha256: the SHA-256 of the file, or of the model in a run's folder; of published weights,
            that of the published file.
        pixel_mean: the R, G, B means 0-255 from a Keras file, or None for other files.
        pixel_std: the standard deviations, likewise.
        shipped: the file that came with the package, or None for other weights.
        published: the address of the published file, or None for other weights.
    """

    file: str
    sha256: str
    pixel_mean: tuple[float, ...] | None = None
    pixel_std: tuple[float, ...] | None = None
    shipped: str | None = None
    published: str | None = None

    @classmethod
    def of(cls, path: str | os.PathLike, variant: str) -> "PretrainedWeights":
        """Describes weights for a network.

        Raises:
            UsageError, UserError: as in `load`, if the file cannot be read at all.
        """
        kind, file = kind_of(path, variant)
        mean, std = pixels_of(kind, file) or (None, None)
        card = shipped_file.read_card(file) if kind == named.NAMED else {}
        digest = check_sha256(file, card.get("sha256"))
        if published := card.get("published"):
            return cls(os.fspath(path), published["sha256"], mean, std, published=published["url"])
        return cls(os.fspath(path), digest, mean, std, file.name if card else None)

    def set_pixels(self, model: keras.Model) -> None:
        """Sets the pixel constants that belong to the weights."""
        if self.pixel_mean is not None and self.pixel_std is not None:
            set_pixels(model, self.pixel_mean, self.pixel_std)

    def fill(self, model: keras.Model, variant: str, class_names: Sequence[str]) -> None:
        """Loads the weights into a network, except the layer "logits" if its classes differ.

        Args:
            model: the network.
            variant: its name.
            class_names: the names of its classes.

        Raises:
            UserError: as in `load`; or the file has changed after `of` described it.
        """
        logits = model.get_layer(CLASSIFIER)
        initial = logits.get_weights()
        loaded = load(
            model,
            self.file,
            variant=variant,
            sha256=None if self.published else self.sha256,  # the card has that of the file
            new_head=True,
            keep_pixels=True,
        )
        labels = labels_of(loaded.kind, loaded.path)
        if CLASSIFIER in loaded.layers and labels not in (None, tuple(class_names)):
            logits.set_weights(initial)
            logging.info(
                "The layer %s starts from new weights, because the classes of %s have other names.",
                *(CLASSIFIER, self.file),
            )
