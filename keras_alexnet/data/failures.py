"""Images that cannot be read, are lost during a run, or do not arrive."""

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data.images import DamagedImages, EncodedImages
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UserError

SILENT_SECONDS = 60.0  # without a batch, before a message says so


PROBE_SECONDS = 5.0  # for reading again what was asked for last


SECONDS_BETWEEN_CHECKS = 0.2


_SECONDS_TO_LET_GO = 2.0  # of a pipeline; one that hangs is left behind


_MOST_SECONDS_BETWEEN_MESSAGES = 600.0


_BATCHES_PROBED = 4  # decoding is never further ahead of the batch that is waited for


class BackgroundBatches:
    """The batches of an iterable, each fetched by a thread of its own when it is asked for.

    Whoever waits inside TensorFlow for a batch gets no signals until it comes. Here the caller
    waits in Python, is told of signals by `check`, and after a minute of silence a message says
    what is being waited for.

    Args:
        batches: what to supply.
        check: called before each batch and while waiting; may raise.
        suspects: returns in words what a batch that does not come may be waiting for.

    Example:
        >>> list(Supply([1, 2]))
        [1, 2]
    """

    def __init__(
        self,
        batches: Iterable,
        check: Callable[[], None] = lambda: None,
        suspects: Callable[[], str] = lambda: "",
    ):
        self._check, self._suspects = check, suspects
        self._asked, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        # A daemon, since nobody can wait at the end for a read that never returns. It asks for
        # nothing in advance: the batches of several hosts must come in the same order as steps.
        self._thread = threading.Thread(
            target=_fetch, args=(batches, self._asked, self._answers), daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator:
        return self

    def __next__(self):
        self._check()
        self._asked.put(True)
        started, message_after = time.monotonic(), SILENT_SECONDS
        while True:
            try:
                batch, error = self._answers.get(timeout=SECONDS_BETWEEN_CHECKS)
                break
            except queue.Empty:
                self._check()
            waited = time.monotonic() - started
            if waited >= message_after:
                logging.warning("No batch has arrived for %.0f s. %s", waited, self._suspects())
                message_after += min(message_after, _MOST_SECONDS_BETWEEN_MESSAGES)
        try:
            if error is not None:
                raise error
        finally:
            del error  # it holds this frame, and with it the thread and all that it reads from
        return batch

    def __del__(self):
        # A thread that is letting go of a pipeline, inside TensorFlow, when the interpreter ends
        # would abort the process.
        if not sys.is_finalizing():
            self._asked.put(False)
            if threading.current_thread() is not self._thread:
                self._thread.join(_SECONDS_TO_LET_GO)


class StalledReadProbe:
    """Reads the images that were asked for last once more, to learn which of them does not come.

    Example:
        >>> import keras_alexnet as ka
        >>> Probe(ka.load_dataset("shapes").train.pixels).report()
        'The images are in memory.'
    """

    def __init__(self, pixels):
        self._pixels = pixels
        self._thread: threading.Thread | None = None
        self._reading: int | None = None

    def report(self) -> str:
        """Returns what can be said about the images asked for last, after some seconds."""
        if not isinstance(self._pixels, EncodedImages):
            return "The images are in memory."
        # One that still waits for an image of the time before says as much as a new one.
        if self._thread is None or not self._thread.is_alive():
            recent = list(self._pixels.recent)[-_BATCHES_PROBED:]
            self._rows = [row for rows in recent for row in rows]
            self._thread = threading.Thread(target=self._read_again, daemon=True)
            self._thread.start()
        self._thread.join(PROBE_SECONDS)
        if self._reading is not None:
            return f"Reading {self._pixels.name(self._reading)} again does not end either."
        if not self._rows:
            return "No image has been asked for yet."
        first, last = (self._pixels.name(int(self._rows[place])) for place in (0, -1))
        return f"The {len(self._rows)} images asked for last, {first} to {last}, can be read now."

    def _read_again(self) -> None:
        for row in self._rows:
            self._reading = int(row)
            try:
                self._pixels.read(self._reading)
            except OSError:
                continue  # an answer as well: the pipeline will raise an error that names it
        self._reading = None


def _fetch(batches: Iterable, asked: queue.SimpleQueue, answers: queue.SimpleQueue) -> None:
    iterator = None
    while asked.get():
        try:
            iterator = iter(batches) if iterator is None else iterator
            answers.put((next(iterator), None))
        except BaseException as error:
            answers.put((None, error))


# What a damaged or missing file may raise in a pipeline.
_READING_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)


def explained(batches: Iterable, split: Split) -> Iterator:
    """Yields what `batches` of `split` holds; an image that cannot be read raises a `UserError`.

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
    batches: Iterable, split: Split, check: Callable[[], None] = lambda: None
) -> BackgroundBatches:
    """Like `explained`, for whoever must not wait deaf: see `keras_alexnet.data.failures.Supply`.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").test
        >>> len(list(supplied(ka.eval_batches(split, "cifar_v1", batch_size=500), split)))
        4
    """
    return BackgroundBatches(
        explained(batches, split), check, StalledReadProbe(split.pixels).report
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


# Beyond these it is no longer a bad file or two: a disk has gone, and the run must not go on.
_SHARE_ALLOWED, _NUMBER_ALLOWED = 0.01, 10


class LostImages:
    """Keeps count of the images of some splits that broke while a run was reading them.

    Args:
        splits: of the run; those in memory cannot lose any.
        gather: one worker's bytes → those of all, as `Cluster.gather` of
            `keras_alexnet.distributed.cluster`.

    Of several workers, each leaves out what it could not read itself. When a run goes on, each
    leaves out what any of them had lost.

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
        """Returns the names of what any worker lost, sorted; all workers must call it."""
        own = [pixels.name(row) for pixels, rows in self._rows.items() for row in rows]
        everyone = self._gather(json.dumps(own).encode())
        return sorted({name for names in everyone for name in json.loads(names)})

    def add(self, error: DamagedImages) -> None:
        """Leaves the damaged images out from now on.

        Raises:
            UserError: if more are lost than a damaged file here and there explains.
        """
        pixels, lost = error.pixels, self._rows[error.pixels]
        lost.update(error.rows)
        if len(lost) > max(_NUMBER_ALLOWED, _SHARE_ALLOWED * len(pixels)):
            raise UserError(
                f"{len(lost)} of {len(pixels)} images broke while the run was reading them, too "
                f"many to leave out: is the disk still there? {error}"
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


def not_lost(split: Split) -> np.ndarray:
    """Returns where the split's set does not leave an image out: bool `[n]`.

    Example:
        >>> import keras_alexnet as ka
        >>> not_lost(ka.load_dataset("shapes").test).sum()
        np.int64(2000)
    """
    if not isinstance(split.pixels, EncodedImages):
        return np.ones(len(split), bool)
    return ~np.isin(split.rows, split.pixels.left_out)
