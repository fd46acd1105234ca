"""Config fields with their help texts and ranges, and the checks of all values from outside."""

import dataclasses
import math
import numbers
import os
import re
import typing
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from keras_alexnet.errors import UsageError, shown, unknown_name, whole_number
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


def setting(
    default: Any,
    help_text: str,
    choices: Sequence[Any] | None = None,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    may_be_empty: bool = False,
) -> Any:
    """Returns a dataclass field of a config, with the help and the choices of its flag.

    `normalize` checks the field's value by its type: a type with `os.PathLike` is a path.

    Args:
        default: value if none is given.
        help_text: what `--help` says.
        choices: the only values allowed.
        least, most, above, below: the range of a number, as in `Range`.
        may_be_empty: whether a text may be empty.

    Example:
        >>> @dataclasses.dataclass
        ... class Config:
        ...     views: int = setting(1, "Views of each image.", (1, 2, 10))
        >>> dataclasses.fields(Config)[0].metadata["choices"]
        (1, 2, 10)
    """
    metadata = {
        "help": help_text,
        "choices": choices,
        "range": Range(least, most, above, below),
        "may_be_empty": may_be_empty,
    }
    return dataclasses.field(default=default, metadata=metadata)


def normalize(config: Any) -> None:
    """Checks the fields of a config that `setting` made, and makes plain Python values of them.

    Paths become text with `~` expanded, numpy's numbers become Python's, and lists tuples.

    Raises:
        UsageError: for the first field whose value cannot be used.

    Example:
        >>> @dataclasses.dataclass
        ... class Config:
        ...     seed: int = setting(0, "Seed.", least=0)
        ...     def __post_init__(self):
        ...         normalize(self)
        >>> Config(np.int64(3))
        Config(seed=3)
        >>> Config(-1)
        Traceback (most recent call last):
        ...
        keras_alexnet.errors.UsageError: seed must be a whole number of at least 0. Received: -1.
    """
    for field in dataclasses.fields(config):
        if "help" in field.metadata:
            object.__setattr__(config, field.name, checked(field, getattr(config, field.name)))


def checked(field: dataclasses.Field, value: Any) -> Any:
    """Returns the value of a field that `setting` made, as `normalize` stores it.

    Raises:
        UsageError: the field cannot have this value.
    """
    if value is None and (field.default is None or takes_none(field)):
        return None
    if typing.get_origin(field.type) is not tuple:
        return _checked_one(field, value)
    if isinstance(value, str):
        value = split_list(value)
    if hasattr(value, "tolist"):  # an array of numpy
        value = value.tolist()
    if not isinstance(value, Iterable):
        raise UsageError(f"{field.name} must be a list. Received: {shown(value)}.")
    return tuple(_checked_one(field, each) for each in value)


def kind_of(field: dataclasses.Field) -> type:
    """Returns what a field that `setting` made takes: bool, int, float, str or os.PathLike.

    For a tuple, it is the kind of its elements.
    """
    types = _types(field)
    kinds = (os.PathLike, bool, int, float, str)
    return next((kind for kind in kinds if kind in types), str)


def takes_none(field: dataclasses.Field) -> bool:
    """Returns whether the type of a field includes None."""
    return type(None) in _types(field)


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


def split_list(typed: str) -> list[str]:
    """Splits a typed list at its commas, except those inside parentheses.

    Example:
        >>> split_list("crop, color_noise(2012, until=68),")
        ['crop', 'color_noise(2012, until=68)']
    """
    parts = re.split(r",(?![^(]*\))", typed)
    return [part.strip() for part in parts if part.strip()]


def _checked_one(field: dataclasses.Field, value: Any) -> Any:
    kind = kind_of(field)
    if kind is os.PathLike and "keras.Model" in str(field.type):
        if not isinstance(value, (str, os.PathLike)) and hasattr(value, "layers"):
            return value
    range_, empty = field.metadata.get("range", Range()), field.metadata.get("may_be_empty", False)
    found = one_of(field.name, value, kind, range_, empty)
    choices = field.metadata["choices"]
    if choices is not None and found not in choices:
        raise unknown_name(field.name, found, map(str, choices))
    return found


def _types(field: dataclasses.Field) -> tuple[Any, ...]:
    # Types that would load Keras are written as text.
    if isinstance(field.type, str):
        known = {"os.PathLike": os.PathLike, "None": type(None)}
        return tuple(known.get(each, str) for each in field.type.split(" | "))
    return typing.get_args(field.type) or (field.type,)


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
