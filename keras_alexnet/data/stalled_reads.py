"""Batches fetched in the background, and messages about reads that do not end."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from absl import logging

from keras_alexnet.data.images import EncodedImages, ImageArray

SILENT_SECONDS = 60.0  # without a batch before a message is logged


PROBE_SECONDS = 5.0  # for reading again what was asked for last


SECONDS_BETWEEN_CHECKS = 0.2


_SECONDS_TO_LET_GO = 2.0  # of a pipeline; one that hangs is left behind


_MOST_SECONDS_BETWEEN_MESSAGES = 600.0


_BATCHES_PROBED = 4  # decoding is never further ahead of the batch that is waited for


class BackgroundBatches:
    """The batches of an iterable, each fetched by a thread of its own when it is asked for.

    A caller that waits for a batch inside TensorFlow gets no signals until it comes. Here the
    caller waits in Python, learns of signals from `check`, and after a minute of silence a message
    says what it is waiting for.

    Args:
        batches: what to fetch.
        check: called before each batch and while waiting; may raise.
        suspects: returns a sentence about what a missing batch may be waiting for.
        ahead: whether to fetch the next batch while the caller uses one. Several hosts must not,
            because their batches must come in the same order as their steps.

    Example:
        >>> list(BackgroundBatches([1, 2]))
        [1, 2]
    """

    def __init__(
        self,
        batches: Iterable,
        check: Callable[[], None] = lambda: None,
        suspects: Callable[[], str] = lambda: "",
        ahead: bool = False,
    ):
        self._check, self._suspects, self._ahead = check, suspects, ahead
        self._is_asked = False
        self._requests: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        # A daemon, so that a read that never returns does not keep the process alive.
        self._thread = threading.Thread(
            target=_fetch, args=(batches, self._requests, self._answers), daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._check()
        self._ask()
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
        self._is_asked = False
        if self._ahead and error is None:
            self._ask()
        try:
            if error is not None:
                raise error
        finally:
            del error  # it holds this frame, and with it the thread and all that it reads from
        return batch

    def _ask(self) -> None:
        if not self._is_asked:
            self._requests.put(True)
            self._is_asked = True

    def __del__(self) -> None:
        # A thread that is letting go of a pipeline, inside TensorFlow, when the interpreter ends
        # would abort the process.
        if not sys.is_finalizing():
            self._requests.put(False)
            if threading.current_thread() is not self._thread:
                self._thread.join(_SECONDS_TO_LET_GO)


class StalledReadProbe:
    """Reads the last images of a pipeline again, to find out which of them does not arrive.

    Example:
        >>> import keras_alexnet as ka
        >>> StalledReadProbe(ka.load_dataset("shapes").train.pixels).report()
        'The images are in memory.'
    """

    def __init__(self, pixels: ImageArray | EncodedImages) -> None:
        self._pixels = pixels
        self._rows: list[int] = []
        self._thread: threading.Thread | None = None
        self._reading: int | None = None

    def report(self) -> str:
        """Returns, after some seconds, what is known about the last images."""
        if not isinstance(self._pixels, EncodedImages):
            return "The images are in memory."
        # A thread that is still waiting for an image says as much as a new one.
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
        assert isinstance(self._pixels, EncodedImages)
        for row in self._rows:
            self._reading = int(row)
            try:
                self._pixels.read(self._reading)
            except OSError:
                continue  # an answer too: the pipeline will raise an error that names it
        self._reading = None


def _fetch(batches: Iterable, requests: queue.SimpleQueue, answers: queue.SimpleQueue) -> None:
    iterator = None
    while requests.get():
        try:
            iterator = iter(batches) if iterator is None else iterator
            answers.put((next(iterator), None))
        except BaseException as error:
            answers.put((None, error))
