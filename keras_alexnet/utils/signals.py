"""Signals that ask a process to end: handlers for a while, and a body that they wait for."""

import contextlib
import os
import signal
import stat
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

# SIGHUP is sent when a terminal is closed. Windows has none.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)

Handler = Callable[[int, types.FrameType | None], Any] | signal.Handlers


class Stopped(KeyboardInterrupt):
    """A signal that ends a command, after what is under way has been cleaned up or saved.

    It is a `KeyboardInterrupt`, because code on the way up could mistake an `Exception` for an
    error of its own.

    Attributes:
        exit_code: what a command exits with: 128 plus the signal's number.

    Example:
        >>> print(Stopped(signal.SIGTERM), Stopped(signal.SIGTERM).exit_code)
        Stopped by SIGTERM. 143
    """

    def __init__(self, number: int):
        super().__init__(f"Stopped by {signal.Signals(number).name}.")
        self.exit_code = 128 + number


@contextlib.contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Calls `handler` for `SIGNALS` during the body, and then restores the former handlers.

    Python handles signals only in the main thread: in a different one, this does nothing. A SIGHUP
    that `nohup` lets the process ignore stays ignored.

    Example:
        >>> came = []
        >>> with handled(lambda number, frame: came.append(number)):
        ...     signal.raise_signal(signal.SIGTERM)
        >>> came == [signal.SIGTERM]
        True
    """
    former: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                continue
            former[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in former.items():
            # None means a handler that was not set from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Lets its body end before a signal is handled, which should be soon.

    Example:
        >>> with held():
        ...     os.replace("new", "old")  # doctest: +SKIP
    """
    came: list[int] = []
    try:
        with handled(lambda number, _: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


def leave_lost_terminal(number: int) -> None:
    """After SIGHUP, sends what is printed to a terminal nowhere: every write would be an error."""
    if signal.Signals(number).name != "SIGHUP":
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
