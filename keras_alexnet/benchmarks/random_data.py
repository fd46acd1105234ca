"""Data sets of random images for benchmarks: any number of images, sizes and classes."""

import contextlib
import io
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from keras_alexnet.data import readers
from keras_alexnet.data.dataset import UnsplitDataset
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.images import EncodedImages, ImageArray
from keras_alexnet.data.splits import Split

NAME = "random"

_DISTINCT = 512  # images in memory; a larger set holds each of them several times
_FILES = 64
_TEST_IMAGES = 10


@contextlib.contextmanager
def registered(
    images: int, side: int, classes: int, listed: pathlib.Path | None = None
) -> Iterator[None]:
    """Makes `NAME` the name of a data set of random images during the body.

    Args:
        images: number of training images.
        side: height and width in pixels.
        classes: number of classes.
        listed: an empty folder for images that are listed and stay in files; by default they are
            decoded in memory. There are few files, each of which is listed many times.
    """

    def read(_place: None) -> UnsplitDataset:
        pixels: ImageArray | EncodedImages
        if listed is None:
            pixels = _in_memory(min(images, _DISTINCT), side)
        else:
            pixels = _Listed.written(listed, images, side)
        labels = np.arange(images, dtype=np.int32) % classes
        splits = {
            "train": Split(labels, pixels, np.arange(images) % len(pixels)),
            "test": Split(labels[:_TEST_IMAGES], pixels, np.arange(min(images, _TEST_IMAGES))),
        }
        names = tuple(f"class {number}" for number in range(classes))
        return UnsplitDataset(NAME, names, splits, sha256="0" * 64, sha256_of="images and labels")

    readers.register(readers.Reader(dataset=NAME, read=read))
    try:
        yield
    finally:
        readers.unregister(NAME)


def _in_memory(count: int, side: int) -> ImageArray:
    random = np.random.default_rng(0)
    return ImageArray(random.integers(0, 256, (count, side, side, 3), np.uint8))


class _Listed(ImageFiles):
    """Images in files, of which each is listed many times, and which are never decoded ahead."""

    @classmethod
    def written(cls, folder: pathlib.Path, images: int, side: int) -> "_Listed":
        random = np.random.default_rng(0)
        for number in range(_FILES):
            small = random.integers(0, 256, (8, 8, 3), np.uint8)
            # Smooth, as photographs are, so that the files are not larger than theirs.
            picture = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
            contents = io.BytesIO()
            picture.save(contents, "JPEG", quality=90)
            (folder / _name(number)).write_bytes(contents.getvalue())
        return cls(folder, (_name(number % _FILES) for number in range(images)))

    def in_memory(self, *_square: object) -> None:
        return None


def _name(number: int) -> str:
    return f"random-image-{number:08d}.jpg"
