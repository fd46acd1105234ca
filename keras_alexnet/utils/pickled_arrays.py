"""Reads numpy's arrays in pickles without numpy, which can be made to forge objects."""

import functools
import math
import pickle
from typing import Any

import numpy as np

from keras_alexnet.utils.pickles import Machine, Name, UnknownCall

# What arrays are made of; numpy's modules have been renamed.
_NAMES = {"_reconstruct", "ndarray", "dtype"}

# Python 3 writes bytes so in the protocols of Python 2.
_ENCODE = "_codecs.encode"

_MOST_AXES = 32
_LARGEST_AXIS = 2**31


class Array:
    """An array as the pickle describes it.

    Attributes:
        state: version, shape, type, whether the axes are stored in the opposite order, and the
            numbers as bytes, or a list of objects; None before it is known.
    """

    def __init__(self, state: Any = None) -> None:
        self.state = state


class Dtype:
    """The type of an array's elements.

    Attributes:
        name: kind and bytes, such as "f4".
        order: "<", ">" or "|", the order of the bytes.
    """

    def __init__(self, name: str, order: str = "|") -> None:
        self.name, self.order = name, order


class EncodedBytes:
    """Bytes that are written as text, each as the character of its number."""

    def __init__(self, text: str) -> None:
        self._text = text

    @functools.cached_property  # of one text, many such objects could be made
    def value(self) -> bytes:
        """The bytes."""
        return self._text.encode("latin-1")


class ArrayMachine(Machine):
    """A machine that knows numpy's arrays.

    Example:
        >>> to_numpy(ArrayMachine().load(pickle.dumps(np.float32([1, 2]), protocol=2)))
        array([1., 2.], dtype=float32)
    """

    def __init__(self) -> None:
        self._encoded: dict[int, EncodedBytes] = {}

    def find(self, name: str) -> Any:
        module, _, last = name.rpartition(".")
        if module.partition(".")[0] == "numpy" and last in _NAMES:
            return Name(last)
        if name == _ENCODE:
            return Name(name)
        raise UnknownCall(name)

    def call(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case Name("_reconstruct"), (Name("ndarray"), (0,), b"b" | "b" | EncodedBytes()):
                return Array()
            case Name("dtype"), (str() | bytes() as name, int(), int()):
                return Dtype(as_text(name))
            case Name("_codecs.encode"), (str() as text, "latin1" | b"latin1"):
                # One for each text, which the memo keeps: not many copies of the same bytes.
                return self._encoded.setdefault(id(text), EncodedBytes(text))
        raise pickle.UnpicklingError("it makes an array in a way that numpy does not")

    def build(self, target: Any, state: Any) -> None:
        match target, state:
            case Array(), tuple():
                target.state = state
            case Dtype(), (int(), "<" | ">" | "|" | b"<" | b">" | b"|" as order, *_):
                target.order = as_text(order)
            case _:
                raise pickle.UnpicklingError("an array has a state that no array has")


def as_text(value: str | bytes) -> str:
    """Returns a text, which Python 2 may have written as bytes."""
    return value if isinstance(value, str) else value.decode("utf-8")


def to_numpy(array: Any) -> np.ndarray:
    """Returns the numbers of an `Array`, which share its memory.

    Raises:
        ValueError: it is not an array of numbers, or has more or fewer than its shape says.
    """
    state = array.state if isinstance(array, Array) else None
    match state:
        case (int(), tuple() as shape, Dtype() as dtype, bool() | int() as reverse, values):
            values = values.value if isinstance(values, EncodedBytes) else values
        case _:
            raise ValueError("it is not an array")
    if dtype.name[:1] not in ("f", "i", "u") or dtype.name[1:] not in ("1", "2", "4", "8"):
        raise ValueError("it is not an array of numbers")
    if len(shape) > _MOST_AXES or not all(
        isinstance(size, int) and 0 <= size < _LARGEST_AXIS for size in shape
    ):
        raise ValueError("an array has a size that no array has")
    kind = np.dtype(dtype.order + dtype.name)
    if not isinstance(values, bytes) or math.prod(shape) * kind.itemsize != len(values):
        raise ValueError("an array does not have as many numbers as its shape says")
    return np.frombuffer(values, kind).reshape(shape, order="F" if reverse else "C")
