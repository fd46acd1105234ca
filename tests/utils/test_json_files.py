"""JSON with a schema: every kind of damage ends in a message with file and place."""

import dataclasses
import json
import math
import os
import re

import pytest

import keras_alexnet as ka
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.utils import json_files, json_schema
from keras_alexnet.utils.json_schema import COUNT, Number, OneOf

SCHEMA = {
    "name": str,
    "config": {"seed": COUNT, "rate": Number(0, 1), "images": OneOf(None, COUNT), "on?": bool},
    "rows": [{"top1": float}],
    "parts?": {...: int},
}
GOOD = {
    "name": "ü",
    "config": {"seed": 3, "rate": 1, "images": None},
    "rows": [{"top1": 0.5, "more": [{}]}, {"top1": 1}],
    "parts": {"train": 4},
    "unknown": None,
}


def _changed(place, value):
    found = json.loads(json.dumps(GOOD))
    *parents, last = place
    inner = found
    for each in parents:
        inner = inner[each]
    inner[last] = value
    return found


def test_what_the_schema_describes_is_returned(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD))
    assert json_files.read(path, SCHEMA) == GOOD
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as editors of Windows write it
    assert json_files.read(path, SCHEMA) == GOOD


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["name"], None, "name must be text. Received: null."),
        (["config"], [], "config must be an object. Received: a list."),
        (["config"], {}, "it has no config.seed."),
        (
            ["config", "seed"],
            "7",
            'config.seed must be a whole number of at least 0. Received: "7"',
        ),
        (["config", "seed"], True, "config.seed must be a whole number of at least 0. Received: t"),
        (["config", "seed"], -1, "Received: -1."),
        (["config", "seed"], 1.0, "Received: 1.0."),
        (["config", "rate"], 1.5, "must be a number of at least 0 and of at most 1. Received: 1.5"),
        (["config", "images"], "", "images must be null or a whole number of at least 0. Rec"),
        (["config", "on"], 1, "config.on must be true or false. Received: 1."),
        (["rows"], {}, "rows must be a list. Received: an object."),
        (["rows", 1], 5, r"rows\[1\] must be an object. Received: 5."),
        (["rows", 1, "top1"], [1], r"rows\[1\].top1 must be a number. Received: a list."),
        (
            ["parts", "a\nb"],
            "x" * 10**6,
            r"parts.a\\nb must be a whole number. Received: .x{59}…\.",
        ),
    ],
)
def test_wrong_values_are_named_with_their_place(place, value, message):
    with pytest.raises(ka.UserError, match=f"^It is damaged: .*{message}") as caught:
        json_files.matched(_changed(place, value), SCHEMA, "It", "Do this.")
    assert str(caught.value).endswith(" Do this.") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"),
        (b'{"name": ', "not JSON"),
        (b'{"a": 1, "a": 2}', "'a' is there twice"),
        (b"[" * 100_000, "nested more than 100 deep"),
        (b"[" * 100_000 + b"]" * 100_000, "nested more than 100 deep"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested more than 100 deep"),
        (b'{"a": NaN}', "NaN or infinite"),
        (b'{"a": {"b": [1e999]}}', "NaN or infinite"),
        (b"9" * 10_000, "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"\x00\x01\x02", "not JSON"),
        (b"NaN", "must be an object"),
    ],
)
def test_text_that_is_no_json_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ka.UserError, match=f"a.json is damaged: .*{message}"):
        json_files.read(tmp_path / "a.json")


def test_nan_is_read_where_python_may_have_written_it():
    found = json_files.parsed(
        '{"a": NaN, "b": Infinity}', {"a": float, "b": Number(0)}, "It", nan=True
    )
    assert math.isnan(found["a"]) and math.isinf(found["b"])


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "large.json").write_text("[" + " " * 100 + "]")
    for name in ("pipe", "folder", "none", "a\0b", "a\nb"):
        with pytest.raises(ka.UserError, match="cannot be read: ") as caught:
            json_files.read(tmp_path / f"{name}.json")
        assert "\n" not in str(caught.value)
    with pytest.raises(ka.UserError, match="it has 102 bytes, more than 100"):
        json_files.read(tmp_path / "large.json", list, most_bytes=100)


def test_fields_of_a_dataclass_are_a_schema():
    schema = json_schema.of_fields(
        (field.name, field.type) for field in dataclasses.fields(TrainConfig)
    )
    written = json.loads(json.dumps(dataclasses.asdict(TrainConfig())))
    assert json_files.matched(written, schema, "It") == written
    for name, value in written.items():
        wrong = f"{name}[0]" if isinstance(value, list) else name  # a list in the list
        with pytest.raises(ka.UserError, match=re.escape(f"{wrong} must be")):
            json_files.matched({**written, name: [value]}, schema, "It")
    with pytest.raises(ka.UserError, match="nothing is unknown"):
        json_files.matched({"nothing": 1}, schema, "It")
