"""Reads the pickles of PyTorch's state dicts into descriptions of their tensors, without torch.

Nothing in a pickle is run: see `utils.pickles`. The names below are all that a state dict, or a
checkpoint around it, needs. They are never imported: each only says which description to make.
"""

import dataclasses
import math
import pickle
import re
from typing import Any

from keras_alexnet.utils.pickles import Machine, Name, UnknownCall, dictionary

# Type of torch → bytes of an element.
ITEM_BYTES = {
    **{"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2},
    **{"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1},
    **{"complex64": 8, "complex128": 16, "qint8": 1, "quint8": 1, "qint32": 4},
}

_STORAGES = {
    **{"Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16"},
    **{"Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8"},
    **{"Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128"},
    **{"QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32", "Untyped": "uint8"},
}

# Name of a storage's class → its type.
_STORAGE_TYPES = {
    **{f"torch.{name}Storage": dtype for name, dtype in _STORAGES.items()},
    "torch.storage.UntypedStorage": "uint8",
}

_ORDERED = "collections.OrderedDict"
_SIZE = "torch.Size"
_UTILS = "torch._utils._rebuild_"
_TENSORS = {f"{_UTILS}tensor", f"{_UTILS}tensor_v2"}
_TENSOR_OF_TYPE = f"{_UTILS}tensor_v3"
_PARAMETERS = {f"{_UTILS}parameter", f"{_UTILS}parameter_with_state"}
_WITH_ATTRIBUTES = "torch._tensor._rebuild_from_type_v2"
_CLASSES = {"torch.Tensor", "torch.nn.parameter.Parameter"}

# What is no dense tensor, but may be beside a state dict, in the state of an optimizer or schedule.
_OTHERS = {
    *{f"{_UTILS}{kind}" for kind in ("sparse_tensor", "qtensor", "nested_tensor")},
    *{"torch.device", "torch.serialization._get_layout", "torch.per_tensor_affine"},
    *{"torch.per_channel_affine", "collections.Counter", "builtins.set", "__builtin__.set"},
}

# A type of torch, also such as only quantized and compressed networks have.
_TYPE = re.compile(r"torch\.(bool|complex|b?float|u?int|qu?int)[0-9]*[a-z0-9_]*")

_MOST_AXES = 32
_LARGEST = 2**60  # of a size, stride or offset


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers outside of the pickle, which tensors may share.

    Attributes:
        key: its name in the file.
        dtype: the type of its elements, one of `ITEM_BYTES`.
        elements: how many it has.
        start: the element at which the part begins that the tensors use.
    """

    key: str
    dtype: str
    elements: int
    start: int = 0


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A dense tensor; offset and strides count elements."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple
    dtype: str

    def checked_bytes(self) -> int:
        """Returns how many bytes its elements would take if none of them were shared.

        Raises:
            ValueError: no tensor has these sizes, strides or offset.
        """
        numbers = (self.offset, *self.size[:_MOST_AXES], *self.stride[:_MOST_AXES])
        if (
            not len(self.size) == len(self.stride) <= _MOST_AXES
            or not all(isinstance(each, int) and 0 <= each < _LARGEST for each in numbers)
            or math.prod(self.size) >= _LARGEST
        ):
            raise ValueError("it has a tensor of a size, stride or offset that no tensor has")
        return math.prod(self.size) * ITEM_BYTES[self.dtype]


class Other:
    """Something that is not needed."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The keys and values of an ordered dictionary of Python 2."""

    pairs: list


class StateMachine(Machine):
    """A machine that knows what a state dict consists of.

    Example:
        >>> import collections
        >>> StateMachine().load(pickle.dumps(collections.OrderedDict(epoch=3)))
        {'epoch': 3}
    """

    def find(self, name: str) -> Any:
        if name in _KNOWN or _TYPE.fullmatch(name):
            return Name(name)
        raise UnknownCall(name)

    def call(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case Name(), _ if function in _OTHERS:
                return Other()
            case Name(name), () if name == _ORDERED:
                return {}
            case Name(name), (list() as pairs,) if name == _ORDERED:
                # Made a dictionary only if it is needed: of one list, many could be made.
                return Pairs(pairs)
            case Name(name), (tuple() as size,) if name == _SIZE:
                return size
            case Name(name), (Tensor() | Other() as tensor, *_) if name in _PARAMETERS:
                return tensor
            case Name(name), (Name() as rebuild, Name(kind), tuple() as inner, *_) if (
                name == _WITH_ATTRIBUTES and rebuild != name and kind in _CLASSES
            ):
                return self.call(rebuild, inner)
        return self._tensor(function, arguments)

    def build(self, target: Any, state: Any) -> None:
        # PyTorch notes the versions of the modules in an attribute.
        if not isinstance(target, (dict, Pairs)) or not isinstance(state, dict):
            raise pickle.UnpicklingError(f"it gives a {type(target).__name__} a state")

    def persistent(self, reference: Any) -> Any:
        match reference:
            case ("storage", Name(kind), str() as key, _, int() as elements, *view) if (
                kind in _STORAGE_TYPES and 0 <= elements < _LARGEST
            ):
                whole = Storage(key, _STORAGE_TYPES[kind], elements)
            case _:
                raise pickle.UnpicklingError("it refers to a storage as PyTorch does not")
        match view:
            case [] | [None]:
                return whole
            case [(_, int() as start, int() as part)] if 0 <= start <= start + part <= elements:
                return dataclasses.replace(whole, start=start)
        raise pickle.UnpicklingError("it refers to a part of a storage as PyTorch does not")

    def text(self, string: bytes) -> str | bytes:
        return string.decode("utf-8", "surrogateescape")

    def _tensor(self, function: Any, arguments: Any) -> Tensor | Other:
        match function, arguments:
            case Name(name), (
                Storage() as storage,
                int() as offset,
                tuple() as size,
                tuple() as stride,
                *rest,
            ):
                if name in _TENSORS:
                    return Tensor(storage, offset, size, stride, storage.dtype)
                if name == _TENSOR_OF_TYPE and len(rest) >= 3 and isinstance(rest[2], Name):
                    dtype = rest[2].removeprefix("torch.")
                    known = dtype in ITEM_BYTES
                    return Tensor(storage, offset, size, stride, dtype) if known else Other()
        raise pickle.UnpicklingError("it makes a tensor in a way that PyTorch does not")


_KNOWN = {
    *_STORAGE_TYPES,
    *{_ORDERED, _SIZE, _TENSOR_OF_TYPE, _WITH_ATTRIBUTES},
    *_TENSORS,
    *_PARAMETERS,
    *_CLASSES,
    *_OTHERS,
}


def as_dictionary(value: Any) -> Any:
    """Returns an ordered dictionary of Python 2 as a dictionary, and everything else as it is."""
    if not isinstance(value, Pairs):
        return value
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value.pairs):
        raise pickle.UnpicklingError("it has a dictionary that is not made of pairs")
    return dictionary([each for pair in value.pairs for each in pair])
