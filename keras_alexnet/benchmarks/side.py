"""One side of a comparison in a process of its own, which works when it is its turn.

Libraries that share a process share its threads and its allocator, and the most memory that a
process has held never falls again. The process waits for a line on its standard input, does its
work, and answers with a line of JSON.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from keras_alexnet.errors import UserError
from keras_alexnet.utils import machine
from keras_alexnet.utils.text import printable

_KILLED = -9  # the code of a process that SIGKILL ended

_LONGEST = 500  # characters of the error of a process

_PROGRAM = """
import sys
from keras_alexnet.benchmarks import side
side.serve(sys.argv[1])
"""

# As commands start: TensorFlow without its notices, and their environment variables.
_TENSORFLOW = """
from keras_alexnet.cli.running import load_tensorflow
load_tensorflow()
"""


class Side:
    """A process that works when it is asked.

    Attributes:
        ready: its first answer, after it had warmed up.
    """

    def __init__(self, process: subprocess.Popen, log: IO[str], name: str) -> None:
        self._process, self._log, self._name = process, log, name
        self.ready: dict[str, Any] = {}

    def ask(self) -> None:
        """Lets the process take its turn; `answer` waits for its end."""
        with contextlib.suppress(OSError):  # a process that has failed: `answer` says why
            print(file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Returns the next answer.

        Raises:
            UserError: the process has failed.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = json.loads(line) if line.endswith("\n") else {"error": self._last_line()}
        if "error" in found:
            raise UserError(f"{self._name} cannot be measured: {found['error']}")
        return found

    def take(self) -> dict[str, Any]:
        """Lets the process take its turn, and returns its answer."""
        self.ask()
        return self.answer()

    def _last_line(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines() or ["it said nothing"]
        if code == _KILLED:  # by the system, which asks nobody
            return "it was killed, as a system does that has no memory left"
        return f"it ended with code {code}: {printable(lines[-1], _LONGEST)}"


@contextlib.contextmanager
def started(
    name: str,
    function: str,
    arguments: Mapping[str, Any],
    *,
    tensorflow: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Side]:
    """Starts a process, and ends it after the body.

    Args:
        name: of the side, in messages.
        function: "module:function", called with `Turns` and the arguments. It answers once when it
            has warmed up, and then once for each turn.
        arguments: for JSON.
        tensorflow: whether TensorFlow is loaded first.
        environment: variables of the process, besides those of this one.

    Yields:
        The side; `wait_for_all` waits until it has warmed up.
    """
    program = (_TENSORFLOW if tensorflow else "") + _PROGRAM
    with (
        # Of the process, which is killed before it can remove what it has there.
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace") as log,
    ):
        told = {"function": function, "arguments": arguments}
        given = json.dumps(told | {"parent": os.getpid(), "folder": folder})
        process = subprocess.Popen(
            [sys.executable, "-c", program, given],
            env={**machine.environment_of_child(), "TMPDIR": folder, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # a group of its own; Ctrl-C is for this process
        )
        try:
            yield Side(process, log, name)
        finally:
            _end(process)


def _end(process: subprocess.Popen) -> None:
    """Ends a process and those that it has started, as PyTorch's compiler does."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.communicate()


def wait_for_all(*sides: Side) -> None:
    """Waits until all sides have warmed up, and notes their first answers."""
    for each in sides:
        each.ready = each.answer()


# In the process -----------------------------------------------------------------------------------
class Turns:
    """What a side's function gets: when its turns are, and where its answers go."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._began = self._began_cpu = 0.0

    def wait(self) -> bool:
        """Waits for the next turn; False if there is none."""
        asked = bool(sys.stdin.readline())
        self._began, self._began_cpu = time.perf_counter(), time.process_time()
        return asked

    def seconds(self) -> dict[str, float]:
        """Returns the time since the turn began: on the clock, and of all processors."""
        return {
            "seconds": time.perf_counter() - self._began,
            "cpu_seconds": time.process_time() - self._began_cpu,
        }

    def answer(self, found: Mapping[str, Any]) -> None:
        """Answers, for JSON."""
        print(json.dumps(found), file=self._answers, flush=True)


def serve(text: str) -> None:
    """Runs the function that `started` names, and ends the process.

    Args:
        text: what `started` gives the process, as JSON.
    """
    given = json.loads(text)
    machine.end_with_parent(given["parent"], folder=given["folder"])
    # Libraries print to standard output, too.
    turns = Turns(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    module, _, function = given["function"].partition(":")
    try:
        getattr(importlib.import_module(module), function)(turns, **given["arguments"])
    except (UserError, ImportError) as error:
        turns.answer({"error": str(error)})
    os._exit(0)  # a library's own shutdown may fail if another worker has already ended
