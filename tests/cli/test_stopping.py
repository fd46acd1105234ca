"""SIGTERM, SIGINT and SIGHUP at any moment of a command: one line, no traceback, nothing left."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import keras_alexnet as ka
from keras_alexnet import run_folder
from keras_alexnet.convert import to_torch
from keras_alexnet.data import shards
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.exporting import agreement, versions
from keras_alexnet.figures import drawing
from keras_alexnet.utils import files, signals
from support.image_folders import write_images

ROOT = pathlib.Path(__file__).parents[2]

# Sends a signal to itself when a module is imported.
PROGRAM = """
import importlib.abc, signal, sys

class AtImport(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            signal.raise_signal(int(sys.argv[2]))

sys.meta_path.insert(0, AtImport())
from keras_alexnet.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


def _stopped(where, number, *arguments):
    command = [sys.executable, "-c", PROGRAM, where, str(int(number)), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "Stopped by" in line]
    assert len(lines) == 1 and f"Stopped by {number.name}." in lines[0], done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A model with three classes, and a folder with photos of them."""
    folder = tmp_path_factory.mktemp("places")
    classes = ["cat", "dog", "owl"]
    run_folder.save(folder / "run", ka.build("cifar_v2", num_classes=3, seed=0), classes)
    for part in ("train", "test"):
        write_images(folder / "photos" / part, classes, 4, seed=0)
    return folder


@pytest.mark.parametrize(
    ("where", "number"), [("keras_alexnet.cli.flags", signal.SIGINT), ("tensorflow", signal.SIGHUP)]
)
def test_a_signal_before_anything_has_begun(where, number):
    _stopped(where, number, "summary", "--variant=cifar_v2")


@pytest.mark.processes
@pytest.mark.parametrize(
    "where", ["tensorflow.python.framework.ops", "keras_alexnet.evaluation.evaluate"]
)
def test_a_signal_while_libraries_load(where):
    _stopped(where, signal.SIGINT, "evaluate", "--model=nowhere")


def _stop(number, _frame):
    raise signals.Stopped(number)


@contextlib.contextmanager
def _signal_at_call(owner, name):
    """Sends SIGTERM when a function is called for the first time; yields what the error says."""
    function, said = getattr(owner, name), []

    def stopped(*arguments, **options):
        setattr(owner, name, function)
        signal.raise_signal(signal.SIGTERM)
        return function(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, stopped)
        with pytest.raises(signals.Stopped) as caught, signals.handled(_stop):
            yield said
    said += [str(caught.value), *getattr(caught.value, "__notes__", ())]


@pytest.mark.parametrize(
    ("command", "owner", "function", "said", "left"),
    [
        ("evaluate", Evaluator, "run", "", []),
        ("export", agreement, "compare", "Nothing was exported to", []),
        ("export", versions, "publish", "", []),
        ("prepare", shards, "write", "Finished shards are kept", None),
        ("prepare", files, "sync", "Finished shards are kept", None),
        ("figures", drawing, "save", "", []),
        ("convert", files, "sync", "", ["out"]),
    ],
)
def test_a_stopped_command_leaves_nothing_half_done(
    places, tmp_path, command, owner, function, said, left
):
    out, model, photos = tmp_path / "out", str(places / "run"), str(places / "photos")
    data = {"dataset": "image_folder", "data_dir": photos}
    run = {
        "evaluate": lambda: ka.evaluate(ka.EvaluateConfig(model=model, **data)),
        "export": lambda: ka.export(
            ka.ExportConfig(model=model, out=out, formats=("tflite",), latency=False, **data)
        ),
        "prepare": lambda: ka.prepare(ka.PrepareConfig(source=photos, out=out)),
        "figures": lambda: ka.figures.filters(model, out / "a.png"),
        "convert": lambda: to_torch(model, out / "a.safetensors"),
    }
    with _signal_at_call(owner, function) as found:
        run[command]()
    assert found[0] == "Stopped by SIGTERM." and said in " ".join(found)
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert not [name for name in names if "/.export" in name or "/.1" in name or "/.2" in name]
    assert left is None or names == left
    if command == "prepare":
        assert ka.prepare(ka.PrepareConfig(source=photos, out=out)).parts["test"].images == 12


def test_publishing_ends_before_a_signal_is_heard(tmp_path, monkeypatch):
    with versions.staged(tmp_path / "out") as stage:
        for name in ("1", "tflite"):
            (stage / name).mkdir()
            (stage / name / "a").touch()
        rename = os.replace
        monkeypatch.setattr(
            os, "replace", lambda *paths: (signal.raise_signal(signal.SIGTERM), rename(*paths))
        )
        with pytest.raises(signals.Stopped) as caught, signals.handled(_stop):
            versions.publish(stage, tmp_path / "out")
    assert "is complete" in caught.value.__notes__[0]
    assert (tmp_path / "out" / "1" / "a").exists() and (tmp_path / "out" / "tflite" / "a").exists()


@pytest.mark.processes
def test_stopped_predictions_are_gone_on_from(places, tmp_path):
    photos, csv = tmp_path / "photos", tmp_path / "found.csv"
    write_images(photos, ["x"], 40, seed=0)
    flags = [f"--model={places / 'run'}", "--batch_size=8", f"--csv={csv}", str(photos)]
    command = [sys.executable, "scripts/predict.py", *flags]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=240)
    if process.returncode:  # else it was done before the signal came
        assert process.returncode == 143 and "Traceback" not in said
        assert f"are in {csv}. The same command with --resume goes on from there." in said
        assert 1 <= len(csv.read_text().splitlines()[1:]) <= 40
        done = subprocess.run([*command, "--resume"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 40, done.stderr
    rows = [row.split(",")[:2] for row in csv.read_text().splitlines()[1:]]
    assert rows == [[each.image, each.classes[0]] for each in ka.predict(places / "run", photos)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.csv", "photos"]
