"""Runs exported models; `open_file` chooses the runtime by the suffix of a file."""

import os
import pathlib
from typing import TYPE_CHECKING

from keras_alexnet.errors import UserError

if TYPE_CHECKING:
    from keras_alexnet.runtimes.exported_file import ExportedFile

INPUT_DTYPES = ("uint8", "float32")  # of the pixels that an exported file takes


def open_file(path: str | os.PathLike, num_threads: int | None = None) -> "ExportedFile":
    """Opens a `.tflite` or an `.onnx` file that `export` wrote.

    Args:
        path: the file.
        num_threads: number of threads of one call; the runtime chooses by default.

    Returns:
        A `LiteModel` or an `OnnxModel`.

    Raises:
        UsageError: `num_threads` is not a positive whole number.
        UserError: the suffix is unknown, or the file cannot be opened.

    Example:
        >>> model = open_file("saved_models/mine/onnx/cifar_v2.onnx")  # doctest: +SKIP
        >>> model.input_dtype, model.input_shape  # doctest: +SKIP
        ('uint8', (32, 32, 3))
    """
    suffix = pathlib.Path(path).suffix
    if suffix == ".tflite":
        from keras_alexnet.runtimes.litert import LiteModel

        return LiteModel(path, num_threads)
    if suffix == ".onnx":
        from keras_alexnet.runtimes.onnx_runtime import OnnxModel

        return OnnxModel(path, num_threads)
    raise UserError(f"An exported file ends in .tflite or .onnx. Received: {path}.")
