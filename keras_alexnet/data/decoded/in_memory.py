"""A whole set of images, decoded at once, or as an earlier run decoded it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import memory_budget
from keras_alexnet.data.decoded import plain_jpegs
from keras_alexnet.data.decoded.cache import Kept
from keras_alexnet.data.decoding import decoder_warnings
from keras_alexnet.data.image_array import ImageArray
from keras_alexnet.utils.text import printable

if TYPE_CHECKING:
    from keras_alexnet.data.images import EncodedImages

_NAMES_IN_MESSAGE = 10

_UNTOUCHED = "untouched"  # the way of decoding images that are kept in their own size


def decoded(encoded: EncodedImages, kind: tuple[int, bool, str]) -> ImageArray | None:
    """Returns what `EncodedImages.in_memory` does, for a square's size, warp and resize."""
    array = _kept(encoded, kind)
    if array is None:
        array = _as_they_are(encoded, kind[0])
    if array is None and memory_budget.fits(len(encoded), (kind[0], kind[0], 3)):
        array = _squares(encoded, *kind)
    return array


def listed(named: list[str]) -> str:
    """Returns names for a message, the first few of them."""
    more = len(named) - _NAMES_IN_MESSAGE
    return "; ".join(named[:_NAMES_IN_MESSAGE]) + (f"; and {more} more" if more > 0 else "")


def _decode_all(
    encoded: EncodedImages,
    shape: tuple[int, ...],
    decode_row: Callable[[tf.Tensor], tf.Tensor],
    untouched: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes every image: uint8 `[n, *shape]` and int64 `[k]`, the rows that failed."""
    images, missing = np.zeros((len(encoded), *shape), np.uint8), np.ones(len(encoded), bool)
    missing[list(encoded.left_out)] = False
    wanted = np.flatnonzero(missing)
    with decoder_warnings.listening() as heard:
        if untouched:
            sides = shape[0], shape[1]
            plain = plain_jpegs.decoded(encoded.read_many, wanted, sides, encoded.max_pixels)
            for rows, decoded in plain:
                images[rows], missing[rows] = decoded, False
        for rows, decoded in encoded.decoded_rows(np.flatnonzero(missing), decode_row):
            images[rows], missing[rows] = decoded, False
        encoded.note_warnings(wanted[~missing[wanted]], heard)
    _log_warnings(encoded)
    return images, np.flatnonzero(missing)


def _log_warnings(encoded: EncodedImages) -> None:
    read = {row: why for row, why in encoded.warned.items() if row not in encoded.left_out}
    if read:
        named = [f"{printable(encoded.name(row))} ({why})" for row, why in read.items()]
        logging.warning(
            "%d images are damaged, but were decoded: %s. With --skip_corrupt "
            "(skip_corrupt=True) they are left out.",
            len(named),
            listed(named),
        )


def _squares(encoded: EncodedImages, size: int, warp: bool, resize: str) -> ImageArray:
    logging.info("Decoding %d images to %d x %d pixels.", len(encoded), size, size)
    images, failed = _decode_all(
        encoded, (size, size, 3), lambda row: encoded.square(row, size, warp, resize)
    )
    if failed.size:
        raise encoded.damage_error({int(row): encoded.reason(int(row)) for row in failed})
    _keep(encoded, images, (size, warp, resize))
    return ImageArray(images)


def _kept(encoded: EncodedImages, kind: tuple[int, bool, str]) -> ImageArray | None:
    """The images as an earlier run decoded them, or None."""
    for way in (_UNTOUCHED, kind) if encoded.cache is not None else ():
        assert encoded.cache is not None
        kept = encoded.cache.load(way, encoded.max_pixels, encoded.left_out)
        if kept is None or len(kept.pixels) != len(encoded):
            continue
        shape = kept.pixels.shape[1:]
        if min(shape[:2]) <= kind[0] and memory_budget.fits(len(encoded), shape):
            logging.info("Read %d decoded images from the cache.", len(encoded))
            encoded.warned |= kept.warned
            _log_warnings(encoded)
            return ImageArray(kept.pixels)
    return None


def _keep(encoded: EncodedImages, images: np.ndarray, way: Any) -> None:
    if encoded.cache:
        encoded.cache.keep(
            Kept(images, encoded.warned, {}), way, encoded.max_pixels, encoded.left_out
        )


def _as_they_are(encoded: EncodedImages, size: int) -> ImageArray | None:
    """All images untouched, if they are of one shape and their short side is <= `size`."""
    shape = _common_shape(encoded, np.unique(np.linspace(0, len(encoded) - 1, 64, dtype=np.int64)))
    if shape is None or min(shape[:2]) > size or not memory_budget.fits(len(encoded), shape):
        return None
    images, failed = _decode_all(
        encoded, shape, lambda row: tf.ensure_shape(encoded.native(row), shape), untouched=True
    )
    if not failed.size:
        _keep(encoded, images, _UNTOUCHED)
        return ImageArray(images)
    damaged = encoded.damaged(failed)
    if damaged:
        raise encoded.damage_error(damaged)
    return None  # some have a different shape


def _common_shape(encoded: EncodedImages, rows: np.ndarray) -> tuple[int, ...] | None:
    """The shape of all these images that can be decoded, or None if they have several."""
    plain = [plain_jpegs.plain_sides(contents) for contents in encoded.read_many(rows)]
    shapes = {(*sides, 3) for sides in plain if sides is not None}
    if len(shapes) < 2 and None in plain:  # the others have to be decoded
        others = rows[[sides is None for sides in plain]]
        for _, decoded in encoded.decoded_rows(others, encoded.shape):
            shapes |= set(map(tuple, decoded.tolist()))
    return shapes.pop() if len(shapes) == 1 else None
