"""A format that a user adds: by the public API, on the command line, and what is refused."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import ExportConfig
from keras_alexnet.exporting import formats
from support.toy_format import ToyFormat, registered_format, registered_network

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "toy.keras"
    with registered_network():
        ka.build("toy", num_classes=3, seed=0).save(path)
        yield path


def test_a_registered_format_is_exported_compared_timed_and_described(model_file, tmp_path):
    out = tmp_path / "out"
    with registered_format():
        assert "toy" in formats.NAMES
        report = ka.export(ExportConfig(model=model_file, out=out, formats=["toy"]))
    with np.load(out / "toy" / "toy.toy") as weights:
        assert weights["kernel"].shape == (3072, 3)
    [(name, facts)] = report["files"].items()
    assert name == "toy" and facts["file"] == "toy/toy.toy" and facts["runtime"] == "numpy"
    assert facts["agreement"]["relative_difference"] < 1e-4
    assert set(facts["latency_seconds"]) == {"1", "2"}
    card = (out / "toy" / "model_card.md").read_text()
    assert f"- toy is a toy of {facts['bytes']} bytes." in card
    assert "toy" not in formats.NAMES


@pytest.mark.slow
def test_a_registered_format_is_a_choice_on_the_command_line(model_file, tmp_path):
    program = (
        "import runpy, sys; sys.path.insert(0, 'tests')\n"
        "from support.toy_format import registered_format, registered_network\n"
        "with registered_network(), registered_format():\n"
        "    runpy.run_path('scripts/export.py', run_name='__main__')"
    )
    flags = [f"--model={model_file}", f"--out={tmp_path / 'out'}", "--formats=toy", "--nolatency"]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "toy: toy/toy.toy, " in done.stdout and "top1_agreement: 1.0" in done.stdout
    assert json.loads((tmp_path / "out" / "toy" / "export.json").read_text())["files"]["toy"]


def test_what_disagrees_is_not_exported_unless_allowed(model_file, tmp_path):
    options = {"model": model_file, "out": tmp_path / "out", "latency": False}
    with registered_format(offset=0.01):
        with pytest.raises(ka.UserError, match="toy differs from the Keras model by"):
            ka.export(ExportConfig(formats=["toy"], **options))
        assert not (tmp_path / "out").exists()
        report = ka.export(ExportConfig(formats=["toy"], allow_disagreement=True, **options))
    assert len(report["disagreements"]) == 1
    card = (tmp_path / "out" / "toy" / "model_card.md").read_text()
    assert "**Disagrees, which was allowed:** toy differs" in card


def test_the_tolerance_is_the_formats(model_file, tmp_path):
    options = {"model": model_file, "out": tmp_path / "out", "latency": False}
    with registered_format(offset=1e6, least_agreement=0.9):
        # Not exact, and of no trained run: neither logits nor classes are required to agree.
        report = ka.export(ExportConfig(formats=["toy"], **options))
    [(name, facts)] = report["files"].items()
    assert name == "toy rough" and facts["file"] == "toy/toy_rough.toy"
    assert facts["agreement"]["relative_difference"] > 1 and not report["disagreements"]


def test_names_are_unique_and_known():
    assert list(formats.NAMES) == ["onnx", "saved_model", "tflite", "web"]
    with registered_format():
        with pytest.raises(ka.UsageError, match="format named 'toy' exists already"):
            formats.register(ToyFormat())
    for action in (formats.get, formats.unregister):
        with pytest.raises(ka.UsageError, match="Unknown format 'toy'.*Known: onnx, saved_model"):
            action("toy")


def test_formats_are_known_without_tensorflow_and_keras():
    program = (
        "import sys; from keras_alexnet import ExportConfig\n"
        "ExportConfig(model='a', out='b', formats=['onnx', 'saved_model', 'tflite']).outputs\n"
        "assert not {'tensorflow', 'keras', 'onnx', 'tf2onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
