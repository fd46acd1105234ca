"""What a training run starts from, as its config.json and its results say it."""

import dataclasses
import os

import keras

from keras_alexnet.weights import hashes, loading, sources


@dataclasses.dataclass(frozen=True)
class Start:
    """A weights file that a run starts from.

    Attributes:
        file: its path, as it was given.
        sha256: of the file, or of the model in a run's folder.
        pixel_mean: R, G, B means 0-255 that came with a Keras file, else None.
        pixel_std: likewise what the pixels are divided by.
    """

    file: str
    sha256: str
    pixel_mean: tuple[float, ...] | None = None
    pixel_std: tuple[float, ...] | None = None

    @classmethod
    def of(cls, path: str | os.PathLike) -> "Start":
        """Looks at a weights file.

        Raises:
            UsageError, UserError: as `load`, if the file cannot be read at all.
        """
        kind, file = sources.kind_of(path)
        digest = hashes.checked(file)
        pixels = sources.pixels_of(file) if kind == "keras" else ()
        return cls(os.fspath(path), digest, *pixels)

    def prepare(self, model: keras.Model) -> None:
        """Gives a network the pixel constants that belong to the weights."""
        if self.pixel_mean is not None:
            loading.set_pixels(model, self.pixel_mean, self.pixel_std)

    def fill(self, model: keras.Model, variant: str) -> None:
        """Loads the weights into a network; its layer "logits" stays if its classes differ.

        Raises:
            UserError: as `load`; the file has changed since it was looked at.
        """
        options = {"sha256": self.sha256, "new_head": True, "keep_pixels": True}
        loading.load(model, self.file, variant=variant, **options)
