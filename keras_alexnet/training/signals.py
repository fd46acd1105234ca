"""SIGTERM and SIGINT: a run ends at the next good place instead of in the middle of a step."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from absl import logging

from keras_alexnet.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """While it is entered, the first SIGTERM or SIGINT ends the body with an `Interrupted`.

    At once, except inside `held()`: there it is only noted, and raised by the next `check()`. A
    second SIGINT raises `KeyboardInterrupt` wherever the program is; a second SIGTERM changes
    nothing, since schedulers repeat it. Signals can be caught in the main thread only: entered in
    another, it does nothing. The handlers that were there before are put back at the end.

    Workers that train together must all stop at the same place, or those who go on would wait for
    the others: after `share`, signals are only noted until all workers meet at an `agree`.

    Attributes:
        workdir: the folder that a stopped run can be resumed from, once there is one.

    Example:
        >>> with Interruption() as interruption, interruption.held():
        ...     interruption.check()
    """

    def __init__(self):
        self.workdir = None
        self._signal: int | None = None
        self._held = False
        self._former: dict[int, object] = {}
        self._numbers: Callable[[int], list[int]] | None = None

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._noted) for number in SIGNALS}
        return self

    def __exit__(self, kind, error, _) -> None:
        for number, handler in self._former.items():
            # None stands for a handler that was not set from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if kind is _AtOnce:
            raise self.interrupted("before it had ended") from None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lets its body reach a good place: signals wait for `check`, at the latest its end."""
        former, self._held = self._held, True
        try:
            yield
        finally:
            self._held = former
        self.check()

    def share(self, numbers: Callable[[int], list[int]]) -> None:
        """Makes the signals of one worker those of all, from now on.

        Args:
            numbers: one worker's number → those of all, as `Cluster.numbers` of
                `keras_alexnet.distributed.cluster`.
        """
        self._numbers, self._held = numbers, True

    def check(self) -> None:
        """Raises `Interrupted` if a signal has come; shared signals wait for `agree`."""
        if self._numbers is None:
            self._raise_if_told()

    def agree(self) -> None:
        """Raises `Interrupted` if a signal has come, to this worker or to another.

        Where signals are shared, all workers must call it at the same place, and all raise.
        """
        if self._numbers is not None:
            told = self._numbers(self._signal or 0)
            for worker, number in enumerate(told):
                if number:
                    logging.warning("Worker %d got %s.", worker, signal.Signals(number).name)
                    self._signal = number
        self._raise_if_told()

    def interrupted(self, when: str) -> Interrupted:
        """Returns the error of the signal that came, with what the run had done by then."""
        return Interrupted(self._signal, when, self.workdir)

    def _raise_if_told(self) -> None:
        if self._signal is not None:
            raise self.interrupted("before it had ended")

    def _noted(self, number, _frame) -> None:
        if self._signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self._signal = number
        if not self._held:
            # Not yet an Interrupted, which code on the way up could take for an error of its own.
            raise _AtOnce
        logging.warning(
            "%s: finishing the step and saving. Ctrl-C (again) stops at once, without saving.",
            signal.Signals(number).name,
        )


class _AtOnce(KeyboardInterrupt):
    """The first signal, outside `held()`."""
