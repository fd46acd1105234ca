"""Whole runs of several worker processes on loopback, against runs of one process."""

import shutil
import signal

import numpy as np
import pytest

import keras_alexnet as ka
from support import worker_processes
from support.image_folders import write_images
from support.run_ends import checkpoint, metrics

PLAIN = {"augment": ()}


@pytest.fixture
def given(tiny_folder, tmp_path):
    """(name of the run, worker, settings) → what `one_worker.py` gets."""

    def make(name, index=0, dropout=0.0, **overrides):
        config = {
            "variant": "cifar_small",
            "dataset": "image_folder",
            "data_dir": str(tiny_folder),
            "workdir": str(tmp_path / name),
            "dropout": dropout,
            "checkpoint_every_steps": 2,
            "overrides": {"epochs": 2, "global_batch_size": 16, **overrides},
        }
        return {"config": config, "weights": str(tmp_path / f"{name}-{index}.npz")}

    return make


@pytest.fixture
def alone(given, small_variant, tmp_path):
    """Trains in this process, on one device; returns the results."""

    def train(name, **options):
        what = given(name, **options)
        config = ka.TrainConfig(**{**what["config"], "num_devices": 1})
        return ka.train(config)

    return train


def _weights(tmp_path, name, index):
    with np.load(tmp_path / f"{name}-{index}.npz") as data:
        return [data[key] for key in sorted(data.files)]


def _checkpoint(tmp_path, name):
    """The weights as the newest checkpoint has them."""
    found = checkpoint(tmp_path / name)
    return [found[key] for key in sorted(found) if key.startswith("model/")]


def _assert_close(found, expected):
    for value, other in zip(found, expected, strict=True):
        if value.dtype.kind == "f":
            assert np.max(np.abs(value - other)) <= 1e-5 * np.max(np.abs(other))


def _assert_success(ended):
    assert [one.code for one in ended] == [0] * len(ended), "\n\n".join(one.output for one in ended)


@pytest.mark.processes
def test_two_workers_stop_together_and_resume_to_the_weights_of_one_process(given, alone, tmp_path):
    expected = alone("one", **PLAIN)
    several = [given("two", i, **PLAIN) for i in range(2)]
    several[1]["end_at"] = 3
    for one in worker_processes.run(tmp_path / "p1", several):
        assert one.code == 128 + signal.SIGTERM, one.output
        assert "Stopped by SIGTERM after step 5 (epoch 1)." in one.output
    del several[1]["end_at"]
    ended = worker_processes.run(tmp_path / "p2", several)
    _assert_success(ended)
    assert all("Resuming from step 5 (epoch 1)" in one.output for one in ended)
    for index in range(2):
        _assert_close(_weights(tmp_path, "two", index), _checkpoint(tmp_path, "one"))
    assert ended[0].results == ended[1].results
    assert ended[0].results["test_loss"] == pytest.approx(expected["test_loss"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_workers_end_with_the_weights_of_one_process(given, alone, tmp_path, workers):
    expected = alone("one", **PLAIN, learning_rate=0.05)
    several = [given("several", i, **PLAIN, learning_rate=0.05) for i in range(workers)]
    ended = worker_processes.run(tmp_path / "processes", several)
    _assert_success(ended)
    for index in range(workers):
        _assert_close(_weights(tmp_path, "several", index), _checkpoint(tmp_path, "one"))
    found = [one.results for one in ended]
    assert all(one == found[0] for one in found)  # every caller gets the results
    assert found[0]["devices"] == f"{workers} x CPU on {workers} workers"
    assert found[0]["test_loss"] == pytest.approx(expected["test_loss"], rel=1e-5)
    assert found[0]["test_top1"] == expected["test_top1"]
    for row, other in zip(metrics(tmp_path / "several"), metrics(tmp_path / "one"), strict=True):
        assert {k: v for k, v in row.items() if "loss" not in k} == {
            k: v for k, v in other.items() if "loss" not in k
        }
        assert float(row["val_loss"]) == pytest.approx(float(other["val_loss"]), rel=1e-5)
    logs = sorted((tmp_path / "several" / "logs").iterdir())
    assert [path.name for path in logs] == [f"worker-{i}.log" for i in range(workers)]
    for index, path in enumerate(logs):
        text = path.read_text()
        assert f"Worker {index} of {workers}" in text and "epoch 2/2: step 10" in text


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_augmented_batches_do_not_depend_on_the_number_of_workers(given, tmp_path, workers):
    def batches(count):
        name = f"of-{count}"
        several = [
            given(name, i, augment=("crop", "flip", "color_noise(paper)"), epochs=1)
            for i in range(count)
        ]
        for index, one in enumerate(several):
            one["batches"] = str(tmp_path / f"{name}-{index}.txt")
        environment = {"TF_CONFIG": ""} if count == 1 else {}
        _assert_success(worker_processes.run(tmp_path / name / "p", several, **environment))
        steps = {}
        for one in several:  # in the order of the workers, which is that of a batch's parts
            with open(one["batches"]) as file:
                for line in file:
                    step, *image = line.split()
                    steps.setdefault(int(step), []).append(image)
        return [steps[step] for step in range(5)]  # an epoch has 5 steps; more were prefetched

    expected = batches(1)
    assert batches(workers) == expected
    assert len({digest for images in expected for _, digest in images}) == 65


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("lost", [0, 1], ids=["chief", "another"])
@pytest.mark.parametrize("how", ["kill_at", "freeze_at"])
def test_lost_worker_ends_the_others_and_all_resume(given, tmp_path, how, lost, workers):
    if how == "freeze_at" and workers == 4:
        pytest.skip("two workers show it")
    never_stopped = [given("whole", i, dropout=0.5) for i in range(workers)]
    _assert_success(worker_processes.run(tmp_path / "p1", never_stopped))

    several = [given("killed", i, dropout=0.5) for i in range(workers)]
    several[lost][how] = 7  # in the second epoch, a step after the checkpoint of step 6
    without = [lost] if how == "freeze_at" else []
    processes = worker_processes.start(tmp_path / "p2", several)
    ended = worker_processes.ended(tmp_path / "p2", processes, without)
    assert ended[lost].code == -signal.SIGKILL
    for index, one in enumerate(ended):
        if index != lost:
            assert one.code == 1, one.output
            assert "has ended or cannot be reached" in one.output
            assert "with the same command" in one.output
            log = (tmp_path / "killed" / "logs" / f"worker-{index}.log").read_text()
            assert "has ended or cannot be reached" in log
    if workers == 2:
        assert f"Worker {lost} (" in ended[1 - lost].output
        assert f"worker-{lost}.log" in ended[1 - lost].output

    del several[lost][how]
    again = worker_processes.run(tmp_path / "p3", several)
    _assert_success(again)
    assert all("Resuming from step 6 (epoch 2)" in one.output for one in again)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")
    for index in range(workers):
        pairs = zip(
            _weights(tmp_path, "killed", index), _weights(tmp_path, "whole", index), strict=True
        )
        for value, expected in pairs:
            np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
def test_number_of_workers_may_change_between_stop_and_resume(given, alone, tmp_path):
    alone("whole", **PLAIN)
    several = [given("grown", i, **PLAIN) for i in range(2)]
    several[1]["kill_at"] = 3
    worker_processes.run(tmp_path / "two", several)
    more = [given("grown", i, **PLAIN) for i in range(4)]
    more[3]["kill_at"] = 6
    ended = worker_processes.run(tmp_path / "four", more)
    assert "Resuming from step 2 (epoch 1)" in ended[0].output
    ka.train(ka.TrainConfig(workdir=str(tmp_path / "grown"), resume=True, num_devices=1))
    _assert_close(_checkpoint(tmp_path, "grown"), _checkpoint(tmp_path, "whole"))


@pytest.mark.slow
def test_all_workers_name_what_differs_between_them(given, tiny_folder, tmp_path):
    several = [given("run", i, learning_rate=0.1 * (i + 1)) for i in range(2)]
    for one in worker_processes.run(tmp_path / "settings", several):
        assert one.code == 1 and "started with the same settings" in one.output
        assert "learning_rate" in one.output and "on worker 1" in one.output

    write_images(tmp_path / "tiny" / "train", ["cat", "dog", "owl"], 24, seed=9)
    write_images(tmp_path / "tiny" / "test", ["cat", "dog", "owl"], 8, seed=9)
    # The same relative path on each worker, but another folder's contents.
    several = [given("run", i) for i in range(2)]
    for one in several:
        one["config"]["data_dir"] = "tiny"
        one["folder"] = str(tiny_folder.parent)
    several[1]["folder"] = str(tmp_path)
    for one in worker_processes.run(tmp_path / "data", several):
        assert one.code == 1 and "All workers must have the same data" in one.output
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.slow
def test_error_of_the_chief_is_told_by_all(given, tmp_path):
    several = [given("run", i) for i in range(2)]
    (tmp_path / "r.csv").write_text("a,b\n1,2\n")
    for one in several:
        one["config"]["record"] = str(tmp_path / "r.csv")
    for one in worker_processes.run(tmp_path / "p", several):
        assert one.code == 1 and "Give --record a different file" in one.output


@pytest.mark.slow
def test_damaged_checkpoint_is_passed_over_by_all_workers(given, tmp_path):
    several = [given("run", i) for i in range(2)]
    several[1]["kill_at"] = 7
    worker_processes.run(tmp_path / "p1", several)
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*.npz"))
    newest.write_bytes(newest.read_bytes()[:-100])
    del several[1]["kill_at"]
    # Only the chief's file system need have it.
    ended = worker_processes.run(tmp_path / "p2", several)
    _assert_success(ended)
    assert "is damaged" in ended[0].output
    assert all("Resuming from step 5 (epoch 2)" in one.output for one in ended)


@pytest.mark.slow
def test_ended_run_started_again_returns_its_results(given, tmp_path):
    several = [given("run", i, epochs=1) for i in range(2)]
    first = worker_processes.run(tmp_path / "p1", several)
    again = worker_processes.run(tmp_path / "p2", several)
    _assert_success(again)
    assert all(one.results == first[0].results for one in (*first, *again))
    assert all("This run has ended" in one.output for one in again)


@pytest.mark.slow
def test_callback_that_stops_one_worker_stops_all(given, tmp_path):
    several = [given("run", i, epochs=3) for i in range(2)]
    several[1]["stop"] = True
    ended = worker_processes.run(tmp_path / "p", several)
    _assert_success(ended)
    assert [one.results["epochs"] for one in ended] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("told", [0, 1], ids=["chief", "another"])
def test_sigterm_to_one_worker_saves_and_stops_all_and_the_same_command_resumes(
    given, alone, tmp_path, told
):
    options = {**PLAIN, "global_batch_size": 8}  # 9 steps an epoch
    alone("whole", **options)
    several = [given("told", i, **options) for i in range(2)]
    for one in several:
        del one["config"]["checkpoint_every_steps"]
    several[told]["end_at"] = 12
    for one in worker_processes.run(tmp_path / "p1", several):
        assert one.code == 128 + signal.SIGTERM, one.output
        assert f"Worker {told} got SIGTERM" in one.output
        assert "Stopped by SIGTERM after step 15 (epoch 2)." in one.output
    newest = max((tmp_path / "told" / "checkpoints").glob("step-*.json"))
    assert newest.name == "step-000000015.json"

    del several[told]["end_at"]
    again = worker_processes.run(tmp_path / "p2", several)
    _assert_success(again)
    assert all("Resuming from step 15 (epoch 2)" in one.output for one in again)
    for index in range(2):
        _assert_close(_weights(tmp_path, "told", index), _checkpoint(tmp_path, "whole"))


@pytest.mark.slow
def test_images_that_one_worker_loses_are_left_out_and_counted(given, tiny_folder, tmp_path):
    lost = [f"train/cat/{number:03d}.png" for number in range(6)]
    lost += ["test/cat/001.png", "test/owl/007.png"]
    several = [given("run", i, **PLAIN, epochs=3) for i in range(2)]
    for index, one in enumerate(several):  # a disk each
        shutil.copytree(tiny_folder, tmp_path / str(index) / "tiny")
        one["config"] |= {"data_dir": "tiny", "skip_corrupt": True}
        one |= {"folder": str(tmp_path / str(index)), "streamed": True}
    several[1]["lose"] = [str(tmp_path / "1" / "tiny" / name) for name in lost]
    ended = worker_processes.run(tmp_path / "p", several)
    _assert_success(ended)
    found = [one.results for one in ended]
    assert found[0] == found[1] and np.isfinite(found[0]["test_loss"])
    # It lost what it read: some of the training images, and of the test images its own part.
    assert set(found[0]["lost_images"]) <= set(lost)
    assert any(name.startswith("train") for name in found[0]["lost_images"])
    tested = [name for name in found[0]["lost_images"] if name.startswith("test")]
    assert found[0]["test_images"] == 24 - len(tested)
    assert "Left out from now on" in ended[1].output
    assert "Left out from now on" not in ended[0].output
    for one, other in zip(*(_weights(tmp_path, "run", i) for i in range(2)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_all_workers_find_the_same_place_of_a_nan_or_step_back_together(given, tmp_path):
    several = [given("run", i, learning_rate=1e12, schedule="constant") for i in range(2)]
    ended = worker_processes.run(tmp_path / "p1", several)
    said = [one.output.split("message: ")[-1] for one in ended]
    assert [one.code for one in ended] == [1, 1], said
    assert said[0] == said[1] and "NaN or infinite" in said[0] and "; first at step" in said[0]

    for one in several:
        one["config"] |= {"on_nonfinite": "step_back", "step_back_factor": 1e16}
    ended = worker_processes.run(tmp_path / "p2", several)
    _assert_success(ended)
    found = [one.results for one in ended]
    assert found[0] == found[1] and len(found[0]["step_backs"]) == 1
