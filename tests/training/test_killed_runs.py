"""Real processes, really killed: a resumed run ends as one that was never stopped."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import pytest

from support.run_ends import assert_same_end

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
KILLED, ENDED = -9, 0


def _run(config, *places):
    """Runs one process per place that kills it, and one to the end."""
    job = {"config": dataclasses.asdict(config), "places": [*places, None]}
    paths = [str(SUPPORT.parents[1]), str(SUPPORT.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "killed_runs.py"), json.dumps(job)],
        cwd=SUPPORT.parents[1],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    codes = json.loads(done.stdout.splitlines()[-1])
    assert codes == [KILLED] * len(places) + [ENDED], done.stderr


@pytest.fixture(scope="module")
def never_stopped(config_in, tmp_path_factory):
    """Three epochs of five steps with dropout, crops, flips and color noise."""
    config = config_in(
        tmp_path_factory.mktemp("whole") / "run",
        checkpoint_every_steps=4,
        overrides={"epochs": 3, "augment": ("crop", "flip", "color_noise(paper)")},
    )
    _run(config)
    return config


@pytest.mark.processes
def test_run_killed_four_times_ends_as_one_never_stopped(never_stopped, tmp_path):
    config = dataclasses.replace(never_stopped, workdir=str(tmp_path / "run"))
    # Inside epoch 2; while writing the checkpoint of step 8; between epochs; in the validation of
    # epoch 3.
    _run(config, "step 7", "write 8", "epoch 2", "validating 1")
    assert_same_end(config.workdir, never_stopped.workdir)


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
    assert_same_end(config.workdir, never_stopped.workdir)
