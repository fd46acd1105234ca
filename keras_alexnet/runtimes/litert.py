"""Runs TFLite files, in LiteRT or else in TensorFlow's own interpreter."""

import functools
import importlib.metadata
import io
import json
import mmap
import os
import time
import zipfile

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.utils import tensorflow_private, terminal

schema = tensorflow_private.tflite_schema()

SIGNATURE = "serving_default"


_INPUT, _OUTPUTS = "image", ("logits", "probabilities")


_CHUNK = 64  # images at a time: the activations of a batch are in memory all at once


class LiteModel:
    """A TFLite file, ready to run.

    Args:
        file: path or contents of a file with the signature `serving_default`: `image` in,
            `logits` and `probabilities` out.
        num_threads: that it computes with; None leaves the number to the runtime.

    Attributes:
        description: what `Network.description()` gave when the file was exported; None for a
            file from elsewhere.
        input_dtype: "uint8" or "float32".
        input_shape: height, width and 3.
        runtime: what runs it, with its version, for example "ai-edge-litert 2.3.0".

    Raises:
        UserError: if there is no such file, it is no TFLite file, it is damaged or cut off, or it
            is of another kind of network.

    Example:
        >>> model = LiteModel("saved_models/NAME/tflite/cifar_v2_int8.tflite")  # doctest: +SKIP
        >>> model.run(np.zeros([5, 32, 32, 3], "uint8"))["logits"].shape  # doctest: +SKIP
        (5, 10)
    """

    def __init__(self, file: str | os.PathLike | bytes, num_threads: int | None = None):
        self._name = name_of(file)
        interpreter, self.runtime = _runtime()
        try:
            self._interpreter = _opened(interpreter, file, num_threads)
            self._runner = self._checked_runner()
            self.description = description_of(file)
        except (ValueError, RuntimeError) as error:
            if isinstance(error, UserError):
                raise
            raise self._unreadable(error) from error
        image = self._runner.get_input_details()[_INPUT]
        self.input_dtype = np.dtype(image["dtype"]).name
        self.input_shape = tuple(int(size) for size in image["shape"][1:])
        self._classes = int(self._runner.get_output_details()["logits"]["shape"][-1])

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Computes a batch of any size.

        Args:
            pixels: RGB, 0–255, uint8 or float32 `[N, *input_shape]`; floats must be whole
                numbers where the file takes uint8.

        Returns:
            `logits` and `probabilities`, float32 `[N, classes]`.

        Raises:
            UserError: if the pixels have another shape, type or range, or the file fails to run.
        """
        pixels = self._checked_pixels(pixels)
        found = {name: [np.zeros([0, self._classes], np.float32)] for name in _OUTPUTS}
        for start in range(0, len(pixels), _CHUNK):
            outputs = self._called(self._runner, image=pixels[start : start + _CHUNK])
            for name in _OUTPUTS:
                found[name].append(outputs[name])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def seconds_per_call(self, repeats: int) -> list[float]:
        """The seconds that each of `repeats` calls with one image took, one after the other."""
        image = np.random.default_rng(0).integers(0, 256, [1, *self.input_shape])
        image = image.astype(self.input_dtype)
        self._called(self._runner, image=image)  # memory for one image is laid out first
        return [self._called(self._seconds, image) for _ in range(repeats)]

    def _seconds(self, image: np.ndarray) -> float:
        start = time.perf_counter()
        self._runner(image=image)
        return time.perf_counter() - start

    def _called(self, function, *arguments, **named):
        try:
            return function(*arguments, **named)
        except (ValueError, RuntimeError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(
            f"{self._name} is not a TFLite file that can be run, or it is damaged or cut off: "
            f"{_first_line(error)} Copy or export it again."
        )

    def _checked_runner(self):
        """The signature's runner, if the file is an image classifier of our kind."""
        signatures = self._interpreter.get_signature_list()
        names = signatures.get(SIGNATURE, {"inputs": [], "outputs": []})
        if list(names["inputs"]) == [_INPUT] and set(names["outputs"]) >= set(_OUTPUTS):
            runner = self._interpreter.get_signature_runner(SIGNATURE)
            image = runner.get_input_details()[_INPUT]
            shape, dtype = image["shape"], image["dtype"]
            if len(shape) == 4 and shape[-1] == 3 and dtype in (np.uint8, np.float32):
                return runner
        found = [
            f"{each['name']} {np.dtype(each['dtype']).name} {[int(size) for size in each['shape']]}"
            for each in self._interpreter.get_input_details()
        ]
        raise UserError(
            f"{self._name} is of another network. Wanted: a signature {SIGNATURE} with the input "
            f"{_INPUT}, uint8 or float32 [N, H, W, 3], and the outputs {' and '.join(_OUTPUTS)}, "
            f"as scripts/export.py writes it. Received: the signatures "
            f"{signatures or '(none)'}, the inputs {', '.join(found)}."
        )

    def _checked_pixels(self, pixels: np.ndarray) -> np.ndarray:
        pixels = np.asarray(pixels)
        if pixels.dtype not in (np.uint8, np.float32) or pixels.shape[1:] != self.input_shape:
            raise UserError(
                f"{self._name} takes pixels 0–255, uint8 or float32 "
                f"[N, {', '.join(map(str, self.input_shape))}]. "
                f"Received: {pixels.dtype} {list(pixels.shape)}."
            )
        with np.errstate(invalid="ignore"):  # NaN is found out below
            taken = pixels.astype(self.input_dtype)
        if self.input_dtype == "uint8" and not np.array_equal(taken, pixels):
            raise UserError(
                f"{self._name} takes uint8, and these floats are not whole numbers 0–255. Round "
                "them, or export with --input_dtype float32."
            )
        return taken


@functools.cache
def _runtime() -> tuple[type, str]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        logging.warning(
            "ai-edge-litert is not installed: TFLite files are run by tf.lite, which TensorFlow "
            "is going to drop. pip install ai-edge-litert."
        )
        return tf.lite.Interpreter, f"tf.lite {tf.__version__}"
    return Interpreter, f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"


def _opened(interpreter: type, file: str | os.PathLike | bytes, num_threads: int | None):
    if isinstance(file, bytes):
        source = {"model_content": file}
    elif os.path.isfile(file):
        source = {"model_path": os.fspath(file)}
    else:
        raise UserError(f"There is no TFLite file {file}.")
    with terminal.quiet(
        shown_on_failure=False
    ):  # tf.lite warns of its end, which `_runtime` has told
        opened = interpreter(**source, num_threads=num_threads)
        opened.allocate_tensors()
    return opened


def _first_line(error: Exception) -> str:
    return f"{(str(error).strip() or type(error).__name__).splitlines()[0].rstrip('.')}."


METADATA = "TFLITE_METADATA"  # the standard's name of the model's buffer that names its files


def name_of(file: str | os.PathLike | bytes) -> str:
    """What messages call a file that is given by its path or its contents."""
    return "The TFLite file" if isinstance(file, bytes) else str(file)


def description_of(file: str | os.PathLike | bytes) -> dict | None:
    """Our description inside a TFLite file, which an interpreter has found to be whole.

    Args:
        file: the file's path or its contents.

    Returns:
        What `Network.description()` gave, or None if the file is not one of ours.

    Raises:
        UserError: if the file names a description and does not hold it, as when its end is lost.
    """
    if isinstance(file, bytes):
        promised = _promises_description(file)
    else:
        with (
            open(file, "rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole,
        ):
            promised = _promises_description(whole)
    if not promised:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
            return json.loads(archive.read(DESCRIPTION))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RuntimeError) as error:
        raise UserError(
            f"{name_of(file)} is damaged or cut off: {DESCRIPTION}, which it names, cannot be "
            f"read ({error}). Copy or export it again."
        ) from error


def _promises_description(contents) -> bool:
    model = schema.Model.GetRootAs(contents)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == METADATA.encode():
            return DESCRIPTION.encode() in model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    return False
