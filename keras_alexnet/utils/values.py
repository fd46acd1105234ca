"""Checks of single values from outside: paths, names, numbers and their ranges."""

import dataclasses
import math
import numbers
import os
import re
import unicodedata
from typing import Any

from keras_alexnet.errors import UsageError, shown, whole_number
from keras_alexnet.utils.text import is_printable

_CONTROL, _NUL = re.compile(r"[\x00-\x1f\x7f]"), re.compile(r"\x00")


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a setting takes; None is no bound.

    Attributes:
        least, most: the lowest and the highest of them.
        above, below: numbers that all of them are greater and less than.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        """Returns the bounds in words, or an empty text if there are none."""
        bounds = {
            "above": self.above,
            "at least": self.least,
            "below": self.below,
            "at most": self.most,
        }
        return " and ".join(
            f"{words} {bound:,.15g}" for words, bound in bounds.items() if bound is not None
        )


def one_of(name: str, value: Any, kind: type, allowed: Range, may_be_empty: bool = False) -> Any:
    """Returns an argument as a plain Python value of a kind that `kind_of` returns.

    Raises:
        UsageError: it is of another kind, out of range, or empty.
    """
    if kind is os.PathLike:
        return path_text(name, value)
    if kind is bool:
        return switch(name, value)
    if kind is int:
        least = None if allowed.least is None else int(allowed.least)
        return whole_number(name, value, least, None if allowed.most is None else int(allowed.most))
    if kind is float:
        return number(name, value, allowed)
    return text(name, value, may_be_empty)


def path_text(name: str, path: Any, *, any_name: bool = False) -> str:
    """Returns a path as text, with `~` expanded.

    Args:
        name: what the message calls the argument.
        path: text or `os.PathLike`.
        any_name: whether it may have control characters, as files that others named may.

    Raises:
        UsageError: it is empty, is no path, has control characters, or names an unknown home.

    Example:
        >>> import pathlib
        >>> path_text("out", pathlib.Path("a/b"))
        'a/b'
        >>> path_text("out", "~/a") == str(pathlib.Path.home() / "a")
        True
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"{name} must be a path. Received: {path!r}.")
    given = os.fsdecode(path)
    if not given.strip():
        raise UsageError(f"{name} must not be empty. Give a path, or leave it out.")
    if (_CONTROL if not any_name else _NUL).search(given):
        raise UsageError(
            f"{name} must be a path without control characters and line breaks. "
            f"Received: {shown(given)}."
        )
    found = os.path.expanduser(given)
    if found.startswith("~") and not os.path.lexists(found):
        home = found.partition("/")[0]
        raise UsageError(
            f"{name} begins with {home}, but there is no such home folder. For a file or folder "
            f"of that name, write ./{home}. Received: {shown(given)}."
        )
    return found


def text(name: str, value: Any, may_be_empty: bool = False) -> str:
    """Returns an argument that is a name or another line of text, in Unicode's composed form.

    Raises:
        UsageError: it is no text, is empty, or has line breaks or other control characters.

    Example:
        >>> text("dataset_name", "cats")
        'cats'
    """
    if not isinstance(value, str):
        raise UsageError(f"{name} must be text. Received: {shown(value)}.")
    if not value.strip() and not may_be_empty:
        raise UsageError(f"{name} must not be empty. Give a value, or leave it out.")
    if not is_printable(value):
        raise UsageError(
            f"{name} must be one line without control characters. Received: {shown(value)}."
        )
    return unicodedata.normalize("NFC", str(value))


def switch(name: str, value: Any) -> bool:
    """Returns an argument that is True or False.

    Raises:
        UsageError: it is neither.
    """
    value = _plain(value)
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False. Received: {shown(value)}.")
    return value


def number(name: str, value: Any, allowed: Range = Range()) -> int | float:  # noqa: B008
    """Returns an argument that is a finite number.

    Raises:
        UsageError: it is none, or out of range.

    Example:
        >>> number("timeout", np.float64(2), Range(above=0))
        2.0
    """
    value = _plain(value)
    right = isinstance(value, numbers.Real) and not isinstance(value, bool)
    # Whole numbers that are too large for a float are not finite here.
    if right and abs(value) <= 1.7e308 and _within(value, allowed):
        return value if isinstance(value, int) else float(value)
    wanted = f"a number {allowed}".strip().replace("at ", "of at ")
    raise UsageError(f"{name} must be {wanted}. Received: {shown(value)}.")


def _within(value: Any, allowed: Range) -> bool:
    return (
        math.isfinite(value)
        and (allowed.least is None or value >= allowed.least)
        and (allowed.most is None or value <= allowed.most)
        and (allowed.above is None or value > allowed.above)
        and (allowed.below is None or value < allowed.below)
    )


def _plain(value: Any) -> Any:
    """Returns a number of numpy or TensorFlow as one of Python."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
