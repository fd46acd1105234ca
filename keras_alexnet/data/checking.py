"""Images that are decoded to check them before they are stored."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.data.decoding import decoder_warnings
from keras_alexnet.data.images import EncodedImages
from keras_alexnet.data.splits import Split

JPEG_QUALITY = 95  # without chroma subsampling; 41.6 dB on average over 100 ImageNet photographs

_BATCH = 16  # encoded images that are passed on at once
_FEW = 256  # images that are decoded sooner than a pipeline, which takes half a second, is ready

# Images that are checked before any of them is passed on: as many as these, or of so many bytes.
GROUP_IMAGES, GROUP_BYTES = 1024, 2**27

Stored = Callable[[tf.Tensor], tf.Tensor]  # int64 scalar, an image's place → its bytes to store


class Checked(NamedTuple):
    """An image to store: its bytes, or None and what is wrong with it."""

    row: int
    contents: bytes | None
    problem: str | None = None


def checked(
    split: Split, rows: np.ndarray, short_side: int | None, threads: int
) -> Iterator[Checked]:
    """Decodes images of a split in parallel and yields what to store, in order.

    An image with a shorter side above `short_side` is turned upright, shrunk and encoded again as
    JPEG; any other keeps its bytes. An image that the JPEG decoder warns of is damaged.

    Args:
        split: the images.
        rows: int64 `[n]`, each at most once.
        short_side: in pixels; None shrinks nothing.
        threads: number of threads that decode.
    """
    pixels = split.encoded

    def stored(place: tf.Tensor) -> tf.Tensor:
        return _storing(short_side, pixels.max_pixels)(pixels.contents(place))

    for group in _groups(pixels, split.rows[rows]):
        yield from _checked_group(rows[group], split.rows[rows[group]], stored, threads)


def _groups(pixels: EncodedImages, places: np.ndarray) -> Iterator[slice]:
    """Divides images into groups that fit in memory."""
    start = size = 0
    for index, place in enumerate(places):
        if index > start and (size >= GROUP_BYTES or index - start == GROUP_IMAGES):
            yield slice(start, index)
            start, size = index, 0
        size += pixels.size(int(place))
    if len(places):
        yield slice(start, len(places))


def _checked_group(
    rows: np.ndarray, places: np.ndarray, stored: Stored, threads: int
) -> Iterator[Checked]:
    with decoder_warnings.listening() as heard:
        found = dict(_stored_places(places, stored, threads))  # without those that fail
        whole = np.array(sorted(found), np.int64)
        warned = decoder_warnings.blamed(whole, stored, heard) if heard() else {}
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        if place in warned:
            yield Checked(row, None, warned[place])
        elif place in found:
            yield Checked(row, found.pop(place))
        else:
            yield _tried_again(row, place, stored)


def _stored_places(places: np.ndarray, stored: Stored, threads: int) -> Iterator[tuple[int, bytes]]:
    if len(places) <= _FEW:
        with ThreadPoolExecutor(threads) as pool:
            tried = pool.map(functools.partial(_tried, stored), places)
            yield from (each for each in tried if each is not None)
        return
    dataset = tf.data.Dataset.from_tensor_slices(np.asarray(places, np.int64))
    dataset = dataset.map(
        tf.autograph.experimental.do_not_convert(lambda place: (place, stored(place))),
        num_parallel_calls=threads,
        deterministic=False,
    )
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    dataset = dataset.ignore_errors().batch(_BATCH).prefetch(2).with_options(options)
    for batch in dataset.as_numpy_iterator():
        yield from zip(batch[0].tolist(), batch[1], strict=True)


def _tried(stored: Stored, place: np.int64) -> tuple[int, bytes] | None:
    try:
        return int(place), stored(tf.constant(place, tf.int64)).numpy()
    except (tf.errors.OpError, OSError):
        return None


def _tried_again(row: int, place: int, stored: Stored) -> Checked:
    try:
        return Checked(row, stored(tf.constant(place, tf.int64)).numpy())
    except (tf.errors.OpError, OSError) as error:
        return Checked(row, None, decode.reason(error))


@functools.lru_cache(maxsize=8)
def _storing(short_side: int | None, max_pixels: int) -> tf.types.experimental.GenericFunction:
    """`_stored` with these arguments, which is traced once and not for every shard."""
    return tf.function(
        lambda contents: _stored(contents, short_side, max_pixels),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


def _stored(contents: tf.Tensor, short_side: int | None, max_pixels: int) -> tf.Tensor:
    """Returns the bytes to store: string scalar → string scalar; damaged images raise an error."""
    image = decode.decode_image(contents, max_pixels)
    if short_side is None:
        with tf.control_dependencies([image]):
            return tf.identity(contents)
    sides = tf.shape(image)[:2]
    shorter = tf.reduce_min(sides)

    def shrunk() -> tf.Tensor:
        ratio = tf.cast(short_side, tf.float64) / tf.cast(shorter, tf.float64)
        size = tf.cast(tf.round(tf.cast(sides, tf.float64) * ratio), tf.int32)
        smaller = tf.cast(tf.round(tf.image.resize(image, size, "area")), tf.uint8)
        return tf.io.encode_jpeg(
            smaller,
            format="rgb",
            quality=JPEG_QUALITY,
            chroma_downsampling=False,
            optimize_size=True,
        )

    return tf.cond(shorter > short_side, shrunk, lambda: contents)
