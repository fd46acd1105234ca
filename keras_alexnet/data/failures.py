"""Images that cannot be read: finding them, and continuing a run without them."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data.images import DamagedImages, EncodedImages
from keras_alexnet.data.splits import Split
from keras_alexnet.data.stalled_reads import BackgroundBatches, StalledReadProbe
from keras_alexnet.errors import UserError

# What a damaged or missing file may raise in a pipeline.
_READING_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)


def explained(batches: Iterable, split: Split) -> Iterator[Any]:
    """Yields the batches of a split; an image that cannot be read raises a `UserError`.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").test
        >>> len(list(explained(ka.eval_batches(split, "cifar_v1", batch_size=500), split)))
        4
    """
    iterator = iter(batches)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise explain(split, error) from error
        yield batch


def supplied(
    batches: Iterable,
    split: Split,
    check: Callable[[], None] = lambda: None,
    ahead: bool = False,
) -> BackgroundBatches:
    """Yields batches like `explained`, fetched in the background by `BackgroundBatches`.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").test
        >>> len(list(supplied(ka.eval_batches(split, "cifar_v1", batch_size=500), split)))
        4
    """
    return BackgroundBatches(
        explained(batches, split), check, StalledReadProbe(split.pixels).report, ahead
    )


def explain(split: Split, error: Exception) -> UserError:
    """Turns an error that came out of a pipeline into one that names the file.

    The files that were asked for last are tried first, then all of the split.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").train
        >>> type(explain(split, RuntimeError("out of memory"))).__name__
        'UserError'
    """
    if isinstance(split.pixels, EncodedImages) and isinstance(error, _READING_ERRORS):
        recent = list(split.pixels.recent)
        for rows in (np.unique(np.concatenate(recent)) if recent else split.rows[:0], split.rows):
            damaged = split.pixels.damaged(rows)
            if damaged:
                return split.pixels.damage_error(damaged)
    return UserError(f"Reading the images failed: {getattr(error, 'message', error)}")


# More than this is not just a bad file or two: the disk has failed, and the run must stop.
_SHARE_ALLOWED, _NUMBER_ALLOWED = 0.01, 10


class LostImages:
    """Keeps track of the images that became unreadable during a run.

    Args:
        splits: the run's splits; those in memory cannot lose images.
        gather: one worker's bytes → those of all workers, such as `Cluster.gather` of
            `keras_alexnet.distributed.cluster`.

    Each of several workers leaves out the images that it could not read itself. When a run is
    resumed, each worker leaves out the images that any of them had lost.

    Example:
        >>> import keras_alexnet as ka
        >>> LostImages([ka.load_dataset("shapes").train]).names()
        []
    """

    def __init__(
        self, splits: list[Split], gather: Callable[[bytes], list[bytes]] = lambda own: [own]
    ):
        self._gather = gather
        self._sets = list(dict.fromkeys(split.pixels for split in splits))
        self._rows: dict[EncodedImages, set[int]] = {
            pixels: set() for pixels in self._sets if isinstance(pixels, EncodedImages)
        }

    def names(self) -> list[str]:
        """Returns the sorted names of images that any worker lost; all workers must call it."""
        # A copy, because the images of the next batch may be read meanwhile.
        own = [pixels.name(row) for pixels, rows in self._rows.items() for row in set(rows)]
        everyone = self._gather(json.dumps(own).encode())
        return sorted({name for names in everyone for name in json.loads(names)})

    def add(self, error: DamagedImages) -> None:
        """Leaves the damaged images out from now on.

        Raises:
            UserError: if too many images are lost for a few damaged files to be the reason.
        """
        pixels, lost = error.pixels, self._rows[error.pixels]
        lost.update(error.rows)
        if len(lost) > max(_NUMBER_ALLOWED, _SHARE_ALLOWED * len(pixels)):
            raise UserError(
                f"{len(lost)} of {len(pixels)} images became unreadable during the run, too many "
                f"to leave out. Is the disk still there? {error}"
            ) from error
        pixels.leave_out(error.rows)
        logging.warning("Left out from now on, %d in all: %s", len(lost), error)

    def restore(self, names: list[str]) -> None:
        """Leaves out what a checkpoint says was lost."""
        wanted = set(names)
        for pixels, lost in self._rows.items() if names else ():
            found = {row for row in range(len(pixels)) if pixels.name(row) in wanted}
            lost.update(found)
            pixels.leave_out(found)


def decoded_with_warnings(splits: Iterable[Split]) -> int | None:
    """Counts the images of splits that are damaged, but were decoded.

    Returns:
        Their number; None if images were not kept in memory, because then nothing is known of them.

    Example:
        >>> import keras_alexnet as ka
        >>> decoded_with_warnings([ka.load_dataset("shapes").test])
        0
    """
    sets = {split.pixels for split in splits if isinstance(split.pixels, EncodedImages)}
    if not all(pixels.is_in_memory for pixels in sets):
        return None
    return sum(len(set(pixels.warned) - set(pixels.left_out)) for pixels in sets)


def not_lost(split: Split) -> np.ndarray:
    """Returns which images of a split are not left out: bool `[n]`.

    Example:
        >>> import keras_alexnet as ka
        >>> not_lost(ka.load_dataset("shapes").test).sum()
        np.int64(2000)
    """
    if not isinstance(split.pixels, EncodedImages):
        return np.ones(len(split), bool)
    return ~np.isin(split.rows, split.pixels.left_out)
