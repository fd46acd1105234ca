"""Sets of images: in memory, or encoded until they are needed."""

import abc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import decode, memory_budget
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.data.decoded import plain_jpegs
from keras_alexnet.data.decoded.cache import DecodedCache, Kept
from keras_alexnet.data.decoding import decoder_warnings
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks.image_plan import AREA
from keras_alexnet.utils.pixels import message, wrong_scale
from keras_alexnet.utils.text import printable

_NAMES_IN_MESSAGE = 10

_UNTOUCHED = "untouched"  # the way of decoding images that are kept in their own size


class DamagedImages(UserError):
    """Images that cannot be read.

    Attributes:
        pixels: the `EncodedImages` that they belong to.
        rows: their rows in it.
    """

    def __init__(self, message: str, pixels: "EncodedImages", rows: Iterable[int]):
        super().__init__(message)
        self.pixels, self.rows = pixels, tuple(rows)


class ImageArray:
    """Decoded images in memory: uint8 `[n, height, width, 3]`, as array and as tensor.

    Raises:
        UsageError: they are not uint8.
    """

    def __init__(self, images: np.ndarray):
        if images.dtype != np.uint8:
            received = wrong_scale(images) or f"{images.dtype} {list(images.shape)}"
            raise UsageError(message("The images of a data set, uint8,", received))
        with tf.device("/CPU:0"):  # a GPU must not hold the data set
            self.tensor = tf.identity(images)  # tf.constant would hold the pixels twice
        self.images = np.asarray(memoryview(self.tensor))  # and .numpy() would copy them

    def __len__(self) -> int:
        return len(self.images)

    def name(self, row: int) -> str:
        return f"image {row}"


class EncodedImages(abc.ABC):
    """Images that stay encoded until needed; their squares are kept if they fit in memory.

    Subclasses know how many there are, their names and how to read an image's bytes. Pipelines
    note in `recent` which rows they are about to read; the search for a damaged file begins there.

    Attributes:
        max_pixels: the largest image that is decoded.
        cache: keeps the decoded images for the next run, or None.
        warned: row → what the JPEG decoder warned of, of the images that were checked so far.
    """

    def __init__(self) -> None:
        self.recent: deque[np.ndarray] = deque(maxlen=256)
        self.max_pixels = MAX_IMAGE_PIXELS
        self.cache: DecodedCache | None = None
        self.warned: dict[int, str] = {}
        self._decoded: dict[tuple[int, bool, str], ImageArray | None] = {}
        self._left_out: set[int] = set()

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of images, including those left out."""

    @abc.abstractmethod
    def name(self, row: int) -> str:
        """Returns what error messages call the image."""

    @property
    @abc.abstractmethod
    def paths(self) -> Sequence[str | os.PathLike]:
        """The files that hold the images."""

    @abc.abstractmethod
    def contents(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the encoded bytes of one image: int64 scalar → string scalar."""

    @abc.abstractmethod
    def size(self, row: int) -> int:
        """Returns the number of bytes of one encoded image; 0 if it cannot be read."""

    @abc.abstractmethod
    def read(self, row: int) -> bytes:
        """Returns the encoded bytes of one image, without using TensorFlow."""

    def read_many(self, rows: np.ndarray) -> list[bytes]:
        """Returns the encoded bytes of images, int64 `[k]`; of those that cannot be read, none."""

        def read(row: int) -> bytes:
            try:
                return self.read(row)
            except OSError:
                return b""

        return [read(int(row)) for row in rows]

    @property
    def left_out(self) -> list[int]:
        """The rows that are known to be damaged, in order."""
        return sorted(self._left_out)

    @property
    def is_in_memory(self) -> bool:
        """Whether all images were decoded at once, so that `warned` is complete."""
        return any(array is not None for array in self._decoded.values())

    def leave_out(self, rows: Iterable[int]) -> None:
        """Stops reading these rows, because they are known to be damaged.

        Pipelines made from now on give black images with the label -1 in their place.
        """
        self._left_out.update(rows)

    def note_asked(self, rows: np.ndarray) -> np.ndarray:
        """Notes in `recent` that rows are about to be read, and returns them."""
        self.recent.append(rows)
        return rows

    def square(
        self, row: tf.Tensor, size: int, warp: bool = False, resize: str = AREA
    ) -> tf.Tensor:
        """Returns an image's square, see `squares.square`: int64 scalar → `[size, size, 3]`."""
        contents = self.contents(row)
        return decode.square_decoder(size, warp, resize, self.max_pixels)(contents)

    def fetched(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns what `square_of` needs for a batch of rows: int64 `[k]` → anything `[k]`.

        Subclasses override it if they can fetch a batch faster than its images one by one.
        """
        return rows

    def square_of(self, fetched: tf.Tensor, size: int, warp: bool, resize: str) -> tf.Tensor:
        """Returns the same as `square`, from an element of `fetched`."""
        return self.square(fetched, size, warp, resize)

    def in_memory(self, size: int, warp: bool = False, resize: str = AREA) -> ImageArray | None:
        """Returns the images decoded for squares of `size`, or None if they exceed the budget.

        Images that are all of one shape and no larger than `size` are kept as they are, others
        as squares of `size`, see `squares.square`. They are decoded once for each kind of square;
        later calls return the same object. Images that the JPEG decoder warns of are logged.

        Raises:
            UserError: with the names of the files that cannot be decoded.
        """
        kind = size, warp, resize
        if kind not in self._decoded:
            array = self._kept(kind)
            if array is None:
                array = self._as_they_are(size)
            if array is None and memory_budget.fits(len(self), (size, size, 3)):
                array = self._squares(*kind)
            self._decoded[kind] = array
        return self._decoded[kind]

    def damaged(self, rows: np.ndarray, strict: bool = False) -> dict[int, str]:
        """Returns row → reason for those of `rows`, int64 `[k]`, that cannot be decoded.

        With `strict`, also those that the JPEG decoder warns of.
        """
        with decoder_warnings.listening() as heard:
            missing = np.asarray(rows, np.int64)
            for part, _ in plain_jpegs.decoded(self.read_many, missing, None, self.max_pixels):
                missing = np.setdiff1d(missing, part)
            for part, _ in self._decoded_rows(missing, self._shape):
                missing = np.setdiff1d(missing, part)
            found = {int(row): self._reason(int(row)) for row in missing}
            self._note_warnings(np.setdiff1d(rows, missing), heard)
        if strict:
            found |= {int(row): self.warned[row] for row in rows if row in self.warned}
        return found

    def checked(self, rows: np.ndarray) -> dict[int, str]:
        """Returns `damaged` of rows with `strict`, or what an earlier run found."""
        way = "damaged", self.max_pixels, rows.tolist()
        kept = self.cache.load(*way) if self.cache else None
        if kept is not None:
            self.warned |= kept.warned
            return kept.damaged
        found = self.damaged(rows, strict=True)
        if self.cache and all(self.read_many(np.array([row], np.int64))[0] for row in found):
            warned = {row: self.warned[row] for row in rows.tolist() if row in self.warned}
            self.cache.keep(Kept(np.zeros([0, 1, 1, 3], np.uint8), warned, found), *way)
        return found

    def damage_error(self, damaged: dict[int, str]) -> DamagedImages:
        """Returns the error that names damaged files."""
        named = [f"{printable(self.name(row))} ({reason})" for row, reason in damaged.items()]
        return DamagedImages(
            f"{len(named)} of {len(self)} images cannot be read: {_listed(named)}. Replace or "
            "remove them, or pass --skip_corrupt (skip_corrupt=True) to leave them out.",
            self,
            damaged,
        )

    def _note_warnings(self, rows: np.ndarray, heard: decoder_warnings.Heard) -> None:
        """Notes in `warned` which of the rows the decoder has warned of, if it has."""
        if not heard():
            return
        shape_of = tf.function(self._shape, input_signature=[tf.TensorSpec([], tf.int64)])
        self.warned |= decoder_warnings.blamed(rows, shape_of, heard)

    def _native(self, row: tf.Tensor) -> tf.Tensor:
        return decode.image_decoder(self.max_pixels)(self.contents(row))

    def _shape(self, row: tf.Tensor) -> tf.Tensor:
        return tf.shape(self._native(row))

    def _reason(self, row: int) -> str:
        try:
            self._native(tf.constant(row, tf.int64))
        except (tf.errors.OpError, OSError) as error:
            return decode.reason(error)
        return "unreadable at first, readable now"

    def _decoded_rows(
        self, rows: np.ndarray, decode_row: Callable[[tf.Tensor], tf.Tensor]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Returns batches of (rows, results of `decode_row`), without the rows that failed."""
        dataset = tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64))
        # Converting the decoder by AutoGraph, which it does not need, would take a second.
        dataset = dataset.map(
            tf.autograph.experimental.do_not_convert(lambda row: (row, decode_row(row))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,  # each result carries its row
        )
        return dataset.ignore_errors().batch(64).prefetch(4).as_numpy_iterator()

    def _decode_all(
        self,
        shape: tuple[int, ...],
        decode_row: Callable[[tf.Tensor], tf.Tensor],
        untouched: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decodes every image: uint8 `[n, *shape]` and int64 `[k]`, the rows that failed."""
        images, missing = np.zeros((len(self), *shape), np.uint8), np.ones(len(self), bool)
        missing[list(self._left_out)] = False
        wanted = np.flatnonzero(missing)
        with decoder_warnings.listening() as heard:
            if untouched:
                sides = shape[0], shape[1]
                plain = plain_jpegs.decoded(self.read_many, wanted, sides, self.max_pixels)
                for rows, decoded in plain:
                    images[rows], missing[rows] = decoded, False
            for rows, decoded in self._decoded_rows(np.flatnonzero(missing), decode_row):
                images[rows], missing[rows] = decoded, False
            self._note_warnings(wanted[~missing[wanted]], heard)
        self._log_warnings()
        return images, np.flatnonzero(missing)

    def _log_warnings(self) -> None:
        read = {row: why for row, why in self.warned.items() if row not in self._left_out}
        if read:
            named = [f"{printable(self.name(row))} ({why})" for row, why in read.items()]
            logging.warning(
                "%d images are damaged, but were decoded: %s. With --skip_corrupt "
                "(skip_corrupt=True) they are left out.",
                len(named),
                _listed(named),
            )

    def _squares(self, size: int, warp: bool, resize: str) -> ImageArray:
        logging.info("Decoding %d images to %d x %d pixels.", len(self), size, size)
        images, failed = self._decode_all(
            (size, size, 3), lambda row: self.square(row, size, warp, resize)
        )
        if failed.size:
            raise self.damage_error({int(row): self._reason(int(row)) for row in failed})
        self._keep(images, (size, warp, resize))
        return ImageArray(images)

    def _kept(self, kind: tuple[int, bool, str]) -> ImageArray | None:
        """The images as an earlier run decoded them, or None."""
        for way in (_UNTOUCHED, kind) if self.cache is not None else ():
            assert self.cache is not None
            kept = self.cache.load(way, self.max_pixels, self.left_out)
            if kept is None or len(kept.pixels) != len(self):
                continue
            shape = kept.pixels.shape[1:]
            if min(shape[:2]) <= kind[0] and memory_budget.fits(len(self), shape):
                logging.info("Read %d decoded images from the cache.", len(self))
                self.warned |= kept.warned
                self._log_warnings()
                return ImageArray(kept.pixels)
        return None

    def _keep(self, images: np.ndarray, way: Any) -> None:
        if self.cache:
            self.cache.keep(Kept(images, self.warned, {}), way, self.max_pixels, self.left_out)

    def _as_they_are(self, size: int) -> ImageArray | None:
        """All images untouched, if they are of one shape and their short side is <= `size`."""
        shape = self._common_shape(np.unique(np.linspace(0, len(self) - 1, 64, dtype=np.int64)))
        if shape is None or min(shape[:2]) > size or not memory_budget.fits(len(self), shape):
            return None
        images, failed = self._decode_all(
            shape, lambda row: tf.ensure_shape(self._native(row), shape), untouched=True
        )
        if not failed.size:
            self._keep(images, _UNTOUCHED)
            return ImageArray(images)
        damaged = self.damaged(failed)
        if damaged:
            raise self.damage_error(damaged)
        return None  # some have a different shape

    def _common_shape(self, rows: np.ndarray) -> tuple[int, ...] | None:
        """The shape of all these images that can be decoded, or None if they have several."""
        plain = [plain_jpegs.plain_sides(contents) for contents in self.read_many(rows)]
        shapes = {(*sides, 3) for sides in plain if sides is not None}
        if len(shapes) < 2 and None in plain:  # the others have to be decoded
            others = rows[[sides is None for sides in plain]]
            for _, decoded in self._decoded_rows(others, self._shape):
                shapes |= set(map(tuple, decoded.tolist()))
        return shapes.pop() if len(shapes) == 1 else None


def _listed(named: list[str]) -> str:
    more = len(named) - _NAMES_IN_MESSAGE
    return "; ".join(named[:_NAMES_IN_MESSAGE]) + (f"; and {more} more" if more > 0 else "")
