"""Random access to the images in TFRecord files.

A TFRecord file is made to be read from beginning to end. With an index of where each encoded image
is, it is as good as a folder of files: an epoch's order can be any permutation, a resumed run can
begin at any step, and a validation set can be taken out of it.
"""

import mmap
import os
import pathlib
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_alexnet.data.images import EncodedImages
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


_LONGEST_VARINT = 10  # bytes of a 64-bit number, 7 bits in each


_LARGEST_LABEL = 2**31 - 1


_THREADS = 8  # reading waits for the disk


class RecordIndex(NamedTuple):
    """Where the images are: one row per record.

    `files` are indices into the list of files; `offsets` and `lengths` are bytes.
    """

    files: np.ndarray  # int64 [n]
    offsets: np.ndarray  # int64 [n]
    lengths: np.ndarray  # int64 [n]
    labels: np.ndarray  # int32 [n]


class RecordImages(EncodedImages):
    """Images inside TFRecord files, or at known places in any other files."""

    def __init__(
        self,
        paths: Sequence[str | os.PathLike],
        index: RecordIndex,
        names: Sequence[str] | None = None,
    ):
        super().__init__()
        self._paths = [os.fspath(path) for path in paths]
        self._index = index
        self._names = names
        self._readers = ThreadPoolExecutor(_THREADS)

    def __len__(self) -> int:
        return len(self._index.labels)

    def name(self, row: int) -> str:
        if self._names is not None:
            return self._names[row]
        file = self._index.files[row]
        position = row - np.searchsorted(self._index.files, file)
        return f"{os.path.basename(self._paths[file])}, record {position}"

    @property
    def paths(self) -> list[str]:
        return self._paths

    def size(self, row: int) -> int:
        return int(self._index.lengths[row])

    def contents(self, row: tf.Tensor) -> tf.Tensor:
        contents = tf.numpy_function(self.read, [row], tf.string, stateful=False)
        return tf.ensure_shape(contents, [])

    def read(self, row: int) -> bytes:
        with files.open_regular(self._paths[self._index.files[row]]) as file:
            file.seek(self._index.offsets[row])
            return file.read(self._index.lengths[row])

    def read_many(self, rows: np.ndarray) -> list[bytes]:
        chosen, contents = self._index.files[rows], [b""] * len(rows)
        for number in np.unique(chosen):
            try:
                with files.open_regular(self._paths[number]) as file:
                    for place in np.flatnonzero(chosen == number):
                        file.seek(self._index.offsets[rows[place]])
                        contents[place] = file.read(self._index.lengths[rows[place]])
            except OSError:
                continue
        return contents

    def fetched(self, rows: tf.Tensor) -> tf.Tensor:
        # A call into Python for every image would cost as much as decoding a small one.
        contents = tf.numpy_function(self._read_batch, [rows], tf.string, stateful=False)
        return tf.ensure_shape(contents, rows.shape)

    def contents_of(self, fetched: tf.Tensor) -> tf.Tensor:
        return fetched

    def _read_batch(self, rows: np.ndarray) -> np.ndarray:
        def read(part: np.ndarray) -> list[bytes]:
            return [self._read_if_possible(row) for row in part]

        parts = self._readers.map(read, np.array_split(rows, _THREADS))
        contents = np.empty(len(rows), object)
        contents[:] = [image for part in parts for image in part]
        return contents

    def _read_if_possible(self, row: int) -> bytes:
        try:
            return self.read(row)
        except OSError:
            return b""  # fails where it is decoded, with the other damaged images


def index_records(paths: Sequence[str | os.PathLike]) -> RecordIndex:
    """Finds the features "image" (bytes) and "label" (one integer) of every `tf.train.Example`.

    Only the beginning of each record and what follows its image is read.

    Raises:
        UserError: if a file is missing, cut off, or does not hold such records.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(_index_file, map(pathlib.Path, paths)))
    columns = np.concatenate(found)
    files = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    return RecordIndex(files, columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int32))


def _index_file(path: pathlib.Path) -> np.ndarray:
    """Returns offset and length of the image, and label, of each record: int64 `[records, 3]`."""
    rows = []
    try:
        with (
            files.open_regular(path) as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            if hasattr(data, "madvise"):  # not on Windows
                data.madvise(mmap.MADV_RANDOM)  # or the system would read all images in advance
            start = 0
            while start < len(data):
                # Length (8 bytes), its checksum (4), the record, its checksum (4).
                (length,) = struct.unpack_from("<Q", data, start)
                if start + length + 16 > len(data):
                    raise ValueError("it ends inside a record")
                rows.append(_image_and_label(data, start + 12, start + 12 + length))
                start += length + 16
    except (OSError, ValueError, LookupError, struct.error) as error:
        raise UserError(f"{path} cannot be read as TFRecords of images: {error}.") from error
    return np.array(rows, np.int64).reshape(-1, 3)


def _image_and_label(data: mmap.mmap, start: int, end: int) -> tuple[int, int, int]:
    """Walks the protocol buffer Example → features → feature (a map) → bytes or int64 list."""
    features = {}
    for _, features_start, features_end in _fields(data, start, end):
        for _, entry_start, entry_end in _fields(data, features_start, features_end):
            key, value = _fields(data, entry_start, entry_end)
            features[data[key[1] : key[2]]] = value[1:]
    [(_, *values)] = _fields(data, *features[b"image"])
    [(_, image_start, image_end)] = _fields(data, *values)
    [(_, *values)] = _fields(data, *features[b"label"])
    [(_, label_start, label_end)] = _fields(data, *values)
    label, _ = _varint(data, label_start, label_end)
    if label > _LARGEST_LABEL:
        raise ValueError(f"a label must be from 0 to {_LARGEST_LABEL}, and one is {label}")
    return image_start, image_end - image_start, label


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields (number, start, end) of a message's fields; for a varint, of its own bytes."""
    while start < end:
        tag, start = _varint(data, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == _LENGTH_DELIMITED:
            length, start = _varint(data, start, end)
            stop = start + length
        elif kind == _VARINT:
            _, stop = _varint(data, start, end)
        else:
            stop = start + {_FIXED64: 8, _FIXED32: 4}[kind]
        if stop > end:
            raise ValueError("a field is longer than its record")
        yield number, start, stop
        start = stop


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """Returns the number that begins at `start`, and its end; `end` is that of its message."""
    value = 0
    for place in range(start, min(end, start + _LONGEST_VARINT)):
        value |= (data[place] & 127) << 7 * (place - start)
        if data[place] < 128:
            return value, place + 1
    raise ValueError("a number has no end")
