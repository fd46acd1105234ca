"""JSON that was written earlier or elsewhere, read against a schema of `json_schema`."""

import collections
import json
import math
import os
from typing import Any

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files, json_schema
from keras_alexnet.utils.text import printable

MOST_BYTES = 64 * 2**20
MOST_DEPTH = 100


def read(
    path: str | os.PathLike,
    schema: json_schema.Schema = dict,
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
            size = os.fstat(file.fileno()).st_size
            text = file.read(size) if size <= most_bytes else b""
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            _sentences(f"{printable(path)} cannot be read: {reason}.", advice)
        ) from error
    if size > most_bytes:
        received = f"{size:,} bytes, more than {most_bytes:,}"
        raise UserError(
            _sentences(
                f"{printable(path)} is damaged or a different file: it has {received}.", advice
            )
        )
    return parsed(text, schema, path, advice, nan=nan)


def parsed(
    text: str | bytes,
    schema: json_schema.Schema,
    name: object,
    advice: str = "",
    *,
    nan: bool = False,
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
    value: Any, schema: json_schema.Schema, name: object, advice: str = "", *, nan: bool = False
) -> Any:
    """Returns a value that was read from JSON; arguments and errors are those of `read`."""
    try:
        json_schema.match(value, schema, nan=nan)
    except json_schema.Mismatch as error:
        raise _damaged(name, str(error), advice) from error
    return value


def _parsed(text: str | bytes, nan: bool) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            [(twice, _)] = collections.Counter(name for name, _ in pairs).most_common(1)
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


def _damaged(name: object, what: str, advice: str) -> UserError:
    return UserError(_sentences(f"{printable(name)} is damaged: {what}.", advice))


def _sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
