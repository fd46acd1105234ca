"""Reads the pickles of CIFAR's python version without Python's unpickler.

That one calls what a file names, and can be made to crash: nested tuples as a key of a dictionary
exhaust the stack of C. The few operations of these files are carried out here.
"""

import pickle
import pickletools
from typing import Any

import numpy as np

from keras_alexnet.utils.text import printable

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # of Python 2, which are bytes
_IGNORED = {"PROTO", "FRAME", "STOP"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}

# What arrays are made of; numpy's modules have been renamed.
_GLOBALS = {"_reconstruct", "ndarray", "dtype"}


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
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(contents):
        machine.run(opcode.name, argument)
    [loaded] = machine.stack
    if not isinstance(loaded, dict):
        raise pickle.UnpicklingError("it does not hold a dictionary")
    return loaded


def pixels(pickled: Any) -> np.ndarray:
    """Returns the array in a batch: uint8 `[images, 3072]`.

    Raises:
        ValueError: if it is not such an array.
    """
    state = pickled.state if isinstance(pickled, _Object) and pickled.kind != "dtype" else None
    match state:
        case (int(), (int(rows), int(columns)), _Object() as dtype, by_columns, bytes(values)):
            if min(rows, columns) < 0:
                raise ValueError("its images have a negative size")
            if dtype.kind != "dtype" or dtype.arguments[0] not in ("u1", b"u1"):
                raise ValueError("its images are not bytes")
            flat = np.frombuffer(values, np.uint8)
            return flat.reshape(columns, rows).T if by_columns else flat.reshape(rows, columns)
    raise ValueError("its images are not an array")


class _Object:
    """An array, or the type of one, as the pickle describes it: numpy is not called."""

    def __init__(self, kind: str, arguments: tuple) -> None:
        self.kind, self.arguments = kind, arguments
        self.state: tuple | None = None


class _Global(str):
    """A name in a module."""


class _Machine:
    """The stack on which a pickle builds its objects, and the objects that it refers to again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """Carries out one operation."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _NUMBERS or name in _TEXTS or name in _BYTES:
            self.stack.append(argument)
        elif name in _STRINGS:
            self.stack.append(argument.encode("latin-1"))
        elif name in _TUPLES:
            self.stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in _PUTS:
            self._memo[len(self._memo) if argument is None else argument] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self._memo[argument])
        elif name not in _IGNORED:
            operation = getattr(self, f"_{name.lower()}", None)
            if operation is None:
                raise pickle.UnpicklingError(f"{name} does not belong in a CIFAR batch")
            operation(*(() if argument is None else (argument,)))

    def _pop(self, count: int) -> list[Any]:
        """Removes the topmost objects, none of them from before the last mark."""
        start = len(self.stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise pickle.UnpicklingError("it takes more objects than it has")
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        start = self._marks[-1]
        taken = self._pop(len(self.stack) - start)
        self._marks.pop()
        return taken

    def _mark(self) -> None:
        self._marks.append(len(self.stack))

    def _tuple(self) -> None:
        self.stack.append(tuple(self._pop_to_mark()))

    def _empty_list(self) -> None:
        self.stack.append([])

    def _list(self) -> None:
        self.stack.append(self._pop_to_mark())

    def _append(self) -> None:
        value = self._pop(1)
        self._top(list).extend(value)

    def _appends(self) -> None:
        values = self._pop_to_mark()
        self._top(list).extend(values)

    def _empty_dict(self) -> None:
        self.stack.append({})

    def _dict(self) -> None:
        self.stack.append(_dictionary(self._pop_to_mark()))

    def _setitem(self) -> None:
        pair = self._pop(2)
        self._top(dict).update(_dictionary(pair))

    def _setitems(self) -> None:
        values = self._pop_to_mark()
        self._top(dict).update(_dictionary(values))

    def _global(self, place: str) -> None:
        module, _, name = place.partition(" ")
        self._push_global(module, name)

    def _stack_global(self) -> None:
        self._push_global(*self._pop(2))

    def _push_global(self, module: Any, name: Any) -> None:
        texts = isinstance(module, str) and isinstance(name, str)
        if not texts or module.partition(".")[0] != "numpy" or name not in _GLOBALS:
            called = printable(f"{module}.{name}"[:100]) if texts else "what it calls"
            raise pickle.UnpicklingError(f"{called} does not belong in a CIFAR batch")
        self.stack.append(_Global(name))

    def _reduce(self) -> None:
        match self._pop(2):
            case [_Global("_reconstruct"), (_Global("ndarray"), (0,), b"b" | "b")]:
                self.stack.append(_Object("array", ()))
            case [_Global("dtype"), (str() | bytes() as name, int(), int())]:
                self.stack.append(_Object("dtype", (name,)))
            case _:
                raise pickle.UnpicklingError("it makes an array in a way that numpy does not")

    def _build(self) -> None:
        [state] = self._pop(1)
        target = self._top(_Object)
        if not isinstance(state, tuple):
            raise pickle.UnpicklingError("the state of an array is not a tuple")
        target.state = state

    def _top(self, kind: type) -> Any:
        """Returns the topmost object, which must be of a kind."""
        [top] = self._pop(1)
        if not isinstance(top, kind):
            raise pickle.UnpicklingError(f"it has a {type(top).__name__} for a {kind.__name__}")
        self.stack.append(top)
        return top


def _dictionary(values: list[Any]) -> dict[str | bytes, Any]:
    """Returns a dictionary of keys and values in turn; only texts are keys."""
    keys = values[::2]
    if not all(isinstance(key, (str, bytes)) for key in keys):
        raise pickle.UnpicklingError("its keys are not texts")
    return dict(zip(keys, values[1::2], strict=True))
