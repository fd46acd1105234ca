"""Fashion-MNIST's four idx files, read as they were published, packed with gzip or not."""

import gzip
import os
import pathlib
import zlib

import numpy as np

from keras_alexnet.data.dataset import Arrays
from keras_alexnet.errors import UserError

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def find(data_dir: str | os.PathLike) -> Arrays | None:
    """Reads Fashion-MNIST from its files.

    Args:
        data_dir: the folder with the files, or one with them in `fashion-mnist/`.

    Returns:
        The data set, gray values repeated to RGB, or None if no file of it is there.

    Raises:
        UserError: if a file is missing or damaged.
    """
    for folder in (pathlib.Path(data_dir), pathlib.Path(data_dir) / "fashion-mnist"):
        found = {
            part: path
            for part, name in _FILES.items()
            for path in (folder / name, folder / f"{name}.gz")
            if path.is_file()
        }
        if not found:
            continue
        missing = [name for part, name in _FILES.items() if part not in found]
        if missing:
            raise UserError(f"{folder} is incomplete: {', '.join(missing)} (.gz) missing.")
        parts = {part: _read_idx(path) for part, path in found.items()}
        for part in ("train_images", "test_images"):
            parts[part] = np.repeat(parts[part][..., None], 3, axis=-1)
        return Arrays(CLASSES, **parts)
    return None


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """An idx file: 2 zero bytes, type (8: uint8), rank, sizes (big-endian 32 bit), values."""
    try:
        contents = path.read_bytes()
        if path.suffix == ".gz":
            contents = gzip.decompress(contents)
        if contents[:3] != b"\0\0\x08":
            raise ValueError("no idx file of bytes")
        rank = contents[3]
        shape = np.frombuffer(contents, ">u4", rank, offset=4)
        return np.frombuffer(contents, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, ValueError, EOFError, IndexError, zlib.error) as error:
        raise UserError(f"{path} is damaged: {error}. Download it again.") from error
