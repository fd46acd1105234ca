"""Progress of long tasks, and silencing of noisy libraries."""

import contextlib
import logging as standard_logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

from absl import logging

from keras_alexnet.utils import reporting
from keras_alexnet.utils.text import printable

SECONDS_BETWEEN_LINES = 30


class Progress:
    """Shows how many images, or bytes, of a total are done.

    It is a bar in a terminal and in a notebook, and elsewhere a line every half minute. A terminal
    whose width is unknown gets lines, too.

    Args:
        total: images or bytes in all.
        description: what is being done, such as "epoch 3/20".
        unit: "images" or "bytes".

    Example:
        >>> with Progress(10, "reading") as progress:
        ...     progress.advance(10)
    """

    def __init__(self, total: int, description: str, unit: str = "images"):
        self._total, self._description, self._done = total, printable(description), 0
        self._unit = unit
        self._bar = _bar(total, self._description, unit) if _shows_bars() else None
        self._last_line = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int, **figures: str) -> None:
        """Adds `count` to those done and shows `figures` beside their number."""
        self._done += count
        if self._bar is not None:
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            shown = "".join(f", {name} {value}" for name, value in figures.items())
            logging.info(
                "%s: %s of %s %s%s",
                *(self._description, f"{self._done:,}", f"{self._total:,}", self._unit, shown),
            )


def _shows_bars() -> bool:
    if not reporting.bars_wanted() or sys.stderr is None:
        return False
    return reporting.in_notebook() or (sys.stderr.isatty() and _columns() > 0)


def _columns() -> int:
    """The width of the terminal, 0 if it has none, as where nobody has set its size."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0


def _bar(total: int, description: str, unit: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
        from tqdm.auto import tqdm
    how = {"unit": "B", "unit_scale": True} if unit == "bytes" else {"unit": unit}
    return tqdm(total=total, desc=description, leave=False, **how)


@contextlib.contextmanager
def quiet(*, shown_on_failure: bool = True) -> Iterator[None]:
    """Holds back warnings, log messages and everything else that is printed to standard error.

    Some of it comes from C++, which ignores Python's `sys.stderr` and TF_CPP_MIN_LOG_LEVEL.

    Args:
        shown_on_failure: whether to print it afterwards if the body fails.

    Example:
        >>> with quiet():
        ...     tf.saved_model.save(tf.Module(), "folder")
    """
    standard_error = os.dup(2)
    loggers = [standard_logging.getLogger(name) for name in ("absl", "tensorflow", "tf2onnx")]
    levels = [logger.level for logger in loggers]
    with tempfile.TemporaryFile() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(said.fileno(), 2)
        for logger in loggers:
            logger.setLevel(standard_logging.ERROR)
        try:
            yield
        except BaseException:
            if shown_on_failure:
                said.seek(0)
                os.write(standard_error, said.read())
            raise
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            os.dup2(standard_error, 2)
            os.close(standard_error)
