"""Reads pickles without running anything in them.

Python's unpickler imports and calls what a file names. It can also be made to crash: tuples inside
of tuples as a key of a dictionary exhaust the stack of C. Here `pickletools` only takes a pickle
apart, and a `Machine` carries out the few operations that build texts, numbers, tuples, lists and
dictionaries. Nothing is imported by name and nothing is called: a subclass says which names it
knows, and puts inert objects of its own in their place. Each operation adds only what its own bytes
pay for, so memory is bounded by the size of the pickle.
"""

import io
import os
import pickle
import pickletools
from typing import Any

from keras_alexnet.utils.text import printable

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # of Python 2, which are bytes
_IGNORED = {"PROTO", "FRAME", "STOP"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}

# Arithmetic and hashes of longer ones take long; the longest of real files is PyTorch's mark.
_LONGEST_NUMBER = 128  # bits
_LONGEST_KEY = 64  # bits; many longer ones can be found with the same hash
_LONGEST_NAME = 100


class UnknownCall(pickle.UnpicklingError):
    """A pickle names a function or class that does not belong in it.

    Attributes:
        called: its name, safe to print.
    """

    def __init__(self, called: str) -> None:
        self.called = printable(called, _LONGEST_NAME)
        super().__init__(f"it calls {self.called}, which does not belong in it")


class Name(str):
    """The name of a function or class that a machine knows: "module.name"."""


class BoundedReader:
    """Reads a file; what claims to be longer than the file takes no more memory than the file."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.readline, self.tell = file.readline, file.tell

    def read(self, count: int = -1, /) -> bytes:
        """Returns the next bytes, fewer only at the end of the file; by default all."""
        return self._file.read(min(count, max(0, self._size - self._file.tell())))


class Machine:
    """The stack on which a pickle builds its objects, and the objects that it refers to again.

    This one knows no names. A subclass overrides `find` and what it then needs.

    Example:
        >>> Machine().load(pickle.dumps({"labels": [3, 1]}))
        {'labels': [3, 1]}
        >>> try:
        ...     Machine().load(pickle.dumps(print))
        ... except UnknownCall as error:
        ...     error.called
        'builtins.print'
    """

    def load(self, pickled: Any) -> Any:
        """Reads one pickle.

        Args:
            pickled: its bytes, or a `BoundedReader`, which then is behind it.

        Raises:
            UnknownCall: it names a function or class that this machine does not know.
            Exception: of many kinds, if it is damaged.
        """
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        for opcode, argument, _ in pickletools.genops(pickled):
            self._run(opcode.name, argument)
        if len(self._stack) != 1:
            raise pickle.UnpicklingError("it does not end with one object")
        return self._stack.pop()

    def find(self, name: str) -> Any:
        """Returns what stands for a function or class, "module.name"."""
        raise UnknownCall(name)

    def call(self, function: Any, arguments: Any) -> Any:
        """Returns what stands for the result of a call."""
        raise pickle.UnpicklingError("it calls what is no function")

    def build(self, target: Any, state: Any) -> None:
        """Gives an object its state."""
        raise pickle.UnpicklingError(f"it gives a {type(target).__name__} a state")

    def persistent(self, reference: Any) -> Any:
        """Returns what stands for an object outside of the pickle."""
        raise pickle.UnpicklingError("it refers to an object outside of it")

    def text(self, string: bytes) -> str | bytes:
        """Returns a string of Python 2, which may be text or data."""
        return string

    def _run(self, name: str, argument: Any) -> None:
        """Carries out one operation."""
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _NUMBERS:
            if isinstance(argument, int) and argument.bit_length() > _LONGEST_NUMBER:
                raise pickle.UnpicklingError(f"it has a number of {argument.bit_length()} bits")
            self._stack.append(argument)
        elif name in _TEXTS or name in _BYTES:
            self._stack.append(argument)
        elif name in _STRINGS:
            self._stack.append(self.text(argument.encode("latin-1")))
        elif name in _TUPLES:
            self._stack.append(tuple(self._pop(_TUPLES[name])))
        elif name in _PUTS:
            self._memo[len(self._memo) if argument is None else argument] = self._top(object)
        elif name in _GETS:
            if argument not in self._memo:
                raise pickle.UnpicklingError("it refers to an object that it does not have")
            self._stack.append(self._memo[argument])
        elif name not in _IGNORED:
            operation = getattr(self, f"_{name.lower()}", None)
            if operation is None:
                raise pickle.UnpicklingError(f"the operation {name} does not belong in it")
            operation(*(() if argument is None else (argument,)))

    def _pop(self, count: int) -> list[Any]:
        """Removes the topmost objects, none of them from before the last mark."""
        start = len(self._stack) - count
        if start < (self._marks[-1] if self._marks else 0):
            raise pickle.UnpicklingError("it takes more objects than it has")
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise pickle.UnpicklingError("it takes more objects than it has")
        taken = self._pop(len(self._stack) - self._marks[-1])
        self._marks.pop()
        return taken

    def _top(self, kind: type) -> Any:
        """Returns the topmost object, which must be of a kind."""
        [top] = self._pop(1)
        if not isinstance(top, kind):
            raise pickle.UnpicklingError(f"it has a {type(top).__name__} for a {kind.__name__}")
        self._stack.append(top)
        return top

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _tuple(self) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _empty_list(self) -> None:
        self._stack.append([])

    def _list(self) -> None:
        self._stack.append(self._pop_to_mark())

    def _append(self) -> None:
        value = self._pop(1)
        self._top(list).extend(value)

    def _appends(self) -> None:
        values = self._pop_to_mark()
        self._top(list).extend(values)

    def _empty_dict(self) -> None:
        self._stack.append({})

    def _dict(self) -> None:
        self._stack.append(dictionary(self._pop_to_mark()))

    def _setitem(self) -> None:
        pair = self._pop(2)
        self._top(dict).update(dictionary(pair))

    def _setitems(self) -> None:
        values = self._pop_to_mark()
        self._top(dict).update(dictionary(values))

    def _global(self, place: str) -> None:
        self._stack.append(self.find(place.replace(" ", ".", 1)))

    def _stack_global(self) -> None:
        module, name = self._pop(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise pickle.UnpicklingError("it calls what is no name")
        self._stack.append(self.find(f"{module[:_LONGEST_NAME]}.{name[:_LONGEST_NAME]}"))

    def _inst(self, place: str) -> None:
        raise UnknownCall(place.replace(" ", ".", 1))

    def _reduce(self) -> None:
        function, arguments = self._pop(2)
        self._stack.append(self.call(function, arguments))

    def _build(self) -> None:
        [state] = self._pop(1)
        self.build(self._top(object), state)

    def _binpersid(self) -> None:
        self._stack.append(self.persistent(*self._pop(1)))


def dictionary(values: list[Any]) -> dict[str | bytes | int, Any]:
    """Returns a dictionary of keys and values in turn; only texts and numbers are keys.

    Raises:
        pickle.UnpicklingError: a key is something else, or has no value.
    """
    keys = values[::2]
    if not all(
        isinstance(key, (str, bytes)) or (isinstance(key, int) and key.bit_length() <= _LONGEST_KEY)
        for key in keys
    ):
        raise pickle.UnpicklingError("it has keys that are neither texts nor numbers of 64 bits")
    if len(values) % 2:
        raise pickle.UnpicklingError("it has a key without a value")
    return dict(zip(keys, values[1::2], strict=True))
