"""Kinds of damage to a JSON file, each of which must end in a message."""

import json
import os

WHOLE = {
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "an empty object": b"{}",
    "nested": b'{"config":' * 100_000,
    "nested and closed": b"[" * 100_000 + b"]" * 100_000,
    "binary": bytes(range(256)),
}

KINDS = (*WHOLE, "cut off", "a folder", "a pipe", "a lost link", "twice the same key")


def damage(path, kind) -> None:
    """Damages a file that holds a JSON object."""
    contents = path.read_bytes()
    path.unlink()
    if kind in WHOLE:
        path.write_bytes(WHOLE[kind])
    elif kind == "cut off":
        path.write_bytes(contents[: len(contents) // 2])
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a lost link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(contents.replace(b"{", b'{"x": 1, "x": 2, ', 1))


def wrongly_typed(value, depth=3, wrong=({"x": []}, [["x"]])):
    """Yields (place, copy) for each value inside a JSON object, replaced by one of another type."""
    for name, inner in value.items() if isinstance(value, dict) and depth else ():
        for other in wrong:
            if type(other) is not type(inner):
                yield name, {**value, name: other}
        for place, changed in wrongly_typed(inner, depth - 1, wrong):
            yield f"{name}.{place}", {**value, name: changed}


def rewrite(path, change) -> None:
    """Replaces the object in a JSON file by `change(object)`."""
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
