"""The command and its scripts, run as a user runs them: output, exit codes, one message."""

import json
import os
import pathlib
import runpy
import subprocess
import sys

import pytest

from keras_alexnet.cli.main import COMMANDS, main

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = {command: command for command in COMMANDS if command != "convert"} | {
    "convert_weights": "convert"
}


def _run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def _assert_one_message(done, code, text):
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def run_folder(tiny_folder, tmp_path_factory):
    """A run made by scripts/train.py in two steps."""
    workdir = tmp_path_factory.mktemp("runs") / "run"
    flags = ["--variant=cifar_v2", "--dataset=image_folder", f"--data_dir={tiny_folder}"]
    flags += [
        "--dataset_name=three-animals",
        "--max_steps=2",
        "--epochs=20",
        "--global_batch_size=16",
        "--augment=crop",
    ]
    done = _run("scripts/train.py", *flags, f"--workdir={workdir}", "--seed=3")
    assert done.returncode == 0, done.stderr
    assert f"workdir: {workdir}" in done.stdout
    # Plain lines in a log, not a bar drawn over itself.
    assert "epoch 1/20: step 2, loss" in done.stderr and "\r" not in done.stderr
    assert "oneDNN" not in done.stderr  # a notice of TensorFlow's start
    return workdir


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_scripts_are_the_commands(script, monkeypatch, capsys):
    # In this process, because each other one takes a quarter of a second to start.
    monkeypatch.chdir(ROOT)
    file, codes = f"scripts/{script}.py", []
    for flag in ("--help", "--color=red"):
        monkeypatch.setattr(sys, "argv", [file, flag])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(file, run_name="__main__")
        codes.append(ended.value.code)
    said = capsys.readouterr()
    assert codes == [0, 2]
    assert said.out.startswith(f"usage: python {file} ") and f"\n    python {file} " in said.out
    assert f"python {file} --help lists the flags." in said.err and "Traceback" not in said.err


def test_there_is_a_script_for_every_command():
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} == set(SCRIPTS)
    assert sorted(SCRIPTS.values()) == sorted(COMMANDS)


@pytest.mark.processes
def test_flags_reach_the_run(run_folder):
    written = json.loads((run_folder / "results.json").read_text())
    assert (written["dataset"], written["seed"], written["steps"]) == ("three-animals", 3, 2)
    assert written["recipe_as_run"]["augment"] == ["crop"]
    assert written["recipe_as_run"]["global_batch_size"] == 16


@pytest.mark.processes
def test_evaluate_gives_the_figures_of_the_run(run_folder, tmp_path, capfd):
    written = json.loads((run_folder / "results.json").read_text())
    pictures = tmp_path / "pictures"
    flags = [f"--json={tmp_path / 'figures.json'}", f"--pictures={pictures}"]
    assert main(["evaluate", f"--model={run_folder}", *flags]) == 0, capfd.readouterr().err
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["loss"] == pytest.approx(written["test_loss"], rel=1e-5)
    assert figures["data_sha256"] == written["data_sha256"]
    assert (pictures / "confusion.png").exists()


@pytest.mark.processes
def test_figures_draw_a_network_and_its_runs(run_folder, tmp_path, capfd):
    out, curves = tmp_path / "likeliest.png", tmp_path / "curves.png"
    flags = [f"--model={run_folder}", "--indices=5,0", "--top=2", f"--out={out}"]
    table = tmp_path / "shown.json"
    assert main(["figures", "likeliest", *flags, f"--table={table}"]) == 0
    assert capfd.readouterr().out == f"picture: {out}\n"
    shown = [row["image"] for row in json.loads(table.read_text())]
    assert len(shown) == 4 and len(set(shown)) == 2 and out.exists()
    flags = [f"--runs={run_folder}", "--labels=three animals", "--error=0", f"--out={curves}"]
    assert main(["figures", "curves", *flags]) == 0
    said = f"three animals: no epoch reached a training error of 0 %\npicture: {curves}\n"
    assert capfd.readouterr().out == said and curves.exists()


@pytest.mark.processes
def test_predict_and_convert_take_the_run(run_folder, tiny_folder, tmp_path):
    photos = tiny_folder / "test" / "cat"
    done = _run("scripts/predict.py", photos, f"--model={run_folder}", "--top=1")
    [precision] = done.stderr.splitlines()
    assert done.returncode == 0 and precision.startswith("precision: auto (float32: ")
    assert len(done.stdout.splitlines()) == len(list(photos.iterdir()))
    out = tmp_path / "mine.safetensors"
    flags = ["--to=torch", f"--weights={run_folder}", f"--out={out}"]
    done = _run("scripts/convert_weights.py", *flags)
    assert done.returncode == 0 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "pixels 0-255 in the order R, G, B" in done.stderr
    assert "conv1.0.weight: 64x3x5x5\n" in done.stdout and out.exists()


@pytest.mark.processes
def test_train_refuses_a_folder_with_a_run(run_folder, capfd):
    assert main(["train", f"--workdir={run_folder}"]) == 1
    said = capfd.readouterr().err
    assert "already holds a run" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --dataset=image_folder --data_dir=/nowhere", "/nowhere"),
        ("evaluate --model=/nowhere", "There is no model at /nowhere"),
        ("export --model=/nowhere --out=out", "There is no model at /nowhere"),
        ("predict --model=/nowhere a.jpg", "There is no model at /nowhere"),
        ("features --model=/nowhere --out=/nowhere/out a.jpg", "There is no model at /nowhere"),
        ("prepare --source=/nowhere --out=/nowhere/out", "/nowhere"),
        ("prepare --check --out=/nowhere", "/nowhere holds no manifest.json"),
        ("figures filters --model=/nowhere --out=f.png", "There is no model at /nowhere"),
        ("convert --from=caffe --weights=/nowhere.caffemodel --out=o.keras", "/nowhere.caffemodel"),
    ],
)
def test_missing_files_end_in_one_line(arguments, message, capfd):
    # In this process, because every other one needs seconds to load TensorFlow.
    assert main(arguments.split()) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert message in line and line.startswith("keras-alexnet ")


def test_another_keras_backend_is_refused():
    done = _run("scripts/train.py", KERAS_BACKEND="jax")
    _assert_one_message(done, 1, "KERAS_BACKEND=tensorflow")


def test_summary_prints_the_table(tmp_path, capfd):
    assert main(["summary", "--variant=cifar_v2", f"--json={tmp_path / 'table.json'}"]) == 0
    said = capfd.readouterr()
    assert said.err == "" and "576,778" in said.out
    assert json.loads((tmp_path / "table.json").read_text())["totals"]["parameters"] == 576778


@pytest.mark.slow
def test_benchmarks_measure(tmp_path):
    small = ["--batch_size=8", "--steps=3", "--repeats=1", f"--json={tmp_path / 'found.json'}"]
    for arguments in (["train", "--variant=cifar_v2"], ["layers", "--variant=cuda_convnet_11pct"]):
        done = _run("scripts/benchmark.py", *arguments, *small)
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["variant"] == arguments[1].partition("=")[2] and found["cores"] >= 1
        lines = [each["in_words"] for each in found.values() if isinstance(each, dict)]
        conditions, *measured = done.stdout.splitlines()
        assert conditions.endswith(f"cores, oneDNN {found['onednn']}")
        assert measured == lines and len(lines) >= 2
