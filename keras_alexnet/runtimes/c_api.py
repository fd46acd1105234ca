"""TensorFlow's C API through ctypes: the loader and the session that TF Serving itself uses.

It imports neither TensorFlow's Python nor Keras nor another module of this package.
"""

import ctypes
import functools
import importlib.util
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_FLOAT, _UINT8, _INT32, _STRING = 1, 4, 3, 7  # TF_DataType
_NUMBERS = {_FLOAT: np.float32, _UINT8: np.uint8, _INT32: np.int32}
_KINDS = {np.dtype(number): kind for kind, number in _NUMBERS.items()}
_BYTES_OF_TF_STRING = 24

# The fields of ConfigProto with the numbers of threads, as the first bytes of its numbers.
_INTRA_OP, _INTER_OP = 2 << 3, 5 << 3


class Output(ctypes.Structure):
    """TF_Output: an operation, and which of its outputs."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def library() -> pathlib.Path | None:
    """Returns the path of the C API in TensorFlow's wheel, without importing TensorFlow."""
    spec = importlib.util.find_spec("tensorflow")
    folders = (spec and spec.submodule_search_locations) or []
    found = (pathlib.Path(folder).glob("libtensorflow_cc.*") for folder in folders)
    return next(itertools.chain.from_iterable(found), None)


@functools.cache
def _declared(path: pathlib.Path) -> Any:
    """Loads the library, and declares the functions that are called and do not return int."""
    api = ctypes.CDLL(str(path))
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    dimensions, outputs = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(Output)
    pointers, texts = ctypes.POINTER(pointer), ctypes.POINTER(text)
    whole = ctypes.c_int
    for name, result, arguments in [
        ("TF_NewStatus", pointer, []),
        ("TF_DeleteStatus", None, [pointer]),
        ("TF_GetCode", whole, [pointer]),
        ("TF_Message", text, [pointer]),
        ("TF_NewGraph", pointer, []),
        ("TF_NewSessionOptions", pointer, []),
        ("TF_SetConfig", None, [pointer, text, size, pointer]),
        (
            "TF_LoadSessionFromSavedModel",
            pointer,
            [pointer, pointer, text, texts, whole, pointer, pointer, pointer],
        ),
        ("TF_GraphOperationByName", pointer, [pointer, text]),
        ("TF_AllocateTensor", pointer, [whole, dimensions, whole, size]),
        ("TF_TensorData", pointer, [pointer]),
        ("TF_TensorType", whole, [pointer]),
        ("TF_TensorByteSize", size, [pointer]),
        ("TF_NumDims", whole, [pointer]),
        ("TF_Dim", ctypes.c_int64, [pointer, whole]),
        ("TF_DeleteTensor", None, [pointer]),
        ("TF_StringInit", None, [pointer]),
        ("TF_StringCopy", None, [pointer, text, size]),
        ("TF_StringGetDataPointer", pointer, [pointer]),
        ("TF_StringGetSize", size, [pointer]),
        (
            "TF_SessionRun",
            None,
            [pointer, pointer, outputs, pointers, whole]
            + [outputs, pointers, whole, pointer, whole, pointer, pointer],
        ),
    ]:
        function = getattr(api, name)
        function.restype, function.argtypes = result, arguments
    return api


class Session:
    """A SavedModel's graph with the tag "serve", ready to run, also from several threads at once.

    Args:
        folder: the folder of one version.
        threads: the number of threads of an operation, and of operations at once; TensorFlow
            chooses by default. The first session of a process decides for all of them.

    Raises:
        RuntimeError: TensorFlow's wheel has no C API, or it cannot load the SavedModel.
    """

    def __init__(self, folder: str | os.PathLike, threads: int | None = None):
        path = library()
        if path is None:
            raise RuntimeError("this TensorFlow has no library with the C API")
        self._api = _declared(path)
        self._graph = self._api.TF_NewGraph()
        options = self._api.TF_NewSessionOptions()
        if threads is not None:
            config, status = bytes([_INTRA_OP, threads, _INTER_OP, threads]), self._status()
            self._api.TF_SetConfig(options, config, len(config), status)
            self._check(status)
        tags, status = (ctypes.c_char_p * 1)(b"serve"), self._status()
        self._session = self._api.TF_LoadSessionFromSavedModel(
            options, None, os.fsencode(folder), tags, 1, self._graph, None, status
        )
        self._check(status)

    def run(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Computes tensors.

        Args:
            inputs: name of a tensor → numbers, or bytes in an array of objects.
            outputs: names of the tensors to compute.

        Returns:
            The tensors, in the order of `outputs`.

        Raises:
            RuntimeError: TensorFlow refuses the inputs, or computing fails.
        """
        fed = (ctypes.c_void_p * len(inputs))(*(self._tensor(each) for each in inputs.values()))
        fetched: Any = (ctypes.c_void_p * len(outputs))()
        status = self._status()
        self._api.TF_SessionRun(
            *(self._session, None, self._named(tuple(inputs)), fed, len(inputs)),
            *(self._named(tuple(outputs)), fetched, len(outputs), None, 0, None, status),
        )
        for tensor in fed:
            self._api.TF_DeleteTensor(tensor)
        self._check(status)
        return [self._array(tensor) for tensor in fetched]

    def _status(self) -> int:
        return self._api.TF_NewStatus()

    def _check(self, status: int) -> None:
        """Deletes a status, and raises the error that is in it."""
        text = self._api.TF_Message(status).decode() if self._api.TF_GetCode(status) else None
        self._api.TF_DeleteStatus(status)
        if text is not None:
            raise RuntimeError(text)

    def _named(self, names: tuple[str, ...]) -> Any:
        found = (Output * len(names))()
        for place, name in zip(found, names, strict=True):
            operation, _, index = name.rpartition(":")
            place.operation = self._api.TF_GraphOperationByName(self._graph, operation.encode())
            place.index = int(index)
            if not place.operation:
                raise RuntimeError(f"the graph has no {name}")
        return found

    def _tensor(self, array: np.ndarray) -> int:
        kind = _KINDS.get(array.dtype, _STRING)
        bytes_each = _BYTES_OF_TF_STRING if kind == _STRING else array.itemsize
        dimensions = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self._api.TF_AllocateTensor(kind, dimensions, array.ndim, array.size * bytes_each)
        data = self._api.TF_TensorData(tensor)
        if kind != _STRING:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, array.nbytes)
            return tensor
        for number, value in enumerate(array.flat):
            place = data + number * bytes_each
            self._api.TF_StringInit(place)
            self._api.TF_StringCopy(place, value, len(value))
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        api = self._api
        shape = [api.TF_Dim(tensor, axis) for axis in range(api.TF_NumDims(tensor))]
        data, kind = api.TF_TensorData(tensor), api.TF_TensorType(tensor)
        if kind == _STRING:
            array = np.empty(int(np.prod(shape)), object)
            for number in range(array.size):
                place = data + number * _BYTES_OF_TF_STRING
                size = api.TF_StringGetSize(place)
                array[number] = ctypes.string_at(api.TF_StringGetDataPointer(place), size)
        else:
            contents = ctypes.string_at(data, api.TF_TensorByteSize(tensor))
            array = np.frombuffer(contents, _NUMBERS[kind])
        api.TF_DeleteTensor(tensor)
        return array.reshape(shape)
