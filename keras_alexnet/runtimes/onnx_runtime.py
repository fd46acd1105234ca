"""Runs ONNX files, in ONNX Runtime on the CPU."""

import importlib
import json
import os
import pathlib
import time

import numpy as np

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.utils.arguments import whole_number

OUTPUTS = ("logits", "probabilities")


_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxModel:
    """An ONNX file that `write` made, run by ONNX Runtime on the CPU.

    Attributes:
        description: what `Network.description()` said when it was written; None if it says nothing.
        input_dtype: "uint8" or "float32", of the pixels that it takes.
        input_shape: (height, width, 3) of an image.
        runtime: the name and the version of what runs it.

    Args:
        path: the file.
        num_threads: of one call; by default ONNX Runtime's choice.

    Raises:
        UsageError: if `num_threads` is no number of threads.
        UserError: if onnxruntime is missing, there is no such file, it is damaged, or it takes and
            returns something else.

    Example:
        >>> model = OnnxModel("cifar_v2.onnx")  # doctest: +SKIP
        >>> model.run(np.zeros([2, 32, 32, 3], "uint8"))["logits"].shape  # doctest: +SKIP
        (2, 10)
    """

    def __init__(self, path: str | os.PathLike, num_threads: int | None = None):
        self._path = pathlib.Path(path)
        self._session = _session(self._path, num_threads)
        self._check_signature()
        [image] = self._session.get_inputs()
        self.input_dtype: str = _DTYPES[image.type]
        self.input_shape: tuple[int, int, int] = tuple(image.shape[1:])
        self.runtime = f"onnxruntime {optional('onnxruntime').__version__}"

    @property
    def description(self) -> dict | None:
        said = self._session.get_modelmeta().custom_metadata_map.get(DESCRIPTION)
        return said and json.loads(said)

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network.

        Args:
            pixels: RGB 0–255, [N, H, W, 3] of the type `input_dtype`; uint8 will do for either.

        Returns:
            `logits` and `probabilities`, float32 [N, classes].

        Raises:
            UsageError: if the pixels are of another shape or type.
        """
        pixels = np.asarray(pixels)
        if pixels.dtype == np.uint8:
            pixels = pixels.astype(self.input_dtype)
        if pixels.shape[1:] != self.input_shape or pixels.dtype != self.input_dtype:
            wanted = ", ".join(str(size) for size in self.input_shape)
            raise UsageError(
                f"{self._path} takes pixels of shape [N, {wanted}] and type {self.input_dtype}. "
                f"Received: {list(pixels.shape)}, {pixels.dtype}."
            )
        return dict(zip(OUTPUTS, self._session.run(OUTPUTS, {"image": pixels}), strict=True))

    def seconds_per_call(self, repeats: int) -> list[float]:
        """Returns the seconds of each of `repeats` calls with one image."""
        pixels = np.random.default_rng(0).integers(0, 256, (1, *self.input_shape))
        fed = {"image": pixels.astype(self.input_dtype)}
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            self._session.run(OUTPUTS, fed)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _check_signature(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        ours = len(inputs) == 1 and _takes_pixels(inputs[0])
        if not ours or not set(OUTPUTS) <= {each.name for each in outputs}:
            raise UserError(
                f"{self._path} is not a network that was exported here: that takes `image` "
                "[N, H, W, 3] and returns `logits` and `probabilities`. It takes "
                f"{_listed(inputs)} and returns {_listed(outputs)}."
            )


def _takes_pixels(image) -> bool:
    height, width, channels = image.shape[1:] if len(image.shape) == 4 else (None,) * 3
    known = isinstance(height, int) and isinstance(width, int) and channels == 3
    return known and image.name == "image" and image.type in _DTYPES


def _session(path: pathlib.Path, num_threads: int | None):
    runtime = optional("onnxruntime")
    if not path.is_file():
        raise UserError(f"There is no ONNX file at {path}.")
    options = runtime.SessionOptions()
    if num_threads is not None:
        options.intra_op_num_threads = whole_number("num_threads", num_threads, least=1)
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for every kind of damage.
        raise UserError(
            f"{path} cannot be read as an ONNX file: {first_line(error)}. Export it again."
        ) from error


def optional(name: str):
    try:
        if name == "tf2onnx":
            importlib.import_module("tf2onnx.convert")
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {name}, which cannot be imported ({error}). "
            "pip install onnx onnxruntime tf2onnx"
        ) from error


def _listed(values) -> str:
    return ", ".join(f"{each.name} {each.shape} {each.type}" for each in values)


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
