"""Every field of every config: paths, names, numbers and their ranges, at one door."""

import dataclasses
import json
import math
import os
import pathlib
import typing

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.errors import UsageError
from keras_alexnet.predicting.features.config import FeaturesConfig
from keras_alexnet.utils.arguments import kind_of, takes_none
from keras_alexnet.utils.values import Range, number, one_of, path_text

NEEDED = {
    ka.DataSpec: {},
    ka.TrainConfig: {},
    ka.PrepareConfig: {"source": "s", "out": "o"},
    ka.EvaluateConfig: {"model": "m"},
    ka.ExportConfig: {"model": "m", "out": "o"},
    ka.AblateConfig: {"workdir": "w"},
    FeaturesConfig: {"model": "m", "out": "o"},
    ka.DistanceConfig: {"first": "a", "second": "b"},
}


def _fields(*kinds, choices=False):
    found = []
    for config, needed in NEEDED.items():
        for field in dataclasses.fields(config):
            if "help" in field.metadata and kind_of(field) in kinds:
                if choices or field.metadata["choices"] is None:
                    several = typing.get_origin(field.type) is tuple
                    case = (config, needed, field.name, several)
                    found.append(pytest.param(*case, id=f"{config.__name__}.{field.name}"))
    assert found
    return pytest.mark.parametrize(("config", "needed", "name", "several"), found)


def _made(config, needed, name, several, value):
    made = config(**{**needed, name: (value,) if several else value})
    found = getattr(made, name)
    return found[0] if several else found


@_fields(int)
def test_whole_numbers(config, needed, name, several):
    for value in (10**23, -(10**23), -1, math.nan, math.inf, 1.5, True, "3", [3]):
        with pytest.raises(UsageError, match=f"^{name} must be"):
            _made(config, needed, name, several, value)
    found = _made(config, needed, name, several, np.int32(2))
    assert found == 2 and type(found) is int


@_fields(float)
def test_numbers(config, needed, name, several):
    for value in (math.nan, math.inf, -math.inf, -1, 10**400, "much", False):
        with pytest.raises(UsageError, match=f"^{name} must be a number"):
            _made(config, needed, name, several, value)


@_fields(os.PathLike)
def test_paths(config, needed, name, several, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    for value in ("", "  ", "a\0b", "a\nb", "a\x1b[31mb", "~nobody-at-all/x", 3, True):
        with pytest.raises(UsageError, match=f"^{name} "):
            _made(config, needed, name, several, value)
    for value in ("~/x", pathlib.Path("~/x")):
        assert _made(config, needed, name, several, value) == "/home/someone/x"
    assert _made(config, needed, name, several, pathlib.Path("a")) == "a"
    assert _made(config, needed, name, several, "caf\udce9") == "caf\udce9"


@_fields(str)
def test_names(config, needed, name, several):
    for value in ("a\nb", "a\x1b[31mb", "a\0", "\u202ea", 3, b"a", pathlib.Path("a")):
        with pytest.raises(UsageError, match=f"^{name} must be"):
            _made(config, needed, name, several, value)
    if name != "freeze_until":
        with pytest.raises(UsageError, match=f"^{name} must not be empty"):
            _made(config, needed, name, several, "")
    assert _made(config, needed, name, several, "Cafe\u0301") == "Caf\u00e9"


@_fields(bool)
def test_switches(config, needed, name, several):
    for value in (1, 0, "yes", "", np.int8(1)):
        with pytest.raises(UsageError, match=f"^{name} must be True or False"):
            _made(config, needed, name, several, value)
    assert _made(config, needed, name, several, np.True_) is True


@_fields(int, str, choices=True)
def test_none_is_only_for_fields_that_take_it(config, needed, name, several):
    field = config.__dataclass_fields__[name]
    if field.default is None or takes_none(field):
        taken = getattr(config(**{**needed, name: None}), name)
        assert taken is None or (name, taken) == ("variant", "cifar_v1")
    else:
        with pytest.raises(UsageError, match=f"^{name} must be"):
            config(**{**needed, name: None})


def test_a_config_of_paths_and_numpy_numbers_is_written_as_one_of_text_and_python_numbers():
    given = ka.TrainConfig(
        workdir=pathlib.Path("runs/a"),
        data_dir=pathlib.Path("photos"),
        seed=np.int64(3),
        dropout=np.float32(0.5),
        overrides={"epochs": np.int16(2), "learning_rate": np.float64(0.1), "augment": ["crop"]},
    )
    plain = ka.TrainConfig(
        workdir="runs/a",
        data_dir="photos",
        seed=3,
        dropout=0.5,
        overrides={"epochs": 2, "learning_rate": 0.1, "augment": ["crop"]},
    )
    texts = [json.dumps(dataclasses.asdict(config)) for config in (given, plain)]
    assert texts[0] == texts[1]
    assert '"seed": 3' in texts[0] and '"dropout": 0.5' in texts[0] and '["crop"]' in texts[0]


def test_overrides_are_checked_too():
    for name, value in {"epochs": math.nan, "learning_rate": math.inf, "momentum": "x"}.items():
        with pytest.raises(UsageError, match=f"^{name} must be"):
            ka.TrainConfig(overrides={name: value})


def test_whole_floats_of_python_stay_whole():
    assert type(ka.TrainConfig(dropout=0).dropout) is int


@pytest.mark.parametrize(
    ("value", "allowed", "right"),
    [
        (0, Range(above=0), False),
        (1e-9, Range(above=0), True),
        (1, Range(0, below=1), False),
        (0, Range(0, below=1), True),
        (5, Range(0, 5), True),
        (5.1, Range(0, 5), False),
    ],
)
def test_ranges(value, allowed, right):
    if right:
        assert number("x", value, allowed) == value
    else:
        with pytest.raises(UsageError, match=f"x must be a number.*Received: {value}"):
            number("x", value, allowed)


@pytest.mark.parametrize(
    "value", [10**5000, np.zeros(10**6), "a" * 10**6], ids=["digits", "array", "text"]
)
def test_messages_stay_short(value):
    with pytest.raises(UsageError) as caught:
        one_of("seed", value, int, Range(0))
    assert len(str(caught.value)) < 400


def test_ranges_hold_in_functions_too():
    labels = ka.load_dataset("shapes").train
    for call in (
        lambda: ka.load_dataset("shapes", seed=-1),
        lambda: ka.load_dataset("shapes", seed=10**23),
        lambda: ka.split_validation(labels, 5, seed=-1),
        lambda: ka.split_validation(labels, 5, seed=10**23),
        lambda: ka.build("cifar_v2", seed=10**23),
        lambda: ka.build("cifar_v2", num_classes=10**23),
        lambda: ka.predict("nowhere", "a.jpg", top=10**9),
        lambda: ka.predict("nowhere", "a.jpg", batch_size=0),
        lambda: ka.predict("nowhere", "a.jpg", timeout=math.nan),
        lambda: ka.predict("nowhere", ""),
        lambda: ka.predict("", "a.jpg"),
        lambda: ka.load("a\0b"),
    ):
        with pytest.raises(UsageError):
            call()


def test_files_that_others_named_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert path_text("image", "two\nlines.png", any_name=True) == "two\nlines.png"
    (tmp_path / "~$photo.jpg").touch()
    assert path_text("image", "~$photo.jpg") == "~$photo.jpg"
    for wrong in ("a\0b", "", "~$other.jpg"):
        with pytest.raises(UsageError, match="^image "):
            path_text("image", wrong, any_name=True)
