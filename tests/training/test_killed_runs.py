"""Real processes, really killed: what is resumed ends as what was never stopped."""

import csv
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import keras_alexnet as ka

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
KILLED, ENDED = -9, 0


def _run(config, *places):
    """The exit codes of the processes; the last goes on to the end."""
    job = {"config": dataclasses.asdict(config), "places": [*places, None]}
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "killed_runs.py"), json.dumps(job)],
        cwd=SUPPORT.parents[1],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes == [KILLED] * len(places) + [ENDED], done.stderr


def _environment():
    paths = [str(SUPPORT.parents[1]), str(SUPPORT.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _metrics(config):
    with open(pathlib.Path(config.workdir) / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows
    ]


def _results(config):
    return json.loads((pathlib.Path(config.workdir) / "results.json").read_text())


def _weights(config):
    """All variables at the end, the optimizer's too, and the network that was kept."""
    folder = pathlib.Path(config.workdir)
    newest = max((folder / "checkpoints").glob("step-*.npz"))
    with np.load(newest) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    return found | {v.path: v.numpy() for v in ka.load(folder).model.weights}


def _assert_same_end(one, other):
    assert _metrics(one) == _metrics(other)
    weights, others = _weights(one), _weights(other)
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(value, others[name], err_msg=name)
    found = [
        json.loads((pathlib.Path(c.workdir) / "results.json").read_text()) for c in (one, other)
    ]
    assert found[0]["test_loss"] == found[1]["test_loss"]


@pytest.fixture(scope="module")
def never_stopped(tiny_folder, small_variant, tmp_path_factory):
    """Three epochs of five steps with dropout, crops, flips and color noise."""
    config = ka.TrainConfig(
        variant=small_variant,
        dataset="image_folder",
        data_dir=str(tiny_folder),
        workdir=str(tmp_path_factory.mktemp("whole") / "run"),
        checkpoint_every_steps=4,
        num_devices=1,
        overrides={
            "epochs": 3,
            "global_batch_size": 16,
            "augment": ("crop", "flip", "color_noise(paper)"),
        },
    )
    _run(config)
    return config


def test_run_killed_four_times_ends_as_one_never_stopped(never_stopped, tmp_path):
    config = dataclasses.replace(never_stopped, workdir=str(tmp_path / "run"))
    # Inside epoch 2; in the write of the checkpoint of step 9, which falls there again; between
    # epochs; in the validation of epoch 3.
    _run(config, "step 7", "write 8", "epoch 2", "validating 1")
    _assert_same_end(config, never_stopped)


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [f"step {step}" for step in range(1, 16)]
    + [f"epoch {epoch}" for epoch in (1, 2, 3)]
    + [f"write {step}" for step in (0, 4, 5, 8, 15)]
    + [f"metrics {epoch}" for epoch in (1, 2, 3)]
    + ["validating 1", "validating 2", "testing 1"],
)
def test_run_killed_anywhere_ends_as_one_never_stopped(never_stopped, tmp_path, place):
    config = dataclasses.replace(never_stopped, workdir=str(tmp_path / "run"))
    _run(config, place)
    _assert_same_end(config, never_stopped)
