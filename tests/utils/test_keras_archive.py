"""Sizes that a `.keras` file claims are checked before anything of that size is made."""

import json
import time
import tracemalloc
import zipfile

import pytest

import keras_alexnet as ka
from keras_alexnet import UserError, run_folder
from keras_alexnet.utils import keras_archive


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "net.keras"
    ka.build("cifar_v2", num_classes=2, seed=0).save(path)
    return path


def changed(whole, path, change, compression=zipfile.ZIP_STORED):
    """The file with members that `change(name, contents)` returns; None leaves one out."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            contents = change(name, old.read(name))
            if contents is not None:
                new.writestr(name, contents)
    return path


def of_config(change):
    def apply(name, contents):
        return change(contents) if name == "config.json" else contents

    return apply


def with_units(key, value):
    def change(contents):
        config = json.loads(contents)
        [layer, *_] = [each for each in config["config"]["layers"] if key in each["config"]]
        layer["config"][key] = value
        return json.dumps(config)

    return of_config(change)


def refused(path, message):
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message) as error:
            run_folder.read_model(path)
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20 and len(str(error.value)) < 500


def test_whole_files_pass_also_compressed(whole, tmp_path):
    keras_archive.check(whole)
    packed = changed(whole, tmp_path / "x.keras", lambda _, each: each, zipfile.ZIP_DEFLATED)
    assert run_folder.read_model(packed).name == "cifar_v2"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is empty. Was the disk full"),
        (b"PK\3\4", "cannot be read as a Keras model"),
        (b"<html>", "File is not a zip file. It may be cut off, damaged or in a different format"),
    ],
)
def test_what_is_no_such_file(contents, message, tmp_path):
    (tmp_path / "net.keras").write_bytes(contents)
    refused(tmp_path / "net.keras", message)


def test_archives_without_a_network(whole, tmp_path):
    for name in ("config.json", "model.weights.h5"):
        path = tmp_path / "net.keras"
        changed(whole, path, lambda each, contents, left=name: None if each == left else contents)
        refused(path, f"it has no {name}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_config(lambda contents: contents + b" " * 2**25), "config.json claims 335"),
        (of_config(lambda contents: b"[" * 10**5), "recursion"),
        (of_config(lambda contents: b"1" * 10**5), "cannot be read as a Keras model"),
        (lambda name, each: each + bytes(2**25) * (name[0] == "m"), "claims 335"),
        (with_units("units", 10**9), "fc3 should have 1000000000 units, more than its weights"),
        (with_units("units", 10**40), r"fc3 should have 1e\+40 units"),
        (with_units("filters", 10**8), "conv1 should have 100000000 filters"),
        (with_units("units", -1), "cannot be read as a Keras model"),
        (with_units("units", "x"), "cannot be read as a Keras model"),
    ],
)
def test_sizes_that_are_claimed(change, message, whole, tmp_path):
    path = changed(whole, tmp_path / "net.keras", change, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**22
    refused(path, message)
