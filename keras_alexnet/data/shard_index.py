"""The index of a part's shards: which file each image is in, and where."""

import io
import os
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_alexnet.data.manifest import Part, is_whole
from keras_alexnet.data.records import RecordImages, RecordIndex
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files


class _Names(Sequence[str]):
    """Names, one after the other in one array: a million of them as strings take 100 MB."""

    def __init__(self, characters: np.ndarray, ends: np.ndarray) -> None:
        self._characters, self._ends = characters, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: Any) -> Any:
        start = self._ends[row - 1] if row else 0
        return os.fsdecode(self._characters[start : self._ends[row]].tobytes())


def write_index(path: str | os.PathLike, index: RecordIndex, names: Sequence[str]) -> None:
    """Writes where each image is in the shards, and its name, in the order of the source."""
    encoded = [os.fsencode(name) for name in names]
    with files.atomic_write(path) as temporary:
        np.savez(
            temporary,
            **index._asdict(),
            names=np.frombuffer(b"".join(encoded), np.uint8),
            name_ends=np.cumsum([len(name) for name in encoded], dtype=np.int64),
        )


def read_split(folder: pathlib.Path, part: Part) -> Split:
    """Reads the images of one part of a folder that `prepare` wrote.

    Raises:
        UserError: if the index is damaged, or does not belong to the shards.
    """
    path = folder / part.index.file
    # The index is small, and everything depends on it: its hash is checked every time.
    if not is_whole(folder, part.index):
        raise UserError(
            f"{path} has changed (SHA-256). Run keras-alexnet prepare again, or copy the file "
            "again."
        )
    try:
        columns = _columns(path)
        index = RecordIndex(*(columns[name] for name in RecordIndex._fields))
        _check(index, columns["names"], columns["name_ends"], part)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged: {error}. Run keras-alexnet prepare again.") from error
    names = _Names(columns["names"], columns["name_ends"])
    shards = [folder / shard.file for shard in part.shards]
    return Split.of(RecordImages(shards, index, names), index.labels)


_DTYPES = {"labels": np.dtype("<i4"), "names": np.dtype("u1")}  # all others are int64


def _columns(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the arrays of an .npz file, none of which is larger than the file."""
    columns = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename} is compressed")
            name = member.filename.removesuffix(".npy")
            file = io.BytesIO(archive.read(member))
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError(f"{name} is in a different format")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if len(shape) != 1 or dtype != _DTYPES.get(name, np.dtype("<i8")):
                raise ValueError(f"{name} is an array of {dtype} {shape}")
            columns[name] = np.frombuffer(file.read(), dtype)
            if len(columns[name]) != shape[0]:
                raise ValueError(f"{name} holds {len(columns[name])} values instead of {shape[0]}")
    return columns


def _check(index: RecordIndex, characters: np.ndarray, ends: np.ndarray, part: Part) -> None:
    if any(len(column) != part.images for column in (*index, ends)):
        raise ValueError(f"it does not have the {part.images} images of the manifest")
    if part.images and not 0 <= index.files.min() <= index.files.max() < len(part.shards):
        raise ValueError("it names shards that are not there")
    sizes = np.array([shard.bytes for shard in part.shards], np.int64)[index.files]
    if ((index.offsets < 0) | (index.lengths < 0) | (index.lengths > sizes - index.offsets)).any():
        raise ValueError("it names places outside the shards")
    if (np.diff(ends, prepend=0) < 0).any() or (len(ends) and ends[-1] > len(characters)):
        raise ValueError("its names are damaged")
