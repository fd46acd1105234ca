"""Activations of layers for many images: in memory, in files, and resumed."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.cli.main import main
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.features import extract, files
from support import memory
from support.image_folders import write_images

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model():
    return ka.build("cifar_v2", num_classes=3, seed=0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twelve images, and in their middle one that cannot be read."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    write_images(folder, ["cat", "dog"], 6, seed=1)
    (folder / "cat" / "003a.png").write_bytes(b"no image")
    return folder


def _pixels(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def _bytes_of(folder):
    dated = ("features.json",)
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in dated}


@pytest.mark.parametrize("variant", ["cifar_v2", "cuda_convnet_11pct"])
def test_layers_are_those_of_a_plain_keras_model(variant):
    model, pixels = ka.build(variant, seed=0), _pixels(5)
    names = [layer.name for layer in ka.layer_table(model).layers]
    found = ka.features(model, pixels, names, batch_size=3)
    assert list(found) == names and found.images == tuple(f"image {n}" for n in range(5))
    part = keras.Model(model.input, [model.get_layer(name).output for name in names])
    for name, expected in zip(names, part(pixels.astype("float32")), strict=True):
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_linear_is_before_the_activation(activation):
    model = ka.build("cifar_v2", seed=0, activation=activation)
    layers = ["conv1", "conv1:linear", "fc4:linear", "fc4", "logits:linear", "logits"]
    found = ka.features(model, _pixels(4), layers)
    for name in ("conv1", "fc4"):
        linear = found[f"{name}:linear"]
        assert linear.min() < -0.01 and found[name].shape == linear.shape
        expected = keras.activations.get(activation)(linear)
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["logits"], found["logits:linear"])
    assert model.get_layer("conv1").activation.__name__ == activation  # left as it was


def test_maps_are_pooled_or_flattened_and_units_stay(model):
    layers = ["conv2", "fc4"]
    whole, mean, most, flat = (
        ka.features(model, _pixels(3), layers, **options)
        for options in ({}, {"pooling": "avg"}, {"pooling": "max"}, {"flatten": True})
    )
    maps = whole["conv2"]
    np.testing.assert_allclose(mean["conv2"], maps.mean((1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(most["conv2"], maps.max((1, 2)))
    np.testing.assert_array_equal(flat["conv2"], maps.reshape(3, -1))
    for each in (mean, most, flat):
        np.testing.assert_array_equal(each["fc4"], whole["fc4"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "conv9"}, "Unknown layer of cifar_v2 'conv9'. Did you mean .*Known: .*, fc4"),
        ({"layers": "conv1:relu"}, "Unknown layer of cifar_v2 'conv1:relu'"),
        ({"layers": "pool1:linear"}, "it has none. Layers that have one: conv1, conv2, fc3, fc4"),
        ({"layers": ()}, "At least one of layers"),
        ({"pooling": "sum"}, "Unknown pooling 'sum'"),
        ({"pooling": "avg", "flatten": True}, "nothing to flatten"),
        ({"format": "csv"}, "Unknown format 'csv'"),
        ({"format": "hdf5"}, "are for files. Give out"),
        ({"resume": True}, "are for files. Give out"),
        ({"batch_size": 0}, "batch_size must be"),
    ],
)
def test_wrong_arguments_are_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        ka.features(model, _pixels(1), **options)


@pytest.mark.parametrize("format", ["npy", "parquet", "hdf5"])
def test_files_hold_what_memory_holds(model, photos, tmp_path, format, caplog):
    layers = ["conv2:linear", "fc4"]
    expected = ka.features(model, photos, layers, pooling="max", batch_size=5)
    assert len(expected.images) == 12 and list(expected.errors) == [f"{photos}/cat/003a.png"]
    assert "003a.png is left out: not a JPEG" in caplog.text
    out = tmp_path / "out"
    options = {"out": out, "format": format, "batch_size": 5}
    found = ka.features(model, photos, layers, pooling="max", **options)
    assert (found.images, found.errors) == (expected.images, expected.errors)
    assert sorted(tmp_path.iterdir()) == [out]
    for name, array in expected.items():
        np.testing.assert_array_equal(_read(out, format, name), array)
    if format == "npy":
        assert isinstance(found["fc4"], np.memmap)
        np.testing.assert_array_equal(found["fc4"], expected["fc4"])
    described = json.loads((out / "features.json").read_text())
    assert described["layers"]["fc4"]["shape"] == [12, 192] and described["left_out"] == 1
    named = {layer["file"] for layer in described["layers"].values()}
    assert {path.name for path in out.iterdir()} == {"features.json", "index.csv", *named}
    with open(out / "index.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows if row["row"]] == list(expected.images)
    assert [int(row["row"]) for row in rows if row["row"]] == list(range(12))
    [bad] = [row for row in rows if not row["row"]]
    assert "not a JPEG" in bad["error"]


def _read(out, format, layer):
    if format == "npy":
        return np.load(out / f"{layer.replace(':', '-')}.npy")
    if format == "hdf5":
        import h5py

        with h5py.File(out / "features.h5") as file:
            assert len(file["image"]) == len(file[layer])
            return file[layer][:]
    parquet = pytest.importorskip("pyarrow.parquet")
    return np.stack(parquet.read_table(out / "features.parquet")[layer].to_numpy())


def test_a_missing_package_is_named_at_once(model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(files.formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="format=parquet needs the package pyarrow: pip install"):
        ka.features(model, photos, out=tmp_path / "out", format="parquet")


def test_no_image_that_can_be_read(model, photos, tmp_path):
    bad = photos / "cat" / "003a.png"
    found = ka.features(model, bad, out=tmp_path / "out")
    assert found["features"].shape == (0, 192) and found.images == ()
    assert ka.features(model, [])["features"].shape == (0, 192)


class _Stopped(Exception):
    pass


def _stopped(monkeypatch, model, photos, out, batches=2):
    """Stops after some batches of four images."""
    add, left = files.FeatureFiles.add, [batches]

    def counted(self, *arguments):
        if not left[0]:
            raise _Stopped("stopped")
        left[0] -= 1
        add(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(files.FeatureFiles, "add", counted)
        with pytest.raises(_Stopped) as caught:
            ka.features(model, photos, "conv2,fc4", out=out, batch_size=4)
    return [*getattr(caught.value, "__notes__", ())]


@pytest.fixture(scope="module")
def whole(model, photos, tmp_path_factory):
    """What an undisturbed call writes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    ka.features(model, photos, "conv2,fc4", out=out, batch_size=4)
    return _bytes_of(out)


def _flip_byte(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "nothing": lambda stage: None,
    "half a line": lambda stage: (stage / "journal.jsonl").open("ab").write(b'{"rows": [["x'),
    "no last line": lambda stage: os.truncate(
        stage / "journal.jsonl", (stage / "journal.jsonl").stat().st_size - 9
    ),
    "a flipped byte": lambda stage: _flip_byte(stage / "fc4.npy", -5),
    "a flipped first byte": lambda stage: _flip_byte(stage / "conv2.npy", 130),
    "a short array": lambda stage: os.truncate(stage / "conv2.npy", 5000),
    "a long array": lambda stage: (stage / "fc4.npy").open("ab").write(b"more"),
    "a missing array": lambda stage: (stage / "fc4.npy").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_resumed_files_are_the_same_bit_for_bit(
    model, photos, whole, tmp_path, monkeypatch, damage
):
    out = tmp_path / "out"
    [said] = _stopped(monkeypatch, model, photos, out)
    assert "The same command with --resume goes on from there." in said
    assert not out.exists()
    DAMAGE[damage](tmp_path / "out.unfinished")
    ka.features(model, photos, "conv2,fc4", out=out, batch_size=4, resume=True)
    assert _bytes_of(out) == whole and sorted(tmp_path.iterdir()) == [out]


def test_what_was_made_differently_is_not_resumed(model, photos, tmp_path, monkeypatch, caplog):
    out = tmp_path / "out"
    _stopped(monkeypatch, model, photos, out)
    options = {"out": out, "batch_size": 4, "resume": True}
    with pytest.raises(UserError, match=r"differently: layers was .*conv2.*, is \['fc4'\]"):
        ka.features(model, photos, "fc4", **options)
    other = ka.build("cifar_v2", num_classes=3, seed=1)
    with pytest.raises(UserError, match="made differently: model was"):
        ka.features(other, photos, "conv2,fc4", **options)
    with pytest.raises(UserError, match="image 2 was .*/001.png, and is .*/002.png. Pass the same"):
        images = [path for path in sorted(photos.glob("*/*.png")) if path.name != "001.png"]
        ka.features(model, images, "conv2,fc4", **options)
    # Without `resume`, it starts again.
    found = ka.features(model, photos, "fc4", out=out)
    assert len(found["fc4"]) == 12 and "Starting again. With --resume" in caplog.text
    with pytest.raises(UserError, match="does not exist or is empty. It holds features already"):
        ka.features(model, photos, "fc4", **options)


def test_nothing_is_left_of_what_did_not_begin(model, photos, tmp_path, monkeypatch):
    assert _stopped(monkeypatch, model, photos, tmp_path / "out", batches=0) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux")
def test_memory_does_not_grow_with_the_images(model, tmp_path):
    ka.features(model, _pixels(64), "conv1", out=tmp_path / "few")
    images = (image for image in np.broadcast_to(_pixels(1), (600, 32, 32, 3)))
    peak = memory.peak_of(lambda: ka.features(model, images, "conv1", out=tmp_path / "out"))
    size = (tmp_path / "out" / "conv1.npy").stat().st_size
    assert size > 110e6 and peak < 60e6


def test_the_command_writes_and_says_what_it_wrote(model, photos, tmp_path, capfd):
    model.save(tmp_path / "model.keras")
    out = tmp_path / "out"
    flags = [f"--model={tmp_path / 'model.keras'}", "--variant=cifar_v2", f"--out={out}"]
    command = ["features", *flags, "--layers=conv1,fc4:linear", "--pooling=avg"]
    assert main([*command, str(photos / "dog"), str(photos / "cat" / "003a.png")]) == 1
    said = capfd.readouterr()
    assert said.out.splitlines() == [
        "conv1: 6 x 64, conv1.npy",
        "fc4:linear: 6 x 192, fc4-linear.npy",
        f"features: {out}, of 6 images",
    ]
    assert "1 of 7 images could not be read, and are left out: " in said.err
    assert main(["features", *flags, str(photos)]) == 1
    assert "It holds features already." in capfd.readouterr().err


# Kills itself after two batches.
PROGRAM = """
import os, signal, sys
from keras_alexnet.cli.main import main
from keras_alexnet.predicting.features import files
add, left = files.FeatureFiles.add, [2]
def counted(self, *arguments):
    if not left[0]:
        self._arrays["fc4"].write(b"half a batch")
        self._arrays["fc4"].flush()
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    add(self, *arguments)
files.FeatureFiles.add = counted
main(sys.argv[1:])
"""


@pytest.mark.processes
def test_a_killed_command_is_resumed(photos, tmp_path):
    arguments = ["features", "--model=cifar_v2", "--layers=conv1,fc4", "--batch_size=4"]
    outs = [tmp_path / "killed", tmp_path / "whole"]
    commands = [[*arguments, f"--out={out}", str(photos)] for out in outs]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, *commands[0]], env=environment)
    assert done.returncode == -signal.SIGKILL and not outs[0].exists()
    for command, resumed in (([*commands[0], "--resume"], True), (commands[1], False)):
        program = [sys.executable, "-m", "keras_alexnet", *command]
        done = subprocess.run(program, env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and "1 of 13 images could not be read" in done.stderr
        assert ("Resuming after 8 images." in done.stderr) == resumed
    assert _bytes_of(outs[0]) == _bytes_of(outs[1])
    assert sorted(tmp_path.iterdir()) == outs


def test_extract_is_features_with_a_config(model):
    config = extract.FeaturesConfig(model=model, layers=["fc4"])
    found = extract.extract(config, _pixels(2))
    np.testing.assert_array_equal(found["fc4"], ka.features(model, _pixels(2), "fc4")["fc4"])
