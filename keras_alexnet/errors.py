"""Errors meant for the person at the keyboard.

Scripts print the message alone, without a traceback, and exit with 2 for a `UsageError`, with 128
and the signal's number (130, 143) for an `Interrupted` run, and with 1 for any other `UserError`.
"""

import difflib
import pathlib
import signal
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can put right: a missing file, unusable data, a run that went wrong."""


class UsageError(UserError):
    """An argument or flag that cannot be used as given."""


class Interrupted(UserError):
    """A run that a signal stopped in good order.

    Attributes:
        signal: which, `signal.SIGTERM` or `signal.SIGINT`.
        workdir: the folder of the run to go on with, or None if it had not begun one.

    Example:
        >>> print(Interrupted(15, "after step 7", "runs/mine"))
        Stopped by SIGTERM after step 7. Go on with --resume --workdir=runs/mine.
    """

    def __init__(self, number: int, when: str, workdir=None):
        self.signal = signal.Signals(number)
        self.workdir = None if workdir is None else pathlib.Path(workdir)
        onward = "Nothing was written: start again with the same command."
        if workdir is not None:
            onward = f"Go on with --resume --workdir={workdir}."
        super().__init__(f"Stopped by {self.signal.name} {when}. {onward}")

    @property
    def exit_code(self) -> int:
        """What a script exits with: 128 and the signal's number."""
        return 128 + self.signal


def unknown_name(kind: str, received: object, known: Iterable[str]) -> UsageError:
    """Returns the error for a name that is not in a table, with the nearest name and all of them.

    Example:
        >>> str(unknown_name("variant", "cifar_v", ["alexnet", "cifar_v1"]))
        "Unknown variant 'cifar_v'. Did you mean 'cifar_v1'? Known: alexnet, cifar_v1."
    """
    known = list(known)
    nearest = difflib.get_close_matches(str(received), known, n=1, cutoff=0.0)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UsageError(f"Unknown {kind} {received!r}.{hint} Known: {', '.join(known)}.")


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or the name of its type if it has none.

    Example:
        >>> first_line(ValueError("no such layer\\nin a model")), first_line(KeyError())
        ('no such layer', 'KeyError')
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]
