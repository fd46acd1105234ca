"""Commands that are timed from their start to their end, each in a fresh process."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from keras_alexnet.errors import UserError
from keras_alexnet.utils import machine


def timed(
    words: Sequence[str], what: str, environment: Mapping[str, str] | None = None
) -> tuple[float, str]:
    """Runs Python with these words, and returns its seconds and what it printed.

    Args:
        words: what follows "python" on the command line.
        what: the subject of the message if it fails, as "The first step".
        environment: variables of the process, besides those of this one.

    Raises:
        UserError: it failed; the message has the last line of its errors.

    Example:
        >>> timed(["-c", "print(1)"], "Printing")[1]
        '1\\n'
    """
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words],
        env={**machine.environment_of_child(), **(environment or {})},
        capture_output=True,
        text=True,
        errors="replace",
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        *_, said = done.stderr.splitlines() or ["no message"]
        kind = f"{UserError.__module__}.{UserError.__name__}: "
        raise UserError(f"{what} cannot be timed: {said.removeprefix(kind)}")
    return seconds, done.stdout
