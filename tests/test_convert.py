"""Conversion from files of PyTorch and Caffe to model files, and back to PyTorch."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet import ExportConfig, UsageError, UserError, weights
from keras_alexnet import convert as convert_module
from keras_alexnet.convert import SOURCES, to_torch
from support import caffe_networks
from support.networks import registered
from support.photographs import photographs

ROOT = pathlib.Path(__file__).parents[1]
LABELS = [f"label {number}" for number in range(10)]


@pytest.fixture
def caffe_network():
    """The name of a small network of Caffe's kind, registered for one test."""
    spec = caffe_networks.small_row()
    with registered(spec):
        yield spec.name


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with weights for PyTorch, a photograph and labels."""
    folder = tmp_path_factory.mktemp("place")
    weights.save(keras_alexnet.build("cifar_v2", seed=1), folder / "v2.safetensors")
    image = tf.io.encode_jpeg(photographs(1, 80)[0], quality=95).numpy()
    (folder / "photo.jpg").write_bytes(image)
    (folder / "names.txt").write_text("".join(f"{label}\n" for label in LABELS))
    return folder


def convert_v2(place, out, **options):
    arguments = {"source": "pytorch", "variant": "cifar_v2", **options}
    return convert_module.convert(place / "v2.safetensors", out, **arguments)


def test_what_is_converted_is_exported_and_predicts(place, tmp_path):
    convert_v2(place, tmp_path / "v2", labels=place / "names.txt")
    network = keras_alexnet.load(tmp_path / "v2")
    assert network.labels == tuple(LABELS) and network.variant == "cifar_v2"
    [wanted] = keras_alexnet.predict(tmp_path / "v2", place / "photo.jpg")
    keras_alexnet.export(
        ExportConfig(
            model=tmp_path / "v2",
            out=tmp_path / "exported",
            formats=("saved_model",),
            latency=False,
        )
    )
    [got] = keras_alexnet.predict(tmp_path / "exported", place / "photo.jpg")
    assert got.classes == wanted.classes and set(got.classes) < set(LABELS)


def test_the_check_of_pytorchs_weights(place, tmp_path):
    pytest.importorskip("torch")
    _, check = convert_v2(
        place, tmp_path / "v2.keras", labels=place / "names.txt", check=place / "photo.jpg"
    )
    assert check.framework == "PyTorch" and check.relative_difference < 1e-4
    assert check.before.classes == check.after.classes
    [found] = keras_alexnet.predict(tmp_path / "v2.keras", place / "photo.jpg")
    assert found.classes == check.after.classes
    assert found.scores == pytest.approx(check.after.scores, rel=1e-5)


def test_the_check_finds_a_wrong_conversion(place, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    fill = convert_module.fill

    def turned(model, *arguments, **options):
        loaded = fill(model, *arguments, **options)
        kernel, bias = model.get_layer("conv1").get_weights()
        model.get_layer("conv1").set_weights([kernel[::-1], bias])
        return loaded

    monkeypatch.setattr(convert_module, "fill", turned)
    _, check = convert_v2(place, tmp_path / "v2.keras", check=place / "photo.jpg")
    assert check.relative_difference > 1e-2


def test_without_the_framework_there_is_no_before(place, tmp_path, monkeypatch):
    monkeypatch.setattr(convert_module, "installed_framework", lambda kind: None)
    _, check = convert_v2(place, tmp_path / "v2.keras", check=place / "photo.jpg")
    assert check.before is None and len(check.after.classes) == 5


def test_the_check_of_caffes_weights(place, caffe_network, tmp_path, monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.setitem(SOURCES, "caffe", ("caffe", caffe_network))
    tensors = caffe_networks.weights(small=True, classes=4)
    file = tmp_path / "net.caffemodel"
    file.write_bytes(caffe_networks.caffemodel(tensors, old=True))
    np.save(tmp_path / "mean.npy", np.float32([100, 110, 120]))
    loaded, check = convert_module.convert(
        file,
        tmp_path / "net.keras",
        source="caffe",
        mean=tmp_path / "mean.npy",
        check=place / "photo.jpg",
    )
    assert loaded.pixel_mean == (120, 110, 100)
    assert check.framework == "OpenCV" and check.relative_difference < 1e-4
    assert check.before.classes == check.after.classes
    model = keras_alexnet.load(tmp_path / "net.keras").model
    assert model.output_shape == (None, 4)
    assert model.get_layer("standardize").mean == [120, 110, 100]


def test_the_check_of_pytorchs_weights_on_blue_green_red(place, caffe_network, tmp_path):
    pytest.importorskip("torch")
    model = keras_alexnet.build(caffe_network)
    kernel, bias = model.get_layer("conv1").get_weights()
    model.get_layer("conv1").set_weights([kernel * np.float32([[1], [2], [3]]), bias])
    weights.save(model, tmp_path / "bgr.safetensors")
    _, check = convert_module.convert(
        tmp_path / "bgr.safetensors",
        tmp_path / "bgr.keras",
        source="pytorch",
        variant=caffe_network,
        check=place / "photo.jpg",
    )
    assert check.relative_difference < 1e-4


def test_imagenets_labels_are_its_wordnet_ids(tmp_path):
    model = keras_alexnet.build("cifar_v2", num_classes=1000)
    weights.save(model, tmp_path / "v2.safetensors")
    convert_v2(tmp_path, tmp_path / "v2", labels="imagenet")
    names = keras_alexnet.load(tmp_path / "v2").labels
    assert len(names) == 1000 and names[1] == "n01443537" and list(names) == sorted(names)


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"labels": "two.txt"}, UserError, "must name the 10 classes .*Received: 2 names"),
        ({"labels": "missing.txt"}, UserError, "labels cannot be read"),
        ({"check": "two.txt"}, UserError, "two.txt cannot be read: not a JPEG"),
        ({"check": "missing.jpg"}, OSError, "missing.jpg"),
        ({"sha256": "0" * 64}, UserError, "should begin with 0000"),
        ({"source": "caffe"}, UsageError, "--from caffe needs a file that ends in .caffemodel"),
        ({"source": "keras"}, UsageError, "Unknown source 'keras'"),
        ({"variant": ""}, UsageError, "Unknown variant ''"),
        ({"variant": None}, UsageError, "--variant is needed with --from pytorch"),
        ({"variant": "cifar_v1"}, UserError, "missing: features.0.weight"),
    ],
)
def test_nothing_is_written_of_what_is_refused(options, error, message, place, tmp_path):
    (tmp_path / "two.txt").write_text("cat\ndog\n")
    options = {
        name: tmp_path / value if name in ("labels", "check") else value
        for name, value in options.items()
    }
    with pytest.raises(error, match=message):
        convert_v2(place, tmp_path / "out" / "v2.keras", **options)
    assert not (tmp_path / "out").exists()


def test_labels_of_another_model_beside_are_refused(place, tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    for labels in (None, place / "names.txt"):
        with pytest.raises(UserError, match="labels.txt holds the labels of a different model"):
            convert_v2(place, tmp_path / "v2.keras", labels=labels)
    assert not (tmp_path / "v2.keras").exists()


def test_a_run_is_not_overwritten(place, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a run's folder"):
        convert_v2(place, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_out_to_pytorch_and_in_again(place, tmp_path):
    convert_v2(place, tmp_path / "v2")
    shapes = to_torch(tmp_path / "v2", tmp_path / "again.safetensors")
    assert shapes["conv1.0.weight"] == (64, 3, 5, 5)
    assert (tmp_path / "again.safetensors").read_bytes() == (place / "v2.safetensors").read_bytes()


@pytest.mark.slow
def test_the_script(place, tmp_path):
    source, out = ["--from=pytorch", "--variant=cifar_v2"], f"--out={tmp_path / 'v2.keras'}"
    good = [f"--weights={place / 'v2.safetensors'}", f"--labels={place / 'names.txt'}"]
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    calls = {
        (*source, *good, f"--check={place / 'photo.jpg'}", out): (0, "written: "),
        (*source, f"--weights={tmp_path / 'bad.safetensors'}", out): (1, "read as a .safetensors"),
        (*source, *good, "--check=", out): (2, "--check: must not be empty"),
    }
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = pool.map(_run, calls)
        for run, (code, text) in zip(done, calls.values(), strict=True):
            assert run.returncode == code, run.stderr
            assert text in (run.stderr if code else run.stdout)
            assert "Traceback" not in run.stderr
            if not code:
                assert "filled: conv1, conv2, fc3, fc4, logits" in run.stdout
                assert run.stdout.count(" %  label ") == (
                    10 if "logits: within" in run.stdout else 5
                )


def _run(flags):
    command = [sys.executable, "scripts/convert_weights.py", *flags]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
