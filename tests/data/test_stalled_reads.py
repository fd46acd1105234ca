"""Waiting for data: told about, interrupted, never a hang."""

import contextlib
import gc
import os
import signal
import threading
import time

import pytest

import keras_alexnet as ka
from keras_alexnet.data import image_files, memory_budget, stalled_reads
from keras_alexnet.data.image_files import ImageFiles
from keras_alexnet.data.stalled_reads import BackgroundBatches
from support.callbacks import before_epoch
from support.image_folders import write_images


def test_supplies_all_batches_in_order_and_then_stops():
    supply = BackgroundBatches(range(5))
    assert list(supply) == [0, 1, 2, 3, 4]
    with pytest.raises(StopIteration):
        next(supply)


def test_error_of_the_source_reaches_who_asks():
    def source():
        yield 1
        raise ka.UserError("broken")

    supply = BackgroundBatches(source())
    assert next(supply) == 1
    with pytest.raises(ka.UserError, match="broken"):
        next(supply)


def test_nothing_is_fetched_before_it_is_asked_for():
    fetched = []
    supply = BackgroundBatches(fetched.append(number) or number for number in range(9))
    next(supply)
    next(supply)
    assert fetched == [0, 1]


def test_the_next_batch_can_be_fetched_while_one_is_used():
    fetched, third = [], threading.Event()

    def source():
        for number in range(9):
            fetched.append(number)
            if number == 2:
                third.set()
            yield number

    supply = BackgroundBatches(source(), ahead=True)
    assert [next(supply), next(supply)] == [0, 1]
    assert third.wait(10)
    assert [next(supply), fetched[:3]] == [2, [0, 1, 2]]
    assert list(supply) == [3, 4, 5, 6, 7, 8]


@pytest.fixture
def no_collector():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("broken", [False, True])
def test_thread_has_ended_when_its_supply_is_let_go(broken, no_collector):
    class Source:
        def __iter__(self):
            yield 1
            if broken:
                raise ka.UserError("broken")
            yield 2

        def __del__(self):
            time.sleep(0.5)  # as a pipeline that has to stop its own threads first

    before = set(threading.enumerate())
    supply = BackgroundBatches(Source())
    next(supply)
    [thread] = set(threading.enumerate()) - before
    with contextlib.suppress(ka.UserError):
        next(supply)
    del supply
    assert not thread.is_alive()


def test_silence_is_told_again_and_again_until_a_batch_comes(monkeypatch, caplog):
    assert stalled_reads.SILENT_SECONDS == 60  # as the README says
    monkeypatch.setattr(stalled_reads, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(stalled_reads, "SECONDS_BETWEEN_CHECKS", 0.02)
    arrive = threading.Event()

    def source():
        arrive.wait()
        yield 1

    def suspects():
        if len([line for line in caplog.messages if "No batch" in line]) == 2:
            arrive.set()
        return "Waiting for a.png."

    with caplog.at_level("WARNING", logger="absl"):
        assert next(BackgroundBatches(source(), suspects=suspects)) == 1
    told = [line for line in caplog.messages if "No batch has arrived for" in line]
    assert len(told) == 3 and all("Waiting for a.png." in line for line in told)


def test_who_waits_is_checked_on(monkeypatch):
    never = threading.Event()
    checks = []

    def check():
        checks.append(1)
        if len(checks) == 3:
            raise ka.Interrupted(signal.SIGTERM, "in the test")

    def source():
        never.wait()
        yield 1

    with pytest.raises(ka.Interrupted):
        next(BackgroundBatches(source(), check))
    never.set()


def _release(pipe):
    """Ends the reads of a pipe that nobody writes to, so that the process can end."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return
        time.sleep(0.05)


def test_disk_that_does_not_answer_is_named_and_a_signal_still_heard(
    tmp_path, small_variant, monkeypatch, caplog
):
    monkeypatch.setattr(memory_budget, "BYTES", 0)  # decoded when needed, each epoch
    monkeypatch.setattr(stalled_reads, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(stalled_reads, "PROBE_SECONDS", 0.5)
    write_images(tmp_path / "data" / "train", ["a", "b"], 20)
    write_images(tmp_path / "data" / "test", ["a", "b"], 4)
    image = tmp_path / "data" / "train" / "b" / "007.png"
    # A pipe stands for the file of a dead network disk, and so is not refused.
    monkeypatch.setattr(image_files, "_is_regular", lambda path: True)
    monkeypatch.setattr(ImageFiles, "read", lambda self, row: self.path(row).read_bytes())

    def block(_):  # as a dead network disk would
        image.unlink()
        os.mkfifo(image)

    probe = stalled_reads.StalledReadProbe.report

    def report(self):
        said = probe(self)
        if "007.png" in said:
            signal.raise_signal(signal.SIGTERM)
        return said

    monkeypatch.setattr(stalled_reads.StalledReadProbe, "report", report)
    config = ka.TrainConfig(
        variant=small_variant,
        dataset="image_folder",
        data_dir=str(tmp_path / "data"),
        workdir=str(tmp_path / "run"),
        num_devices=1,
        validation_images=0,
        overrides={"epochs": 9, "global_batch_size": 8, "keep": "last"},
    )
    try:
        with caplog.at_level("WARNING", logger="absl"), pytest.raises(ka.Interrupted) as caught:
            ka.train(config, callbacks=[before_epoch(2, block)])
    finally:
        _release(image)
    assert "No batch has arrived for" in caplog.text
    assert "Reading train/b/007.png again does not end either." in caplog.text
    assert caught.value.workdir == tmp_path / "run"
