"""Sets of images that are encoded until they are needed."""

import abc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.data.decoded import in_memory, plain_jpegs
from keras_alexnet.data.decoded.cache import DecodedCache, Kept
from keras_alexnet.data.decoding import decoder_warnings
from keras_alexnet.data.image_array import ImageArray
from keras_alexnet.data.squares import Window
from keras_alexnet.errors import UserError
from keras_alexnet.networks.image_plan import AREA
from keras_alexnet.utils import machine
from keras_alexnet.utils.text import printable

__all__ = ["DamagedImages", "EncodedImages", "ImageArray"]

_FEW = 256  # images that are decoded sooner than a pipeline, which takes half a second, is ready


class DamagedImages(UserError):
    """Images that cannot be read.

    Attributes:
        pixels: the `EncodedImages` that they belong to.
        rows: their rows in it.
    """

    def __init__(self, message: str, pixels: "EncodedImages", rows: Iterable[int]):
        super().__init__(message)
        self.pixels, self.rows = pixels, tuple(rows)


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
        """Returns what `contents_of` needs for a batch of rows: int64 `[k]` → anything `[k]`.

        Subclasses override it if they can fetch a batch faster than its images one by one.
        """
        return rows

    def contents_of(self, fetched: tf.Tensor) -> tf.Tensor:
        """Returns the encoded bytes of one image, string scalar, from an element of `fetched`."""
        return self.contents(fetched)

    def square_of(
        self, fetched: tf.Tensor, size: int, warp: bool, resize: str, window: Window | None = None
    ) -> tf.Tensor:
        """Returns the same as `square`, or a window of it, from an element of `fetched`."""
        contents, kind = self.contents_of(fetched), (size, warp, resize)
        if window is None:
            return decode.square_decoder(*kind, self.max_pixels)(contents)
        decode_window = decode.window_decoder(*kind, window.size, self.max_pixels)
        return decode_window(contents, window.corner, window.mirrored)

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
            self._decoded[kind] = in_memory.decoded(self, kind)
        return self._decoded[kind]

    def damaged(self, rows: np.ndarray, strict: bool = False) -> dict[int, str]:
        """Returns row → reason for those of `rows`, int64 `[k]`, that cannot be decoded.

        With `strict`, also those that the JPEG decoder warns of.
        """
        with decoder_warnings.listening() as heard:
            missing = np.asarray(rows, np.int64)
            plain = plain_jpegs.decoded(self.read_many, missing, None, self.max_pixels)
            whole = [part for part, _ in plain]
            others = np.setdiff1d(missing, np.concatenate(whole) if whole else [])
            whole += [part for part, _ in self.decoded_rows(others, self.shape)]
            missing = np.setdiff1d(missing, np.concatenate(whole) if whole else [])
            found = {int(row): self.reason(int(row)) for row in missing}
            self.note_warnings(np.setdiff1d(rows, missing), heard)
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
        some = in_memory.listed(named)
        return DamagedImages(
            f"{len(named)} of {len(self)} images cannot be read: {some}. Replace "
            "or remove them, or pass --skip_corrupt (skip_corrupt=True) to leave them out.",
            self,
            damaged,
        )

    def note_warnings(self, rows: np.ndarray, heard: decoder_warnings.Heard) -> None:
        """Notes in `warned` which of the rows the decoder has warned of, if it has."""
        if not heard():
            return
        shape_of = self.shape
        if len(rows) > _FEW:
            shape_of = tf.function(shape_of, input_signature=[tf.TensorSpec([], tf.int64)])
        self.warned |= decoder_warnings.blamed(rows, shape_of, heard)

    def native(self, row: tf.Tensor) -> tf.Tensor:
        """Returns an image in its own size: int64 scalar → uint8 `[height, width, 3]`."""
        return decode.image_decoder(self.max_pixels)(self.contents(row))

    def shape(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the shape of an image in its own size: int64 scalar → int32 `[3]`."""
        return tf.shape(self.native(row))

    def reason(self, row: int) -> str:
        """Returns why an image cannot be decoded."""
        try:
            self.native(tf.constant(row, tf.int64))
        except (tf.errors.OpError, OSError) as error:
            return decode.reason(error)
        return "unreadable at first, readable now"

    def decoded_rows(
        self, rows: np.ndarray, decode_row: Callable[[tf.Tensor], tf.Tensor]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Returns batches of (rows, results of `decode_row`), without the rows that failed."""
        rows = np.asarray(rows, np.int64)
        if len(rows) <= _FEW:
            return _decoded_eagerly(rows, decode_row)
        dataset = tf.data.Dataset.from_tensor_slices(rows)
        # Converting the decoder by AutoGraph, which it does not need, would take a second.
        dataset = dataset.map(
            tf.autograph.experimental.do_not_convert(lambda row: (row, decode_row(row))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=False,  # each result carries its row
        )
        return dataset.ignore_errors().batch(64).prefetch(4).as_numpy_iterator()


def _decoded_eagerly(
    rows: np.ndarray, decode_row: Callable[[tf.Tensor], tf.Tensor]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Does what the pipeline in `decoded_rows` does, in its order, without making one ready."""

    def decoded(row: np.int64) -> np.ndarray | None:
        try:
            return decode_row(tf.constant(row, tf.int64)).numpy()
        except (tf.errors.OpError, OSError):
            return None

    with ThreadPoolExecutor(len(machine.processors())) as pool:
        for start in range(0, len(rows), 64):
            some = rows[start : start + 64]
            found = zip(some, pool.map(decoded, some), strict=True)
            whole = [(row, result) for row, result in found if result is not None]
            if whole:
                yield np.array([row for row, _ in whole]), np.stack([each for _, each in whole])
