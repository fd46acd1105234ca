"""JSON that was written earlier or elsewhere, read against a schema.

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

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable

Schema = Any

MOST_BYTES = 64 * 2**20
MOST_DEPTH = 100

_NAMES = {
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
        >>> matched(None, OneOf(None, int), "seed")
    """

    def __init__(self, *schemas: Schema):
        self.schemas = schemas


class _Mismatch(ValueError):
    """A value is not what its schema describes."""


def read(
    path: str | os.PathLike,
    schema: Schema = dict,
    advice: str = "",
    *,
    nan: bool = False,
    most_bytes: int = MOST_BYTES,
) -> Any:
    """Reads a JSON file that must look as `schema` says.

    Args:
        path: a regular file.
        schema: what it must hold.
        advice: a sentence for the message of an error: what to do.
        nan: whether numbers may be NaN or infinite, which JSON does not have, but Python writes.
        most_bytes: the largest size that is read.

    Raises:
        UserError: it cannot be read, is no JSON, or holds something different; the message names
            the file, the place in it, what was expected and what was received.

    Example:
        >>> files.write_json("a.json", {"config": {"seed": "7"}})
        >>> read("a.json", {"config": {"seed": int}})
        Traceback (most recent call last):
            ...
        keras_alexnet.errors.UserError: a.json is damaged: config.seed must be a whole number. \
Received: "7".
    """
    try:
        with files.open_regular(path) as file:
            text = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            _sentences(f"{printable(path)} cannot be read: {reason}.", advice)
        ) from error
    if len(text) > most_bytes:
        received = f"more than {most_bytes:,} bytes"
        raise UserError(
            _sentences(
                f"{printable(path)} is damaged or a different file: it has {received}.", advice
            )
        )
    return parsed(text, schema, path, advice, nan=nan)


def parsed(
    text: str | bytes, schema: Schema, name: object, advice: str = "", *, nan: bool = False
) -> Any:
    """Returns the value that JSON text holds; arguments and errors are those of `read`.

    Args:
        text: UTF-8, if it is bytes.
        name: what messages call the text.

    Example:
        >>> parsed('{"a": [1]}', {"a": [int]}, "The answer")
        {'a': [1]}
    """
    try:
        value = _parsed(text, nan)
    except RecursionError as error:
        raise _damaged(name, f"it is nested more than {MOST_DEPTH} deep", advice) from error
    except ValueError as error:
        raise _damaged(name, f"it is not JSON: {printable(error)}", advice) from error
    return matched(value, schema, name, advice, nan=nan)


def matched(
    value: Any, schema: Schema, name: object, advice: str = "", *, nan: bool = False
) -> Any:
    """Returns a value that was read from JSON; arguments and errors are those of `read`."""
    try:
        _match(value, schema, "", nan)
    except _Mismatch as error:
        raise _damaged(name, str(error), advice) from error
    return value


def of_fields(fields: Iterable[tuple[str, Any]], *, optional: bool = True) -> Schema:
    """Returns the schema of an object with the fields of a dataclass, and with no others.

    Args:
        fields: names and types; tuples are lists in JSON.
        optional: whether fields may be missing.

    Example:
        >>> matched({"seed": 1}, of_fields([("seed", int | None)]), "It")
        {'seed': 1}
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


def _parsed(text: str | bytes, nan: bool) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} is there twice")
        return found

    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    value = json.loads(text, object_pairs_hook=unique)
    level = [value]
    for _ in range(MOST_DEPTH):  # not by recursion, which has a limit of its own
        inner = [each for each in level if isinstance(each, (dict, list))]
        level = [
            one for each in inner for one in (each.values() if isinstance(each, dict) else each)
        ]
        if not nan and any(isinstance(one, float) and not math.isfinite(one) for one in level):
            raise ValueError("a number is NaN or infinite")
    if any(isinstance(each, (dict, list)) for each in level):
        raise RecursionError
    return value


def _match(value: Any, schema: Schema, place: str, nan: bool) -> None:
    if isinstance(schema, OneOf):
        _match_one(value, schema, place, nan)
    elif isinstance(schema, dict):
        _match_object(value, schema, place, nan)
    elif isinstance(schema, list):
        if not isinstance(value, list):
            raise _mismatch(place, schema, value)
        for index, each in enumerate(value):
            _match(each, schema[0], f"{place}[{index}]", nan)
    elif not _is(value, schema, nan):
        raise _mismatch(place, schema, value)


def _match_one(value: Any, schema: OneOf, place: str, nan: bool) -> None:
    for each in schema.schemas:
        try:
            _match(value, each, place, nan)
            return
        except _Mismatch as error:
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
            raise _Mismatch(f"it has no {_inside(place, name)}")
    for name, each in value.items():
        if name not in known and others is None:
            raise _Mismatch(f"{_inside(place, name)} is unknown")
        _match(each, known.get(name, others), _inside(place, name), nan)


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
    kind = type(schema) if isinstance(schema, (dict, list)) else schema
    return _NAMES[kind]


def _mismatch(place: str, schema: Schema, value: Any) -> _Mismatch:
    received = _NAMES[dict if isinstance(value, dict) else list]
    if not isinstance(value, (dict, list)):
        received = json.dumps(value, ensure_ascii=False)
    shown = received if len(received) <= _SHOWN else f"{received[:_SHOWN]}…"
    return _Mismatch(f"{place or 'it'} must be {_wanted(schema)}. Received: {printable(shown)}")


def _inside(place: str, name: str) -> str:
    shown = printable(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…")
    return f"{place}.{shown}" if place else shown


def _damaged(name: object, what: str, advice: str) -> UserError:
    return UserError(_sentences(f"{printable(name)} is damaged: {what}.", advice))


def _sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
