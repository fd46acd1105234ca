"""Config fields with their help texts and ranges, and the check of a whole config."""

import dataclasses
import os
import re
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from keras_alexnet.errors import UsageError, shown, unknown_name
from keras_alexnet.utils.values import Range, one_of


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


class Config:
    """The base class of configs: an argument that is no field is an error that says what is.

    Subclasses are dataclasses. `elsewhere` maps what is given in another way to that way.

    Raises:
        UsageError: for the first such argument.

    Example:
        >>> @dataclasses.dataclass
        ... class Sizes(Config):
        ...     width: int = 1
        >>> Sizes(witdh=2)
        Traceback (most recent call last):
        ...
        keras_alexnet.errors.UsageError: Unknown field of Sizes 'witdh'. Did you mean 'width'? \
Known: width.
    """

    elsewhere: typing.ClassVar[dict[str, str]] = {}

    def __new__(cls, *args: Any, **fields: Any) -> typing.Self:
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name, value in fields.items():
            if name in known:
                continue
            if name in cls.elsewhere:
                way = cls.elsewhere[name].format(value=shown(value))
                raise UsageError(f"{name} is no field of {cls.__name__}: {way}")
            raise unknown_name(f"field of {cls.__name__}", name, known)
        return super().__new__(cls)


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
