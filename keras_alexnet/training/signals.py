"""Handling of SIGTERM, SIGINT and SIGHUP: a run stops after a step, not inside it."""

import contextlib
import pathlib
import signal
import types
from collections.abc import Iterator

from absl import logging

from keras_alexnet.distributed.cluster import Cluster, SingleProcess
from keras_alexnet.errors import Interrupted
from keras_alexnet.utils import signals


class Interruption:
    """A context in which the first SIGTERM, SIGINT or SIGHUP ends the body with an `Interrupted`.

    It does so at once, except inside `held()`: there the signal is only noted, and the next
    `check()` raises. A second SIGINT raises `KeyboardInterrupt` at once; other second signals are
    ignored, because schedulers repeat them. Python catches signals only in the main thread; in a
    different thread the context does nothing. The previous handlers are restored at the end.

    Workers that train together must all stop at the same place, because those that continued would
    wait for the others. So a signal to any of them is only noted until all meet in `agree`.

    Args:
        cluster: the workers that stop together.

    Attributes:
        workdir: the folder that a stopped run can be resumed from, once there is one.

    Example:
        >>> with Interruption() as interruption, interruption.held():
        ...     interruption.check()
    """

    def __init__(self, cluster: Cluster | None = None):
        self.workdir: pathlib.Path | None = None
        self._cluster = cluster or SingleProcess()
        self._shared = self._cluster.count > 1
        self._held = self._shared
        self._signal: int | None = None
        self._handled = contextlib.ExitStack()

    def __enter__(self) -> "Interruption":
        self._handled.enter_context(signals.handled(self._noted))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._handled.close()
        if kind is _AtOnce:
            raise self.interrupted("before it had ended") from None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Lets its body reach a place to stop: signals wait for `check` or the end of the body."""
        former, self._held = self._held, True
        try:
            yield
        finally:
            self._held = former
        self.check()

    def check(self) -> None:
        """Raises `Interrupted` if a signal came; with several workers, only `agree` does."""
        if not self._shared:
            self._raise_if_signaled()

    def agree(self) -> None:
        """Raises `Interrupted` if a signal came to any worker.

        All workers must call it at the same place, and all raise.
        """
        for worker, number in enumerate(self._cluster.numbers(self._signal or 0)):
            if number:
                self._signal = number
                if self._shared:
                    logging.warning("Worker %d got %s.", worker, signal.Signals(number).name)
        self._raise_if_signaled()

    def interrupted(self, when: str) -> Interrupted:
        """Returns the error for the signal that came; `when` says what the run had done by then."""
        assert self._signal is not None
        return Interrupted(self._signal, when, self.workdir)

    def _raise_if_signaled(self) -> None:
        if self._signal is not None:
            raise self.interrupted("before it had ended")

    def _noted(self, number: int, _frame: types.FrameType | None) -> None:
        signals.leave_lost_terminal(number)
        if self._signal is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self._signal = number
        if not self._held:
            # Not yet an Interrupted, which code on the way up could mistake for its own error.
            raise _AtOnce
        logging.warning(
            "%s: finishing the step and saving. Ctrl-C (again) stops at once, without saving.",
            signal.Signals(number).name,
        )


class _AtOnce(KeyboardInterrupt):
    """The first signal, outside `held()`."""
