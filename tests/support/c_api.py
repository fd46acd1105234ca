"""TensorFlow's C API through ctypes: the loader and the session that TF Serving itself uses.

It runs as a separate program, `python c_api.py REQUESTS ANSWERS`, which imports neither
TensorFlow's Python nor Keras nor this package. REQUESTS is a pickled list of (folder of a
SavedModel, inputs, outputs): inputs is a dict of arrays by tensor name, with bytes as object
arrays, and outputs is a list of tensor names. ANSWERS becomes a pickled list, which has for each
request a list of arrays in the order of outputs, or the text of the error.
"""

import ctypes
import importlib.util
import itertools
import pathlib
import pickle
import sys

import numpy as np

_FLOAT, _UINT8, _STRING = 1, 4, 7  # TF_DataType
_NUMBERS = {_FLOAT: np.float32, _UINT8: np.uint8}
_BYTES_OF_TF_STRING = 24


class Output(ctypes.Structure):
    """TF_Output: an operation, and which of its outputs."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def library() -> pathlib.Path | None:
    """Returns the path of the C API in TensorFlow's wheel, without importing TensorFlow."""
    folders = importlib.util.find_spec("tensorflow").submodule_search_locations
    found = (pathlib.Path(folder).glob("libtensorflow_cc.*") for folder in folders)
    return next(itertools.chain.from_iterable(found), None)


def _declared(path):
    """Loads the library, and declares the functions that are called and do not return int."""
    api = ctypes.CDLL(str(path))
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    dimensions, outputs = ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(Output)
    pointers, texts = ctypes.POINTER(pointer), ctypes.POINTER(text)
    whole = ctypes.c_int
    for name, result, arguments in [
        ("TF_NewStatus", pointer, []),
        ("TF_GetCode", whole, [pointer]),
        ("TF_Message", text, [pointer]),
        ("TF_NewGraph", pointer, []),
        ("TF_NewSessionOptions", pointer, []),
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
    """A SavedModel's graph with the tag "serve", ready to run."""

    def __init__(self, folder: str):
        self._api = _declared(library())
        self._graph, self._status = self._api.TF_NewGraph(), self._api.TF_NewStatus()
        tags = (ctypes.c_char_p * 1)(b"serve")
        options = self._api.TF_NewSessionOptions()
        self._session = self._api.TF_LoadSessionFromSavedModel(
            options, None, folder.encode(), tags, 1, self._graph, None, self._status
        )
        self._check()

    def run(self, inputs: dict[str, np.ndarray], outputs: list[str]) -> list[np.ndarray]:
        """Computes the tensors named in `outputs`; if that fails, raises RuntimeError."""
        fed = (ctypes.c_void_p * len(inputs))(*(self._tensor(each) for each in inputs.values()))
        fetched = (ctypes.c_void_p * len(outputs))()
        self._api.TF_SessionRun(
            *(self._session, None, self._named(inputs), fed, len(inputs)),
            *(self._named(outputs), fetched, len(outputs), None, 0, None, self._status),
        )
        for tensor in fed:
            self._api.TF_DeleteTensor(tensor)
        self._check()
        return [self._array(tensor) for tensor in fetched]

    def _check(self):
        if self._api.TF_GetCode(self._status):
            raise RuntimeError(self._api.TF_Message(self._status).decode())

    def _named(self, names):
        found = (Output * len(names))()
        for place, name in zip(found, names, strict=True):
            operation, _, index = name.rpartition(":")
            place.operation = self._api.TF_GraphOperationByName(self._graph, operation.encode())
            place.index = int(index)
            assert place.operation, f"the graph has no {name}"
        return found

    def _tensor(self, array):
        kind = {np.dtype(np.float32): _FLOAT, np.dtype(np.uint8): _UINT8}.get(array.dtype, _STRING)
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

    def _array(self, tensor):
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


def main(requests: str, answers: str) -> None:
    sessions, results = {}, []
    for folder, inputs, outputs in pickle.loads(pathlib.Path(requests).read_bytes()):
        if folder not in sessions:
            sessions[folder] = Session(folder)
        try:
            results.append(sessions[folder].run(inputs, outputs))
        except RuntimeError as error:
            results.append(str(error))
    assert not {"tensorflow", "keras", "keras_alexnet"} & set(sys.modules)
    pathlib.Path(answers).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
