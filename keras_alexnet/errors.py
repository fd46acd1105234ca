"""Errors meant for the person at the keyboard.

Scripts print the message alone, without a traceback, and exit with 2 for a `UsageError` and
with 1 for any other `UserError`.
"""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can put right: a missing file, unusable data, a run that went wrong."""


class UsageError(UserError):
    """An argument or flag that cannot be used as given."""


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
