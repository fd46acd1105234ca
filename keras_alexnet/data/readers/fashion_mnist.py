"""Reads Fashion-MNIST's four published idx files, compressed with gzip or not."""

from __future__ import annotations

import gzip
import os
import pathlib
import zlib
from typing import TYPE_CHECKING

from keras_alexnet.data.readers import Published, Reader, register, tfds
from keras_alexnet.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from keras_alexnet.data.dataset import Arrays

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


LARGEST_BYTES = 60_000 * 28 * 28 + 16  # of the largest file


def read(place: pathlib.Path | None) -> Arrays | None:
    """Reads Fashion-MNIST from its files, or a copy that tensorflow-datasets prepared."""
    assert place is not None
    found = find(place)
    return tfds.read_arrays("fashion_mnist", place) if found is None else found


def find(data_dir: str | os.PathLike) -> Arrays | None:
    """Reads Fashion-MNIST from its files.

    Args:
        data_dir: the folder with the files, or one with them in `fashion-mnist/`.

    Returns:
        The data set, with gray values repeated to RGB, or None if none of its files is there.

    Raises:
        UserError: if a file is missing or damaged.
    """
    import numpy as np

    from keras_alexnet.data.dataset import Arrays

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
        parts = {
            part: _read_idx(path, rank=3 if part.endswith("images") else 1)
            for part, path in found.items()
        }
        for part in ("train_images", "test_images"):
            parts[part] = np.repeat(parts[part][..., None], 3, axis=-1)
        return Arrays(CLASSES, **parts)
    return None


def _read_idx(path: pathlib.Path, rank: int) -> np.ndarray:
    """Reads an idx file: 2 zero bytes, type (8: uint8), rank, sizes (32-bit big-endian), values."""
    import numpy as np

    from keras_alexnet.data.archives import read_up_to

    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            contents = read_up_to(file, LARGEST_BYTES + 1)
        if len(contents) > LARGEST_BYTES:
            raise ValueError(f"it holds more than {LARGEST_BYTES} bytes")
        if contents[:4] != bytes([0, 0, 8, rank]):
            raise ValueError(f"it is not an idx file of bytes in {rank} dimensions")
        shape = np.frombuffer(contents, ">u4", rank, offset=4).tolist()
        return np.frombuffer(contents, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged: {error}. Download it again.") from error


register(
    Reader(
        dataset="fashion_mnist",
        read=read,
        data_dir="a folder with the four files of Fashion-MNIST",
        published=Published(
            title="Fashion-MNIST",
            address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
            "train-images-idx3-ubyte.gz",
            copies="the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
            "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
            tfds_name="fashion_mnist",
        ),
    )
)
