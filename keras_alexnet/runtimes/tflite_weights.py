"""Reads the tables and the float weights of a TFLite file, in place."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_alexnet.utils import tensorflow_private

# Numbers of the float types in TFLite's schema; those of bfloat16 are the upper halves of float32.
_FLOAT32, _FLOAT16, _FLOAT64, _BFLOAT16 = 0, 1, 10, 18
_DTYPES = {_FLOAT32: "<f4", _FLOAT16: "<f2", _FLOAT64: "<f8", _BFLOAT16: "<u2"}

# How often the bytes of a file may be read: the writer stores equal scales only once.
_MOST_READ = 16


def tables(file: str | os.PathLike | bytes) -> Any:
    """Returns the `Model` table of a TFLite file, which reads its parts where they lie.

    Args:
        file: the path of a file, or its contents.

    Raises:
        Exception: of many kinds, if the file is damaged; so does reading what it returns.
    """
    contents = file if isinstance(file, bytes) else np.memmap(file, np.uint8, "r")
    return tensorflow_private.tflite_schema().Model.GetRootAs(contents)


def floats(file: str | os.PathLike | bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and numbers `[n]` of each float tensor that a TFLite file holds.

    The scales of quantized tensors are float tensors, too. Memory is bounded by the size of the
    file, whatever it says.

    Args:
        file: the path of a file, or its contents.

    Raises:
        Exception: of many kinds, if the file is damaged.
    """
    model = tables(file)
    bounded = _Bounded(model)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            name = bounded(tensor.Name() or b"?").decode("utf-8", "backslashreplace")
            if tensor.Type() in _DTYPES:
                yield name, bounded(_numbers(model, tensor))
            quantization = tensor.Quantization()
            if quantization is not None and quantization.ScaleLength():
                yield f"{name} (scales)", bounded(quantization.ScaleAsNumpy())


class _Bounded:
    """Counts what is read: parts of a file may lie in the same place, any number of times."""

    def __init__(self, model: Any):
        self._left = _MOST_READ * len(model._tab.Bytes)

    def __call__(self, part: Any) -> Any:
        self._left -= memoryview(part).nbytes
        if self._left < 0:
            raise ValueError("its tensors claim more bytes than it has")
        return part


def _numbers(model: Any, tensor: Any) -> np.ndarray:
    buffer = model.Buffers(tensor.Buffer())
    contents = memoryview(model._tab.Bytes)
    if buffer.DataLength():
        contents = memoryview(buffer.DataAsNumpy())
    elif buffer.Offset() > 1:  # of a file larger than 2 GB; 0 and 1 mean that there is none
        contents = contents[buffer.Offset() : buffer.Offset() + buffer.Size()]
    else:
        return np.zeros(0, np.float32)
    numbers = np.frombuffer(contents, _DTYPES[tensor.Type()])
    if tensor.Type() == _BFLOAT16:
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers
