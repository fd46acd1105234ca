"""SIGTERM and SIGINT: the step is finished, the run saved, and the message says how to resume."""

import pathlib
import shlex
import signal
import subprocess
import sys
import threading

import pytest

import keras_alexnet as ka
from keras_alexnet.distributed.cluster import SingleProcess
from keras_alexnet.evaluation import evaluator
from keras_alexnet.training.signals import Interruption
from support.callbacks import before_step
from support.run_ends import assert_same_end, metrics

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("number", "step", "code"), [(signal.SIGTERM, 3, 143), (signal.SIGINT, 5, 130)]
)
def test_signal_finishes_the_step_and_saves(config, whole_run, number, step, code):
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ka.Interrupted) as caught:
        ka.train(config, callbacks=[before_step(step, lambda _: signal.raise_signal(number))])
    stopped = caught.value
    assert (stopped.signal, stopped.exit_code) == (number, code)
    assert f"{number.name} after step {step} (epoch 1)" in str(stopped)
    assert f"--resume --workdir={config.workdir}" in str(stopped)
    assert handlers == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    saved = sorted(path.name for path in stopped.workdir.glob("checkpoints/step-*.json"))
    assert saved[-1] == f"step-{step:09d}.json"
    if number == signal.SIGTERM:
        ka.train(ka.TrainConfig(workdir=config.workdir, resume=True))
        assert_same_end(config.workdir, whole_run)


@pytest.mark.slow
def test_signal_while_validating_or_testing_is_heard(config, whole_run, monkeypatch):
    left = {"validating": 2, "testing": 1}  # in the second validation, and in the test

    class Progress(evaluator.Progress):
        def __init__(self, total, description):
            super().__init__(total, description)
            left[description] -= 1
            if left[description] == 0:
                signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(evaluator, "Progress", Progress)
    with pytest.raises(ka.Interrupted, match=r"after step 10 \(epoch 2\)"):
        ka.train(config)
    assert len(metrics(config.workdir)) == 1
    left["testing"] = 1
    with pytest.raises(ka.Interrupted, match="before it had ended. Resume with --resume"):
        ka.train(ka.TrainConfig(workdir=config.workdir, resume=True))
    ka.train(ka.TrainConfig(workdir=config.workdir, resume=True))
    assert_same_end(config.workdir, whole_run)


def test_signal_before_the_run_has_a_folder_leaves_nothing(config, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "keras_alexnet.training.job.load_dataset",
        lambda *_, **__: signal.raise_signal(signal.SIGINT),
    )
    with pytest.raises(ka.Interrupted, match="Nothing was written: start again") as caught:
        ka.train(config)
    assert caught.value.workdir is None and not (tmp_path / "run").exists()


def test_second_sigint_stops_at_once_and_a_second_sigterm_changes_nothing():
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption, interruption.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(ka.Interrupted), Interruption() as interruption, interruption.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("worker", [0, 1], ids=["this worker", "the other"])
def test_shared_signals_wait_until_all_agree(worker):
    passed = []

    class TwoWorkers(SingleProcess):
        addresses = ("a:1", "b:2")

        def numbers(self, own):
            return [own, signal.SIGTERM if worker else 0]

    shared = Interruption(TwoWorkers())
    with pytest.raises(ka.Interrupted, match="SIGTERM") as caught, shared as interruption:
        if worker == 0:
            signal.raise_signal(signal.SIGTERM)
        with interruption.held():
            interruption.check()
        interruption.check()
        passed.append("alone")
        interruption.agree()
        passed.append("together")
    assert caught.value.exit_code == 143 and passed == ["alone"]


def test_error_on_the_way_up_does_not_swallow_the_signal():
    with pytest.raises(ka.Interrupted, match="SIGINT"), Interruption():
        try:
            signal.raise_signal(signal.SIGINT)
        except Exception:
            pytest.fail("taken for an error")


def test_another_thread_leaves_the_handlers_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def run():
        with Interruption() as interruption, interruption.held():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.processes
def test_interrupted_script_prints_the_command_that_resumes(tiny_folder, tmp_path):
    workdir = tmp_path / "a run"
    flags = ["--variant=cifar_v2", "--dataset=image_folder", f"--data_dir={tiny_folder}"]
    flags += ["--global_batch_size=8", "--epochs=2000", f"--workdir={workdir}", "--max_steps=4000"]
    command = [sys.executable, "scripts/train.py", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("epoch 1/"):
            process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    text = "".join(lines)
    assert "SIGTERM: finishing the step and saving" in text and "Traceback" not in text
    assert "Stopped by SIGTERM after step" in text
    again = shlex.split(lines[-1])
    assert again[1:] == ["scripts/train.py", "--resume", f"--workdir={workdir}"]
