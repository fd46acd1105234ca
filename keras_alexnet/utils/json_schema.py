"""Schemas of values that were read from JSON.

A schema says what a value must be:

- `str`, `bool`, `int`, `float` (an int is one, too), `dict` or `list`: a value of this type;
  `None`: null; `object`: anything;
- `Number(least, most, whole=...)`: a number in a range;
- `OneOf(schema, ...)`: what one of several schemas describes;
- `[schema]`: a list of such values;
- `{"name": schema, "name?": schema}`: an object with these names, of which those that end in "?"
  may be missing. Other names are not looked at, unless there is a schema for all others: `...`;
  with `None` there may be none.
"""

import json
import math
import os
import types
import typing
from collections.abc import Iterable
from typing import Any, NamedTuple

from keras_alexnet.utils.text import printable

Schema = Any

_NAMES: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "an object",
    list: "a list",
    None: "null",
}
_SHOWN = 60  # characters of a wrong value


class Number(NamedTuple):
    """A number from `least` to `most`; infinite and NaN never are in the range."""

    least: float = -math.inf
    most: float = math.inf
    whole: bool = False


COUNT = Number(least=0, whole=True)


class OneOf:
    """A value that one of several schemas describes.

    Example:
        >>> match(None, OneOf(None, int))
    """

    def __init__(self, *schemas: Schema):
        self.schemas = schemas


class Mismatch(ValueError):
    """A value is not what its schema describes."""


def of_fields(fields: Iterable[tuple[str, Any]], *, optional: bool = True) -> Schema:
    """Returns the schema of an object with the fields of a dataclass, and with no others.

    Args:
        fields: names and types; tuples are lists in JSON.
        optional: whether fields may be missing.

    Example:
        >>> match({"seed": 1}, of_fields([("seed", int | None)]))
    """
    ending = "?" if optional else ""
    return {**{f"{name}{ending}": _of_type(kind) for name, kind in fields}, ...: None}


def _of_type(kind: Any) -> Schema:
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kinds = dict.fromkeys(
            str if each is os.PathLike else each for each in typing.get_args(kind)
        )
        return OneOf(*map(_of_type, kinds))
    origin = typing.get_origin(kind) or kind
    if origin is type(None):
        return None
    if origin is dict:
        of_values = typing.get_args(kind)[1:]
        return {...: _of_type(of_values[0])} if of_values else dict
    if origin in (tuple, list):
        return [_of_type(typing.get_args(kind)[0])]
    return origin if origin in _NAMES else object


def match(value: Any, schema: Schema, place: str = "", nan: bool = False) -> None:
    """Checks a value against a schema.

    Args:
        value: what JSON text held.
        schema: what it must be.
        place: where it is, for the message; empty for the whole.
        nan: whether numbers may be NaN or infinite.

    Raises:
        Mismatch: it is something different; the message says where and what.
    """
    if isinstance(schema, OneOf):
        _match_one(value, schema, place, nan)
    elif isinstance(schema, dict):
        _match_object(value, schema, place, nan)
    elif isinstance(schema, list):
        if not isinstance(value, list):
            raise _mismatch(place, schema, value)
        for index, each in enumerate(value):
            match(each, schema[0], f"{place}[{index}]", nan)
    elif not _is(value, schema, nan):
        raise _mismatch(place, schema, value)


def _match_one(value: Any, schema: OneOf, place: str, nan: bool) -> None:
    for each in schema.schemas:
        try:
            match(value, each, place, nan)
            return
        except Mismatch as error:
            if isinstance(value, (dict, list)) and isinstance(each, type(value)):
                raise error  # it says more: where inside the object
    raise _mismatch(place, schema, value)


def _match_object(value: Any, schema: dict, place: str, nan: bool) -> None:
    if not isinstance(value, dict):
        raise _mismatch(place, schema, value)
    others = schema.get(..., object)
    known = {name.removesuffix("?"): each for name, each in schema.items() if name is not ...}
    for name in schema:
        if name is not ... and not name.endswith("?") and name not in value:
            raise Mismatch(f"it has no {_inside(place, name)}")
    for name, each in value.items():
        if name not in known and others is None:
            raise Mismatch(f"{_inside(place, name)} is unknown")
        match(each, known.get(name, others), _inside(place, name), nan)


def _is(value: Any, schema: Schema, nan: bool) -> bool:
    if schema is None or schema is object:
        return schema is object or value is None
    if isinstance(value, bool):
        return schema is bool
    if isinstance(schema, Number):
        kinds = (int,) if schema.whole else (int, float)
        return isinstance(value, kinds) and (
            schema.least <= value <= schema.most or (nan and not math.isfinite(value))
        )
    return isinstance(value, (int, float) if schema is float else schema)


def _wanted(schema: Schema) -> str:
    if isinstance(schema, OneOf):
        return " or ".join(map(_wanted, schema.schemas))
    if isinstance(schema, Number):
        kind = "a whole number" if schema.whole else "a number"
        bounds = ((" of at least", schema.least), (" of at most", schema.most))
        return kind + " and".join(f"{text} {end:g}" for text, end in bounds if math.isfinite(end))
    return _NAMES[type(schema) if isinstance(schema, (dict, list)) else schema]


def _mismatch(place: str, schema: Schema, value: Any) -> Mismatch:
    received = _NAMES[dict if isinstance(value, dict) else list]
    if not isinstance(value, (dict, list)):
        received = json.dumps(value, ensure_ascii=False)
    shown = received if len(received) <= _SHOWN else f"{received[:_SHOWN]}…"
    return Mismatch(f"{place or 'it'} must be {_wanted(schema)}. Received: {printable(shown)}")


def _inside(place: str, name: str) -> str:
    shown = printable(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
    return f"{place}.{shown}" if place else shown
