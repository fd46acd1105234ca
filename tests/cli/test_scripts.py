"""The scripts, run as a user runs them: output, exit codes, one message and no traceback."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


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
        "--global_batch_size=16",
        "--augment=crop",
    ]
    done = _run("scripts/train.py", *flags, f"--workdir={workdir}", "--seed=3")
    assert done.returncode == 0, done.stderr
    assert f"workdir: {workdir}" in done.stdout
    # Plain lines in a log, not a bar drawn over itself.
    assert "epoch 1/24: step 2, loss" in done.stderr and "\r" not in done.stderr
    return workdir


def _run_each(scripts, *flags):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda script: _run(f"scripts/{script}.py", *flags), scripts)
        return dict(zip(scripts, runs, strict=True))


def test_help_names_the_flags_and_exits_with_0():
    named = {
        "train": "--global_batch_size",
        "evaluate": "--views",
        "summary": "--batch_size",
        "benchmark": "--repeats",
    }
    for script, done in _run_each(list(named), "--help").items():
        assert done.returncode == 0 and not done.stderr, done.stderr
        assert named[script] in done.stdout
        for flag in ("--freeze_until", "--drop_epochs", "--augment"):
            assert (flag in done.stdout) == (script == "train")
        assert f"python scripts/{script}.py" in done.stdout


def test_wrong_flag_exits_with_2():
    for done in _run_each(["train", "evaluate", "summary"], "--color=red").values():
        _assert_one_message(done, 2, "Unknown command line flag 'color'")


def test_flags_reach_the_run(run_folder):
    written = json.loads((run_folder / "results.json").read_text())
    assert (written["dataset"], written["seed"], written["steps"]) == ("three-animals", 3, 2)
    assert written["recipe_as_run"]["augment"] == ["crop"]
    assert written["recipe_as_run"]["global_batch_size"] == 16


def test_evaluate_gives_the_figures_of_the_run(run_folder, tmp_path):
    written = json.loads((run_folder / "results.json").read_text())
    pictures = tmp_path / "pictures"
    flags = [f"--json={tmp_path / 'figures.json'}", f"--pictures={pictures}"]
    done = _run("scripts/evaluate.py", f"--model={run_folder}", *flags)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["loss"] == pytest.approx(written["test_loss"], rel=1e-5)
    assert figures["data_sha256"] == written["data_sha256"]
    assert (pictures / "confusion.png").exists()


def test_train_refuses_a_folder_with_a_run(run_folder):
    done = _run("scripts/train.py", f"--workdir={run_folder}")
    _assert_one_message(done, 1, "already holds a run")


def test_train_ends_in_one_message():
    cases = {
        "--variant=alexnt": (2, "Did you mean 'alexnet'"),
        "--epochs=none": (2, "--epochs"),
        "--dataset=image_folder --data_dir=/nowhere": (1, "/nowhere"),
        "stray": (2, "stray"),
    }
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda flags: _run("scripts/train.py", *flags.split()), cases)
        for done, (code, text) in zip(runs, cases.values(), strict=True):
            _assert_one_message(done, code, text)
            assert len(done.stderr.splitlines()) <= 2, done.stderr


def test_another_keras_backend_is_refused():
    done = _run("scripts/train.py", KERAS_BACKEND="jax")
    _assert_one_message(done, 1, "KERAS_BACKEND=tensorflow")


def test_evaluate_without_a_model_ends_in_one_message(tmp_path):
    _assert_one_message(_run("scripts/evaluate.py"), 2, "--model is needed")
    done = _run("scripts/evaluate.py", f"--model={tmp_path}")
    _assert_one_message(done, 1, "holds no model.keras")
