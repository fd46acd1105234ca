"""Images in a folder, one file per image."""

import functools
import os
import pathlib
import stat
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from keras_alexnet.data.images import EncodedImages
from keras_alexnet.utils import files


class ImageFiles(EncodedImages):
    """Images in a folder, one file per image."""

    def __init__(self, folder: str | os.PathLike, names: Iterable[str]):
        super().__init__()
        self._folder, self._names = pathlib.Path(folder), tuple(names)
        with tf.device("/CPU:0"):
            # As bytes, because a file name need not be valid UTF-8.
            self._paths = tf.constant([os.fsencode(os.path.join(folder, n)) for n in self._names])

    def __len__(self) -> int:
        return len(self._names)

    def name(self, row: int) -> str:
        return self._names[row]

    @property
    def paths(self) -> list[pathlib.Path]:
        return [self._folder / name for name in self._names]

    def path(self, row: int) -> pathlib.Path:
        return self._folder / self._names[row]

    def read(self, row: int) -> bytes:
        with files.open_regular(self.path(row)) as file:
            return file.read()

    def contents(self, row: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(_regular_path(tf.gather(self._paths, row)))

    def fetched(self, rows: tf.Tensor) -> tf.Tensor:
        paths = tf.gather(self._paths, rows)
        # One call into Python for all images of a batch: see `_regular_path`.
        regular = tf.numpy_function(_are_regular, [paths], tf.bool, stateful=False)
        return tf.where(tf.ensure_shape(regular, rows.shape), paths, b"")

    def contents_of(self, fetched: tf.Tensor) -> tf.Tensor:
        # Of no file, the error does not matter: the search for it reads the file again.
        return tf.io.read_file(fetched)

    def size(self, row: int) -> int:
        path = self.path(row)
        return path.stat().st_size if os.access(path, os.R_OK) else 0


@functools.partial(tf.function, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _regular_path(path: tf.Tensor) -> tf.Tensor:
    """Returns the path, unless reading it could wait for another program without an end."""
    # A function of its own, so that errors are the same eagerly as in a pipeline.
    return tf.ensure_shape(tf.numpy_function(_check_regular, [path], tf.string, stateful=False), [])


def _check_regular(path: bytes) -> bytes:
    if not _is_regular(path):
        raise ValueError("it is not a regular file")
    return path


def _are_regular(paths: np.ndarray) -> np.ndarray:
    return np.array([_is_regular(path) for path in paths], bool)


def _is_regular(path: bytes) -> bool:
    """Whether a path is not a pipe, a device or a folder; a missing file is left to the reader."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True
