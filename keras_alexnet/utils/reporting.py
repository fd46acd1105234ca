"""What a call from Python says while it works: log lines and progress bars, as `verbose` asks."""

import contextlib
import contextvars
import functools
import inspect
import logging as standard_logging
import numbers
import sys
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from keras_alexnet.errors import UsageError, shown
from keras_alexnet.utils.logs import PlainFormatter

SILENT, BARS, LINES = 0, 1, 2  # as in Keras

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_current: contextvars.ContextVar[int | None] = contextvars.ContextVar("verbose", default=None)


def reported(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Makes a function with a parameter `verbose` report as `reporting` does, while it runs.

    Example:
        >>> @reported
        ... def work(steps, *, verbose: int = 1):
        ...     return steps
        >>> work(3, verbose=0)
        3
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def reporting_function(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        with reporting(given.arguments["verbose"]):
            return function(*args, **kwargs)

    return reporting_function


@contextlib.contextmanager
def reporting(verbose: int = BARS) -> Iterator[None]:
    """Shows the log lines of this package, although Python by default shows only warnings.

    A line that the user's own logging takes goes only there. Others are printed to standard error,
    in a notebook to standard output. Afterwards, logging is as before. Inside another `reporting`,
    this one has no effect: a function that is called by another reports as that one does.

    Args:
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Raises:
        UsageError: for a different value.

    Example:
        >>> with reporting(0):
        ...     bars_wanted()
        False
    """
    if not isinstance(verbose, numbers.Integral) or verbose not in (SILENT, BARS, LINES):
        raise UsageError(
            "verbose must be 0 (only warnings), 1 (lines and bars) or 2 (lines). "
            f"Received: {shown(verbose)}."
        )
    if _current.get() is not None:
        yield
        return
    token = _current.set(int(verbose))
    try:
        level = standard_logging.WARNING if verbose == SILENT else standard_logging.INFO
        with _shown_from(level):
            yield
    finally:
        _current.reset(token)


def bars_wanted() -> bool:
    """Returns whether the current call may show progress bars."""
    return _current.get() in (None, BARS)


def in_notebook() -> bool:
    """Returns whether this process is the kernel of a notebook.

    Example:
        >>> in_notebook()
        False
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextlib.contextmanager
def _shown_from(least: int) -> Iterator[None]:
    """Shows the records of at least this level, also where nobody has set up logging."""
    logger, root = _logger(), standard_logging.root
    level, taken_from, propagate = logger.level, logger.getEffectiveLevel(), logger.propagate
    set_up = logger.hasHandlers()
    if set_up and taken_from <= least == standard_logging.INFO:
        yield  # the user, or the command, shows the lines
        return
    handler = _OtherwiseLost(logger.parent if set_up and propagate else None, taken_from)
    nothing = standard_logging.NullHandler()  # keeps absl from setting up the root logger
    logger.addHandler(handler)
    root.addHandler(nothing)
    silent = least > standard_logging.INFO
    logger.setLevel(max(taken_from, least) if silent else min(taken_from, least))
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        root.removeHandler(nothing)
        logger.setLevel(level)
        logger.propagate = propagate


class _OtherwiseLost(standard_logging.Handler):
    """Passes on the records that the user's logging takes, and prints the others.

    Args:
        above: the logger whose handlers the user has set up, or None.
        taken_from: the least level of what they get.
    """

    def __init__(self, above: standard_logging.Logger | None, taken_from: int):
        super().__init__()
        self._above, self._taken_from = above, taken_from
        self.setFormatter(PlainFormatter())

    def emit(self, record: standard_logging.LogRecord) -> None:
        if self._above is not None and record.levelno >= self._taken_from:
            self._above.callHandlers(record)
            return
        stream = sys.stdout if in_notebook() else sys.stderr
        if stream is not None:
            try:
                print(self.format(record), file=stream, flush=True)
            except (OSError, ValueError):  # nobody reads it, or it is closed
                pass


def _logger() -> standard_logging.Logger:
    from absl import logging

    return logging.get_absl_logger()
