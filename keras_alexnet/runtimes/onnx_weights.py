"""Reads the float weights of an ONNX file, which must hold all of them itself."""

import functools
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_alexnet.utils import protobufs

# The fields of ONNX's messages that lead to weights.
_MESSAGES: dict[str, list[protobufs.Field]] = {
    "Tensor": [
        *[("name", 8, "bytes"), ("data_type", 2, "int32"), ("raw_data", 9, "bytes")],
        *[("*float_data", 4, "float"), ("*int32_data", 5, "int32"), ("*double_data", 10, "double")],
        *[("*external_data", 13, "External"), ("data_location", 14, "int32")],
    ],
    "External": [("key", 1, "bytes"), ("value", 2, "bytes")],
    "Sparse": [("values", 1, "Tensor")],
    "Attribute": [
        *[("t", 5, "Tensor"), ("g", 6, "Graph"), ("*tensors", 10, "Tensor")],
        *[("*graphs", 11, "Graph"), ("sparse_tensor", 22, "Sparse")],
    ],
    "Node": [("name", 3, "bytes"), ("*attribute", 5, "Attribute")],
    "Graph": [("*node", 1, "Node"), ("*initializer", 5, "Tensor"), ("*sparse", 15, "Sparse")],
    "Function": [("*node", 7, "Node")],
    "Model": [("graph", 7, "Graph"), ("*functions", 25, "Function")],
}

# Numbers of the float types in ONNX; those of bfloat16 are the upper halves of float32.
_FLOAT32, _FLOAT16, _FLOAT64, _BFLOAT16 = 1, 10, 11, 16
_DTYPES = {_FLOAT32: "<f4", _FLOAT16: "<f2", _FLOAT64: "<f8", _BFLOAT16: "<u2"}

_EXTERNAL = 1  # where the numbers of a tensor are: in a different file


def floats(file: str | os.PathLike | bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and numbers `[n]` of each float tensor in an ONNX file.

    Args:
        file: the path of a file, or its contents.

    Raises:
        ValueError: a tensor is in a different file, which it names.
        Exception: of other kinds, if the file is damaged.
    """
    model: Any = _message_classes()["Model"]()
    model.ParseFromString(file if isinstance(file, bytes) else pathlib.Path(file).read_bytes())
    for tensor in _tensors(model):
        name = tensor.name.decode("utf-8", "backslashreplace") or "a constant"
        if tensor.external_data or tensor.data_location == _EXTERNAL:
            raise ValueError(f"{name} is in a different file, which exports never need")
        if tensor.data_type in _DTYPES:
            yield name, _numbers(tensor)


@functools.cache
def _message_classes() -> dict[str, Any]:
    return protobufs.message_classes("keras_alexnet_onnx", _MESSAGES)


def _tensors(model: Any) -> Iterator[Any]:
    """Yields all tensors: initializers and constants, also those inside loops and functions."""
    nodes = [node for function in model.functions for node in function.node]
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        yield from graph.initializer
        yield from (each.values for each in graph.sparse)
        nodes += graph.node
        while nodes:
            for attribute in nodes.pop().attribute:
                yield from (attribute.t, attribute.sparse_tensor.values, *attribute.tensors)
                graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _numbers(tensor: Any) -> np.ndarray:
    kind = tensor.data_type
    if kind in (_FLOAT16, _BFLOAT16) and tensor.int32_data:
        numbers = np.array(tensor.int32_data, np.int32).astype("<u2").view(_DTYPES[kind])
    elif tensor.raw_data:
        numbers = np.frombuffer(tensor.raw_data, _DTYPES[kind])
    else:
        numbers = np.array(tensor.double_data if kind == _FLOAT64 else tensor.float_data)
    if kind == _BFLOAT16:
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers
