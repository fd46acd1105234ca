"""Errors with messages for users, which say what was expected and received and what to do.

The command prints only the message, without a traceback. It exits with 2 for a `UsageError`, with
128 plus the signal's number (130, 143) for an `Interrupted` run, and with 1 for any other
`UserError`.
"""

import difflib
import numbers
import os
import pathlib
import signal
from collections.abc import Iterable
from typing import Any


class UserError(ValueError):
    """Something the user can fix: a missing file, unusable data, a run that went wrong."""


class UsageError(UserError):
    """An argument or flag that cannot be used as given."""


class Interrupted(UserError):
    """A run that a signal stopped after it had saved what it had done.

    Attributes:
        signal: `signal.SIGTERM`, `signal.SIGINT` or `signal.SIGHUP`.
        workdir: the folder of the run to resume, or None if nothing had been written.

    Example:
        >>> print(Interrupted(15, "after step 7", "runs/mine"))
        Stopped by SIGTERM after step 7. Resume with --resume --workdir=runs/mine.
    """

    def __init__(self, number: int, when: str, workdir: str | os.PathLike | None = None):
        self.signal = signal.Signals(number)
        self.workdir = None if workdir is None else pathlib.Path(workdir)
        advice = "Nothing was written: start again with the same command."
        if workdir is not None:
            advice = f"Resume with --resume --workdir={workdir}."
        super().__init__(f"Stopped by {self.signal.name} {when}. {advice}")

    @property
    def exit_code(self) -> int:
        """What the command exits with: 128 plus the signal's number."""
        return 128 + self.signal


def unknown_name(kind: str, received: object, known: Iterable[str]) -> UsageError:
    """Returns the error for an unknown name, which suggests the nearest and lists all known ones.

    Example:
        >>> str(unknown_name("variant", "cifar_v", ["alexnet", "cifar_v1"]))
        "Unknown variant 'cifar_v'. Did you mean 'cifar_v1'? Known: alexnet, cifar_v1."
    """
    known = list(known)
    nearest = difflib.get_close_matches(str(received), known, n=1, cutoff=0.0)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UsageError(f"Unknown {kind} {shown(received)}.{hint} Known: {', '.join(known)}.")


def shown(value: object) -> str:
    """Returns what was received as a message shows it: in Python's notation, and not too long.

    Example:
        >>> shown("a\\tb"), len(shown("a" * 1000))
        ("'a\\\\tb'", 100)
    """
    try:
        text = repr(value)
    except ValueError:  # a whole number of more than 4300 digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_LONGEST = 100  # characters


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or the name of its class if it has none.

    Example:
        >>> first_line(OSError("no space\\nTraceback ...")), first_line(MemoryError())
        ('no space', 'MemoryError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def whole_number(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Returns an argument as int.

    Raises:
        UsageError: it is not a whole number, below `least`, above `most`, or not of 64 bits.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    low, high = (-_LARGEST if least is None else least), (_LARGEST if most is None else most)
    if whole and low <= value <= high:
        return int(value)
    bounds = [] if least is None else [f" of at least {least}"]
    if most is not None:
        bounds.append(f" of at most {most}")
    elif whole and abs(int(value)) > _LARGEST:
        bounds.append(" of less than 2**63")
    raise UsageError(
        f"{name} must be a whole number{' and'.join(bounds)}. Received: {shown(value)}."
    )


_LARGEST = 2**63 - 1  # of TensorFlow, numpy and TF Serving
