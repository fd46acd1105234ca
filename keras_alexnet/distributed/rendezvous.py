"""Waiting until all workers of a run have come, before TensorFlow joins them.

TensorFlow waits inside its C++ code, where no signal is heard, without end and without saying for
whom. So the workers meet first: the chief listens at its own address, which TensorFlow uses
afterwards, and the others connect to it and wait for its "go".
"""

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from absl import logging

from keras_alexnet.errors import UserError

SECONDS_BETWEEN_LINES = 30.0

_HELLO = re.compile(rb"keras_alexnet worker (\d{1,6}) of (\d{1,6})")
_TICK = 0.5  # seconds between two attempts
_MOST_BYTES = 2**16  # of what another process says


def wait_for_all(
    addresses: Sequence[str], index: int, timeout: float, every: float = SECONDS_BETWEEN_LINES
) -> None:
    """Waits until every worker has come.

    Args:
        addresses: host:port of every worker, the chief's first.
        index: the number of this worker.
        timeout: the most seconds to wait; 0 waits without end.
        every: seconds between two log messages that say who is missing.

    Raises:
        UserError: some have not come in time; the message names them.

    Example:
        >>> wait_for_all(["localhost:12345"], 0, timeout=1)
    """
    wait = _Waiting(addresses, timeout, every)
    if index == 0:
        _gather(wait)
    else:
        _report_to_chief(wait, index)
    logging.info("All %d workers have come.", len(addresses))


class _Waiting:
    """Who has not come yet, and since when this worker has waited for them."""

    def __init__(self, addresses: Sequence[str], timeout: float, every: float):
        self.addresses, self._timeout, self._every = addresses, timeout, every
        self._began = self._said = time.monotonic()

    def tick(self, missing: Iterable[int], trouble: object = None) -> None:
        """Says who is missing, from time to time.

        Raises:
            UserError: it is too late.
        """
        now = time.monotonic()
        if self._timeout and now - self._began >= self._timeout:
            raise self.late(missing, trouble)
        if now - self._said >= self._every:
            self._said = now
            seconds = round(now - self._began)
            logging.info(
                "Waiting for %s since %d s.%s", self._names(missing), seconds, _of(trouble)
            )

    def late(self, missing: Iterable[int], trouble: object = None) -> UserError:
        """Returns the error for workers that have not come in time."""
        return UserError(
            f"{self._names(missing)} did not come within {self._timeout:g} s (--join_timeout)."
            f"{_of(trouble)} Check that all workers run, with the same cluster, and can reach the "
            "chief's address; then start all of them again."
        )

    def _names(self, missing: Iterable[int]) -> str:
        named = [f"worker {each} ({self.addresses[each]})" for each in missing]
        return ", ".join(named) or "the chief's answer"


def _of(trouble: object) -> str:
    return f" The last attempt: {trouble}." if trouble else ""


class _Lines:
    """The lines that come from a socket."""

    def __init__(self, connection: socket.socket):
        self.connection, self._rest = connection, b""

    def read(self) -> list[bytes] | None:
        """Returns the whole lines that have come, or None if the connection has ended."""
        try:
            more = self.connection.recv(4096)
        except (BlockingIOError, TimeoutError):
            return []
        except OSError:
            return None
        *lines, self._rest = (self._rest + more).split(b"\n")
        return lines if more and len(self._rest) < _MOST_BYTES else None


def _gather(wait: _Waiting) -> None:
    """Waits as the chief, which knows who is there."""
    count = len(wait.addresses)
    port = int(wait.addresses[0].rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(
            _listener(port, lambda error: wait.tick(range(1, count), error))
        )
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(listener, selectors.EVENT_READ)
        present: dict[int, _Lines] = {}
        told: list[int] = []
        while missing := [each for each in range(1, count) if each not in present]:
            for key, _ in selector.select(_TICK):
                if key.data is None:
                    _accept(listener, selector)
                else:
                    _hear(key.data, selector, present, count)
            missing = [each for each in range(1, count) if each not in present]
            if missing != told:
                told = missing
                _tell(present, f"missing {','.join(map(str, missing))}")
            try:
                wait.tick(missing)
            except UserError:
                _tell(present, f"late {','.join(map(str, missing))}")
                raise
        _tell(present, "go")
        # The others hang up first, or else the system would keep this port for a while.
        for lines in present.values():
            lines.connection.settimeout(5)
            while lines.read():
                pass
            lines.connection.close()


@contextlib.contextmanager
def _listener(port: int, failed: Callable[[OSError], None]) -> Iterator[socket.socket]:
    while True:
        try:
            if socket.has_dualstack_ipv6():
                made = socket.create_server(
                    ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128
                )
            else:
                made = socket.create_server(("", port), backlog=128)
            break
        except OSError as error:  # a process of an earlier run may not have ended yet
            failed(error)
            time.sleep(_TICK)
    with made:
        made.setblocking(False)
        yield made


def _accept(listener: socket.socket, selector: selectors.BaseSelector) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ, _Lines(connection))


def _hear(
    lines: _Lines, selector: selectors.BaseSelector, present: dict[int, _Lines], count: int
) -> None:
    said = lines.read()
    for line in said or ():
        hello = _HELLO.fullmatch(line)
        if hello and int(hello[2]) == count and 0 < int(hello[1]) < count:
            present[int(hello[1])] = lines
        else:
            logging.warning("Something that is no worker of this run connected: %r.", line[:80])
            said = None
    if said is None:
        selector.unregister(lines.connection)
        lines.connection.close()
        for index in [index for index, other in present.items() if other is lines]:
            del present[index]


def _tell(present: dict[int, _Lines], line: str) -> None:
    for lines in present.values():
        with contextlib.suppress(OSError):  # one that has gone is noticed when it is read
            lines.connection.sendall(f"{line}\n".encode())


def _report_to_chief(wait: _Waiting, index: int) -> None:
    """Waits as another worker, which learns from the chief who is missing."""
    host, _, port = wait.addresses[0].rpartition(":")
    while True:
        trouble: object = "the chief hung up"
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
                hello = f"keras_alexnet worker {index} of {len(wait.addresses)}\n"
                connection.sendall(hello.encode())
                connection.settimeout(_TICK)
                if _told_to_go(wait, _Lines(connection)):
                    return
        except OSError as error:
            trouble = error.strerror or error
        wait.tick([0], trouble)
        time.sleep(_TICK)


def _told_to_go(wait: _Waiting, lines: _Lines) -> bool:
    """Returns True at the chief's "go", and False if the connection ends."""
    missing: list[int] = []
    while (said := lines.read()) is not None:
        for line in said:
            what, _, numbers = line.partition(b" ")
            if what == b"go":
                return True
            if what not in (b"missing", b"late"):
                return False  # a different program
            told = [int(each) for each in numbers.split(b",") if each.isdigit()]
            missing = [each for each in told if each < len(wait.addresses)]
            if what == b"late":
                raise wait.late(missing)
        wait.tick(missing)
    return False
