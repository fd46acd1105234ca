"""Input images: paths, bytes and pixels, each read as an encoded file."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import decode
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.data.folders.collect import as_counts
from keras_alexnet.data.folders.files import EXTENSIONS
from keras_alexnet.data.folders.tree import read_tree
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import files
from keras_alexnet.utils import pixels as pixels_of
from keras_alexnet.utils.text import printable
from keras_alexnet.utils.values import path_text

_WANTED = (
    "Images are paths, encoded bytes, arrays [H, W, 3] or [N, H, W, 3] of pixels 0–255, or several."
)

_JPEG_OR_PNG = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class InputImage(NamedTuple):
    """One image: its name, and a function that reads its encoded bytes."""

    name: str
    read: Callable[[], bytes]


def input_images(images: Any) -> list[InputImage] | Iterator[InputImage]:
    """Finds images without reading them.

    Args:
        images: the path of a file, or of a folder that is searched with all folders below it;
            encoded bytes; an array `[H, W, 3]` or `[N, H, W, 3]` of pixels 0–255, rounded if they
            are floats; or an iterable of these.

    Returns:
        A list in the given order, with the files of a folder sorted; an iterator if `images` is an
        iterable other than a list or a tuple. Bytes and arrays are named `image <number>`, counted
        over all images.

    Raises:
        UsageError: for anything else, such as pixels in 0–1.
        UserError: for a folder without images.

    Example:
        >>> [image.name for image in input_images(np.zeros([2, 4, 5, 3], np.uint8))]
        ['image 0', 'image 1']
    """
    if _is_one(images):
        return list(_numbered([images]))
    if isinstance(images, (list, tuple)):
        return list(_numbered(images))
    if isinstance(images, Iterable):
        return _numbered(images)
    raise UsageError(f"{_WANTED} Received: {type(images).__name__}.")


def as_jpeg_or_png(contents: bytes, max_pixels: int = MAX_IMAGE_PIXELS) -> bytes:
    """Returns JPEG and PNG unchanged, and other formats as PNG with the same pixels, upright.

    A saved graph decodes only JPEG and PNG.

    Raises:
        tf.errors.InvalidArgumentError: if the bytes are none of these, or have to be converted and
            have more than `max_pixels`.
    """
    if contents.startswith(_JPEG_OR_PNG):
        return contents
    with tf.device("/CPU:0"):
        return _encoded(decode.decode_image(tf.constant(contents), max_pixels))


def _is_one(images: Any) -> bool:
    return isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview)) or _is_array(images)


def _is_array(images: Any) -> bool:
    return hasattr(images, "__array__") or hasattr(images, "__array_interface__")


def _numbered(images: Iterable[Any]) -> Iterator[InputImage]:
    number = 0
    for image in images:
        for each in _expanded(image, number):
            yield each
            number += 1


def _expanded(image: Any, number: int) -> Iterator[InputImage]:
    if isinstance(image, (str, os.PathLike)):
        path = path_text(f"image {number}", image, any_name=True)
        paths = _below(path) if os.path.isdir(path) else [path]
        yield from (InputImage(_printable(path), _reader(path)) for path in paths)
    elif isinstance(image, (bytes, bytearray, memoryview)):
        contents = bytes(image)
        yield InputImage(f"image {number}", lambda: contents)
    elif _is_array(image):
        yield from _of_array(np.asarray(image), number)
    else:
        raise UsageError(f"{_WANTED} Received: {type(image).__name__} for image {number}.")


def _of_array(array: np.ndarray, number: int) -> Iterator[InputImage]:
    if array.dtype.kind in "OU":  # a column of paths
        yield from _numbered(array.tolist())
        return
    if array.dtype.kind not in "iuf" or array.ndim not in (3, 4) or array.shape[-1] != 3:
        received = f"{array.dtype} {list(array.shape)} for image {number}"
        raise UsageError(f"{_WANTED} Received: an array {received}.")
    array = pixels_of.as_uint8(array, f"The array with image {number}")
    for index, pixels in enumerate(array if array.ndim == 4 else array[None]):
        yield InputImage(f"image {number + index}", functools.partial(_encoded, pixels))


def _encoded(pixels: np.ndarray | tf.Tensor) -> bytes:
    # The lowest compression is several times faster, and also lossless.
    return tf.io.encode_png(pixels, compression=1).numpy()


def _below(folder: str) -> list[str]:
    root = read_tree(folder)
    found = sorted(os.path.join(folder, name) for name, _ in root.images_below())
    left_out = as_counts(root.counted())
    if left_out:
        counted = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        logging.info("Left out in %s: %s.", printable(folder), counted)
    if not found:
        raise UserError(
            f"The folder {printable(folder)} has no images: files that end in "
            f"{', '.join(EXTENSIONS)}."
        )
    return found


def _reader(path: str) -> Callable[[], bytes]:
    def read() -> bytes:
        with files.open_regular(path) as file:
            return file.read()

    return read


def _printable(path: str) -> str:
    # A file name need not be valid UTF-8, but what is printed and written must be.
    return os.fsencode(path).decode("utf-8", "replace")
