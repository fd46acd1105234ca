"""Commands in processes of their own, and whole studies of them, some of them stopped."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from keras_alexnet.ablation.child import CommandFailed, run_command

ROOT = pathlib.Path(__file__).parents[2]


def _study(tiny_folder, workdir, *flags):
    return [
        *(sys.executable, "-m", "keras_alexnet", "ablate", "--variant=cifar_v2", *flags),
        *("--dataset=image_folder", f"--data_dir={tiny_folder}", f"--workdir={workdir}"),
        *("--global_batch_size=16", "--without=flip", "--seeds=2"),
    ]


def _run(command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


@pytest.mark.processes
def test_a_command_runs_and_a_failure_has_its_message_and_log(tmp_path):
    log = tmp_path / "logs" / "a.log"
    run_command(["summary", "--variant=cifar_v2"], log)
    assert "576,778" in log.read_text()
    with pytest.raises(
        CommandFailed, match=r"summary: .*alexnt.*\(exit code 2; .*a.log\)"
    ) as error:
        run_command(["summary", "--variant=alexnt"], log)
    assert error.value.code == 2 and "576,778" in log.read_text()


@pytest.mark.slow
def test_a_study_of_two_versions_and_two_seeds(tiny_folder, tmp_path):
    command = _study(tiny_folder, tmp_path / "study", "--max_steps=3")
    done = _run(command)
    assert done.returncode == 0, done.stderr
    assert (
        "| without flip | 2 | " in done.stdout and "Run 4 of 4: without_flip-seed1" in done.stderr
    )
    found = json.loads((tmp_path / "study" / "ablation.json").read_text())
    assert [row["seeds"] for row in found["table"]] == [2, 2, 2]
    runs = tmp_path / "study" / "runs"
    results = json.loads((runs / "without_flip-seed1" / "results.json").read_text())
    assert (results["steps"], results["seed"]) == (3, 1)
    assert results["recipe_as_run"]["augment"] == ["crop(reflect)"]
    assert (runs / "whole-seed0" / "model.keras").exists()
    again = _run(command)
    assert again.stdout == done.stdout and "Run" not in again.stderr
    refused = _run([*command, "--epochs=3"])
    assert refused.returncode == 1 and "epochs: was None, is now 3" in refused.stderr


@pytest.mark.slow
def test_a_study_that_is_stopped_and_killed_ends_as_one_that_is_not(tiny_folder, tmp_path):
    flags = ["--epochs=12", "--checkpoint_every_steps=2"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    process = subprocess.Popen(
        _study(tiny_folder, stopped, *flags), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    _wait_for(stopped / "runs" / "whole-seed0" / "metrics.csv")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "Stopped by SIGTERM in run whole-seed0" in said
    resume = ["ablate", "--resume", f"--workdir={stopped}"]
    assert " ".join(resume) in said.splitlines()[-1]
    assert not (stopped / "runs" / "whole-seed0" / "results.json").exists()

    process = subprocess.Popen([sys.executable, "-m", "keras_alexnet", *resume], cwd=ROOT)
    _wait_for(stopped / "runs" / "without_flip-seed0" / "metrics.csv")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(3)  # the run's own process ends, too
    done = _run([sys.executable, "-m", "keras_alexnet", *resume])
    assert done.returncode == 0, done.stderr
    assert _run(_study(tiny_folder, whole, *flags)).returncode == 0
    tables = [
        json.loads((each / "ablation.json").read_text())["table"] for each in (whole, stopped)
    ]
    for rows in tables:
        for row in rows:
            del row["seconds"]
    assert tables[0] == tables[1]


def _wait_for(path, seconds=600):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
