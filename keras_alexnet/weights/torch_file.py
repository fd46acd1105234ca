"""Reads PyTorch's `.pth` and `.pt` files without torch and without running code from them."""

import io
import math
import os
import zipfile
from typing import Any

import numpy as np

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.utils import files
from keras_alexnet.utils.pickles import BoundedReader, UnknownCall
from keras_alexnet.utils.text import printable
from keras_alexnet.weights.torch_pickle import (
    ITEM_BYTES,
    StateMachine,
    Storage,
    Tensor,
    as_dictionary,
)

# How often a file's bytes may count: tensors may share them, and one number may stand for many.
SHARED = 4

_WRAPPERS = ("state_dict", "model_state_dict")  # keys of checkpoints that hold a state dict

_ZIP = b"PK\x03\x04"
_MARK, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # that an older file begins with
_PACKING = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ADVICE = "Write one with torch.save(network.state_dict(), …)."


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the tensors of a state dict.

    Both forms are read: the zip archive since PyTorch 1.6, and the older form. The state dict may
    be inside a checkpoint, under "state_dict" or "model_state_dict". No code is run, because
    neither Python's unpickler nor torch is used: `utils.pickles` says how.

    Returns:
        Name → array in PyTorch's layout, of the file's type, but float32 for bfloat16. Arrays may
        share memory and be read-only.

    Raises:
        UserError: the file is damaged or cut off, is not a state dict of dense tensors, would run
            code, or claims far more numbers than it has.
    """
    path = os.fspath(path)
    try:
        with files.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            archive = (_Zip if file.peek(4)[:4] == _ZIP else _Older)(file, size)
            tensors = _state_dict(archive.loaded, path)
            claimed = sum(tensor.checked_bytes() for tensor in tensors.values())
            if claimed > SHARED * size:
                raise _too_much(path, claimed)
            return {name: archive.array(tensor) for name, tensor in tensors.items()}
    except UserError:
        raise
    except Exception as error:  # zipfile and pickletools raise many kinds for damaged files.
        raise UserError(_why_not(path, error)) from error


class _Zip:
    """A zip archive: the pickle `data.pkl`, and a file for each storage in the folder `data`."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._archive = zipfile.ZipFile(file)
        self._left = SHARED * size  # how many bytes may still be read
        members = self._archive.infolist()
        self._folder = members[0].filename.partition("/")[0] if members else ""
        if self._has("constants.pkl"):
            raise ValueError("it is a TorchScript program, not a state dict")
        if not self._has("data.pkl"):
            raise ValueError("it is a zip archive that torch.save did not write")
        order = self._read("byteorder") if self._has("byteorder") else b"little"
        if order not in (b"little", b"big"):
            raise ValueError("the order of its bytes is neither little nor big")
        self._is_big = order == b"big"
        self._storages: dict[str, bytes] = {}
        self.loaded = StateMachine().load(self._read("data.pkl"))

    def array(self, tensor: Tensor) -> np.ndarray:
        """Returns the numbers of a tensor."""
        key = tensor.storage.key
        if key not in self._storages:
            self._storages[key] = self._read(f"data/{key}")
        return _array(tensor, self._storages[key], self._is_big)

    def _has(self, name: str) -> bool:
        return f"{self._folder}/{name}" in self._archive.NameToInfo

    def _read(self, name: str) -> bytes:
        """Returns a file, after making sure that it is not larger than it may be."""
        if not self._has(name):
            raise ValueError("a tensor's storage is missing")
        member = self._archive.getinfo(f"{self._folder}/{name}")
        if member.compress_type not in _PACKING:
            raise ValueError("it is packed in a way that torch.save does not use")
        self._left -= max(member.file_size, member.compress_size)
        if self._left < 0:
            raise ValueError("it is packed, or its files share their bytes")
        if not member.CRC:  # torch can leave the checksums out
            member.CRC = None  # type: ignore[assignment]
        with self._archive.open(member) as file:
            contents = file.read(member.file_size)
        if len(contents) != member.file_size:
            raise ValueError("a storage is cut off")
        return contents


class _Older:
    """The form before PyTorch 1.6: some pickles, and behind them the storages in turn."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file, self._size = file, size
        reader = BoundedReader(file)
        mark = StateMachine().load(reader)
        if mark != _MARK or StateMachine().load(reader) != _VERSION:
            raise ValueError("it is a pickle that torch.save did not write")
        StateMachine().load(reader)  # the sizes of C's types
        machine = _StorageMachine()
        self.loaded = machine.load(reader)
        keys = StateMachine().load(reader)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("the names of its storages are missing")
        self._places: dict[str, tuple[int, int]] = {}
        place = file.tell()
        for key in keys:
            if key not in machine.storages:
                raise ValueError("it has a storage that no tensor refers to")
            file.seek(place)
            elements = int.from_bytes(file.read(8), "little", signed=True)
            length = elements * ITEM_BYTES[machine.storages[key].dtype]
            if not 0 <= length <= size - place - 8:
                raise ValueError("a storage is cut off")
            self._places[key] = (place + 8, length)
            place += 8 + length
        self._storages: dict[str, bytes] = {}

    def array(self, tensor: Tensor) -> np.ndarray:
        """Returns the numbers of a tensor."""
        key = tensor.storage.key
        if key not in self._places:
            raise ValueError("a tensor's storage is missing")
        if key not in self._storages:
            place, length = self._places[key]
            self._file.seek(place)
            self._storages[key] = self._file.read(length)
        return _array(tensor, self._storages[key])


class _StorageMachine(StateMachine):
    """A machine that remembers the storages, whose types are not written beside their numbers."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}

    def persistent(self, reference: Any) -> Storage:
        storage = super().persistent(reference)
        self.storages.setdefault(storage.key, storage)
        return storage


def _array(tensor: Tensor, contents: bytes, is_big: bool = False) -> np.ndarray:
    """Returns the numbers of a tensor that was checked, given those of its storage."""
    storage, item = tensor.storage, ITEM_BYTES[tensor.dtype]
    if storage.elements * ITEM_BYTES[storage.dtype] != len(contents):
        raise ValueError("a storage has more or fewer numbers than the tensors say")
    is_brain = tensor.dtype == "bfloat16"
    kind = np.dtype("uint16" if is_brain else tensor.dtype.removeprefix("q"))
    kind = kind.newbyteorder(">" if is_big else "<")
    if not math.prod(tensor.size):
        return np.empty(tensor.size, np.float32 if is_brain else kind)
    start = tensor.offset + storage.start
    axes = list(zip(tensor.size, tensor.stride, strict=True))
    end = start + sum((size - 1) * stride for size, stride in axes) + 1
    if end * item > len(contents):
        raise ValueError("a tensor reaches beyond its storage")
    steps = [item * stride if size > 1 else 0 for size, stride in axes]
    found = np.ndarray(tensor.size, kind, contents, start * item, steps)
    # The upper half of a float32, which numpy lacks.
    return (found.astype(np.uint32) << 16).view(np.float32) if is_brain else found


def _state_dict(loaded: Any, path: str) -> dict[str, Tensor]:
    loaded = as_dictionary(loaded)
    for wrapper in _WRAPPERS:
        inner = as_dictionary(loaded.get(wrapper)) if isinstance(loaded, dict) else None
        if isinstance(inner, dict):
            loaded = inner
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(
            f"{path} must hold a state dict. Received: {type(loaded).__name__} "
            f"{'without tensors' if isinstance(loaded, dict) else 'instead'}. {_ADVICE}"
        )
    others = [
        printable(name, 100)
        for name, value in loaded.items()
        if not isinstance(name, str) or not isinstance(value, Tensor)
    ]
    if others:
        raise UserError(
            f"{path} must hold a state dict of dense tensors. These entries are not: "
            f"{', '.join(others[:10])}. {_ADVICE}"
        )
    return loaded


def _too_much(path: str, claimed: int) -> UserError:
    return UserError(
        f"{path} claims {claimed} bytes of weights, far more than the file has: it is packed, "
        "or its tensors share their numbers. Write it again with "
        "torch.save(network.state_dict(), …)."
    )


def _why_not(path: str, error: Exception) -> str:
    if _is_tar(path):
        return (
            f"{path} is in PyTorch's oldest format, a tar archive, which is not read here. If you "
            "trust it, load it in torch and write it again with torch.save(state_dict, …)."
        )
    if isinstance(error, UnknownCall):
        return (
            f"{path} was not loaded, because it is a pickle that calls {error.called}: it would "
            f"run code. A state dict holds only tensors. {_ADVICE}"
        )
    return (
        f"{path} cannot be read as a PyTorch state dict: {printable(first_line(error), 500)}. It "
        "may be cut off, damaged or in a different format: download or write it again."
    )


def _is_tar(path: str) -> bool:
    try:
        with files.open_regular(path) as file:
            return file.read(512)[257:262] == b"ustar"
    except OSError:
        return False
