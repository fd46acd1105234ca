"""Reads the pickles of CIFAR's python version without running anything in them."""

import io
import pickle
import pickletools
from typing import Any

import numpy as np

# Strings, numbers, lists and dictionaries, and what arrays are made of.
_ADMITTED = {
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "BINFLOAT", "FLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
    *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
    *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
}


def load(contents: bytes) -> dict:
    """Reads a batch, or the names of the classes.

    Args:
        contents: the bytes of the file.

    Returns:
        A dictionary; keys and strings are bytes if Python 2 wrote them. `pixels` reads its array.

    Raises:
        Exception: of many kinds, if the file is damaged or is not from CIFAR.

    Example:
        >>> load(pickle.dumps({b"labels": [3, 1]}))
        {b'labels': [3, 1]}
    """
    for opcode, argument, _ in pickletools.genops(contents):
        if opcode.name not in _ADMITTED:
            raise pickle.UnpicklingError(f"{opcode.name} does not belong in a CIFAR batch")
        # The unpickler allocates memory for as many objects as the largest number says.
        if opcode.name.endswith("PUT") and int(argument or 0) > len(contents):
            raise pickle.UnpicklingError(f"there are no {argument} objects in it")
    loaded = _Unpickler(io.BytesIO(contents), encoding="bytes").load()
    if not isinstance(loaded, dict):
        raise pickle.UnpicklingError("it does not hold a dictionary")
    return loaded


def pixels(pickled: Any) -> np.ndarray:
    """Returns the array in a batch: uint8 `[images, 3072]`.

    Raises:
        ValueError: if it is not such an array.
    """
    if not isinstance(pickled, _Pickled) or not isinstance(pickled.state, tuple):
        raise ValueError("its images are not an array")
    _, shape, dtype, by_columns, contents = pickled.state
    if not isinstance(dtype, _Pickled) or dtype.arguments[:1] not in (("u1",), (b"u1",)):
        raise ValueError("its images are not bytes")
    flat = np.frombuffer(contents, np.uint8)
    return flat.reshape(shape[::-1]).T if by_columns else flat.reshape(shape)


class _Pickled:
    """An array, or the type of one, as the pickle describes it: numpy is not called."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Pickled]:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype"):
            return _Pickled
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a CIFAR batch")
