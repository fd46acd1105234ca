"""ExportedFile: what all exported files that can be run have in common."""

import abc
import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from keras_alexnet.errors import UsageError, UserError, first_line, whole_number
from keras_alexnet.runtimes import INPUT_DTYPES
from keras_alexnet.utils.pixels import message, wrong_scale

INPUT, OUTPUTS = "image", ("logits", "probabilities")

_CHUNK = 64  # images in one call: the activations of a whole call are in memory at once


class ExportedFile(abc.ABC):
    """A file that `export` wrote, ready to run.

    Subclasses open and call one kind of file; everything else is here.

    Args:
        file: the path of a file, or its contents.
        num_threads: number of threads of one call; the runtime chooses by default.

    Attributes:
        description: what `TrainedNetwork.description()` returned at the export; None for a file
            that a different program wrote.
        input_dtype: "uint8" or "float32", the type of the pixels that the file takes.
        input_shape: height and width of an image, and 3.
        runtime: the software that runs the file, with its version.

    Raises:
        UsageError: `num_threads` is not a positive whole number.
        UserError: there is no such file, it is damaged or cut off, it is a different kind of
            network, its weights are NaN or infinite, or the package that runs it is missing.
    """

    kind: ClassVar[str]  # what messages call the format
    article: ClassVar[str]  # that goes before it

    description: dict[str, Any] | None
    input_dtype: str
    input_shape: tuple[int, int, int]
    runtime: str
    num_classes: int

    def __init__(self, file: str | os.PathLike | bytes, num_threads: int | None = None):
        if num_threads is not None:
            num_threads = whole_number("num_threads", num_threads, least=1)
        if not isinstance(file, bytes) and not os.path.isfile(file):
            raise UserError(f"There is no {self.kind} file at {file}.")
        self.name = f"The {self.kind} file" if isinstance(file, bytes) else str(file)
        with self._damage_explained():
            self._open(file, num_threads)

    @abc.abstractmethod
    def _open(self, file: str | os.PathLike | bytes, num_threads: int | None) -> None:
        """Opens the file and sets the attributes; raises whatever its runtime raises."""

    @abc.abstractmethod
    def _call(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the outputs of pixels [n, H, W, 3] of the file's type."""

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the outputs of any number of images.

        Args:
            pixels: RGB 0–255, uint8 or float32 `[N, *input_shape]`. A file that takes uint8 takes
                floats only if they are whole numbers.

        Returns:
            `logits` and `probabilities`, float32 `[N, classes]`.

        Raises:
            UsageError: the pixels have a different shape, type or range.
            UserError: the file fails to run.
        """
        pixels = self._checked(np.asarray(pixels))
        if 0 < len(pixels) <= _CHUNK:  # as at every call of a service: nothing is put together
            with self._damage_explained():
                outputs = self._call(pixels)
            return {name: outputs[name] for name in OUTPUTS}
        found = {name: [np.zeros([0, self.num_classes], np.float32)] for name in OUTPUTS}
        with self._damage_explained():
            for start in range(0, len(pixels), _CHUNK):
                outputs = self._call(pixels[start : start + _CHUNK])
                for name in OUTPUTS:
                    found[name].append(outputs[name])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def seconds_per_call(self, repeats: int) -> list[float]:
        """Returns the seconds of each of `repeats` calls with one image."""
        pixels = np.random.default_rng(0).integers(0, 256, [1, *self.input_shape])
        pixels = pixels.astype(self.input_dtype)
        seconds = []
        with self._damage_explained():
            self._call(pixels)  # memory for one image is allocated first
            for _ in range(repeats):
                started = time.perf_counter()
                self._call(pixels)
                seconds.append(time.perf_counter() - started)
        return seconds

    def _checked(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.dtype.name not in INPUT_DTYPES or pixels.shape[1:] != self.input_shape:
            raise UsageError(
                f"{self.name} takes pixels 0–255, uint8 or float32 "
                f"[N, {', '.join(map(str, self.input_shape))}]. "
                f"Received: {pixels.dtype} {list(pixels.shape)}."
            )
        if pixels.dtype == np.uint8 and self.input_dtype == "uint8":
            return pixels
        # A file of floats from elsewhere may want another scale.
        is_known = self.input_dtype == "uint8" or self.description is not None
        if is_known and (received := wrong_scale(pixels)) is not None:
            raise UsageError(message(f"The input of {self.name}", received))
        with np.errstate(invalid="ignore"):  # NaN is found by the comparison below
            converted = pixels.astype(self.input_dtype)
        if self.input_dtype == "uint8" and not np.array_equal(converted, pixels):
            raise UsageError(
                f"{self.name} takes uint8, and these floats are not whole numbers 0–255. Round "
                "them, or export with --input_dtype float32."
            )
        return converted

    @contextlib.contextmanager
    def _damage_explained(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except Exception as error:  # Runtimes raise many kinds of errors for damaged files.
            raise UserError(
                f"{self.name} cannot be read as {self.article} {self.kind} file, or it is "
                f"damaged or cut off: {first_line(error).rstrip('.')}. Copy or export it again."
            ) from error

    def _foreign(self, received: str) -> UserError:
        """Returns the error for a file of a different kind of network."""
        return UserError(
            f"{self.name} was not exported by keras_alexnet. Expected: the input {INPUT}, uint8 "
            f"or float32 [N, H, W, 3], and the outputs {' and '.join(OUTPUTS)}. Received: "
            f"{received}."
        )
