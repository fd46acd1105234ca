"""The frame of `keras-alexnet benchmark`: turns, tables, the machine, JSON."""

import contextlib
import json
import subprocess
import sys

import keras
import numpy
import pytest
import tensorflow as tf

from keras_alexnet.benchmarks import (
    local_layers,
    machine_report,
    overhead,
    peers,
    timed_run,
    timing,
    two_workers,
)
from keras_alexnet.benchmarks.catalog import BENCHMARKS, Settings
from keras_alexnet.benchmarks.report import Report
from keras_alexnet.cli.main import main
from keras_alexnet.distributed.precision import graph_is_rewritten
from keras_alexnet.errors import Interrupted, UsageError, UserError


def test_sides_take_turns():
    turns = []
    sides = {name: lambda name=name: turns.append(name) or float(len(turns)) for name in "ab"}
    assert timing.take_turns(sides, 2) == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert turns == ["a", "b", "a", "b"]


def test_the_ratio_is_the_median_of_the_rounds():
    seconds = {"first": iter([1.0, 2.0, 1.0]), "second": iter([2.0, 2.0, 3.0])}
    sides = {name: lambda values=values: next(values) for name, values in seconds.items()}
    found = timing.compare(sides, 3)
    assert found["ratios"] == [2.0, 1.0, 3.0]
    assert found["ratio"] == 2.0


def test_a_table_aligns_numbers_and_leaves_what_is_missing_empty():
    rows = [{"network": "a", "ratio": 1.23456}, {"network": "long", "note": "no bf16"}]
    assert Report(rows, ["In words."]).as_text().splitlines() == [
        "network  ratio  note",
        "a        1.235",
        "long            no bf16",
        "In words.",
    ]


def test_the_machine_is_described():
    found = machine_report.describe()
    assert found["processor"]
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**20
    json.dumps(found)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_defaults_of_a_benchmark_are_settings_that_its_flags_allow(name):
    benchmark = BENCHMARKS[name]
    Settings(**benchmark.flags)
    for field, choices in benchmark.choices.items():
        assert set(benchmark.flags[field]) <= set(choices)


def test_a_worker_that_waits_for_one_that_failed_is_ended(monkeypatch):
    programs = ["raise SystemExit(3)", "import time; time.sleep(600)"]

    def started(workload, index, core, folder, addresses):
        words = [sys.executable, "-c", programs[index]]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(two_workers, "_start_worker", started)
    with pytest.raises(UserError, match="A worker failed"):
        two_workers._rate(None, [0, 1], together=True)


def test_versions_of_what_is_compared_with_are_written():
    assert peers.versions(["numpy", "no_such_package"]) == {"numpy": numpy.__version__}


def test_an_unknown_network_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'cifar_v2'"):
        Settings(variants=("cifar_v22",))


def test_what_is_named_twice_is_measured_once():
    settings = Settings(variants=("cifar_v2", "cifar_v1", "cifar_v2"), batch_sizes=[4, 4])
    assert (settings.variants, settings.batch_sizes) == (("cifar_v2", "cifar_v1"), (4,))


def test_a_network_without_local_layers_is_refused_before_others_are_measured(monkeypatch):
    monkeypatch.setattr(local_layers, "report_of", lambda *_: pytest.fail("measured"))
    settings = Settings(variants=("cuda_convnet_11pct", "cifar_v2"))
    with pytest.raises(UsageError, match="cifar_v2 has no locally .*--variants one of cuda_conv"):
        local_layers.measure(settings)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "graph_bfloat16"])
def test_locally_connected_layers_are_compared_in_the_precision_that_is_asked_for(
    precision, monkeypatch
):
    seen = []

    def compare(calls, steps, rounds):
        seen.append((keras.config.dtype_policy().name, graph_is_rewritten()))
        outputs = [tf.nest.flatten(call())[0] for call in calls.values()]
        assert all(bool(tf.reduce_all(tf.math.is_finite(each))) for each in outputs)
        seconds = {name: [1.0] for name in calls}
        return {"ratio": 1.0, "seconds_a_step": seconds}

    monkeypatch.setattr(local_layers, "_compare", compare)
    settings = Settings(
        variants=("cuda_convnet_13pct",),
        batch_sizes=(2,),
        only=("layers", "network"),
        precision=precision,
    )
    report = local_layers.measure(settings)
    rewritten = precision == "graph_bfloat16"
    # Forward and backward of two layers, and the network.
    assert seen == [("float32" if rewritten else precision, rewritten)] * 5
    assert not report.failed
    assert f"batches of 2, {precision}: " in report.as_text()


def test_a_clock_waits_for_what_the_devices_of_this_worker_still_compute(monkeypatch):
    names = {
        "/device:CPU:0": False,  # has computed it when a call returns
        "/device:GPU:0": True,
        "/job:localhost/replica:0/task:0/device:GPU:1": True,
        "/job:worker/replica:0/task:1/device:GPU:0": False,
    }
    devices = [tf.config.LogicalDevice(name, "GPU" if "GPU" in name else "CPU") for name in names]
    waited = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    monkeypatch.setattr(tf, "device", lambda name: waited.append(name) or contextlib.nullcontext())
    monkeypatch.setattr(tf.raw_ops, "SyncDevice", lambda: waited.append("synchronized"))
    clock = timed_run.Clock(steps=2)
    clock.on_train_batch_end(0)
    asked = [name for name, own in names.items() if own]
    assert waited == [asked[0], "synchronized", asked[1], "synchronized"]
    assert len(clock.ends) == 1
    timing.seconds_a_call(lambda: None, 3)
    assert len(waited) == 8


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_command_measures_what_is_named_and_writes_all_of_it(
    precision, tmp_path, monkeypatch, capsys
):
    def loop(workload, rounds):
        assert workload.precision == precision
        assert workload.config("run").precision == precision
        seen.append((workload.variant, workload.batch_size, workload.steps, rounds))
        return {"overhead": 0.25, "in_words": "The loop: +25 %"}

    seen = []
    monkeypatch.setitem(overhead.MEASURES, "loop", loop)
    path = tmp_path / "found.json"
    flags = "--variants cifar_v1,cifar_v2 --batch_sizes 8 --steps 3 --rounds 2 --only loop"
    flags += f" --precision {precision}"
    assert main(["benchmark", "overhead", *flags.split(), "--json", str(path)]) == 0
    assert seen == [("cifar_v1", 8, 3, 2), ("cifar_v2", 8, 3, 2)]
    line = f"cifar_v2, batches of 8, {precision}: The loop: +25 %"
    assert line in capsys.readouterr().out
    written = json.loads(path.read_text())
    assert written["settings"]["only"] == ["loop"]
    assert written["conditions"]["cores"] >= 1
    assert written["conditions"]["precision"] == dict.fromkeys(("cifar_v1", "cifar_v2"), precision)
    found = written["found"][f"cifar_v1, batches of 8, {precision}"]
    assert found == {"loop": {"overhead": 0.25}}


OVERHEAD = "benchmark overhead --batch_sizes 8 --only loop --variants cifar_v1,cifar_v2 --json"


@pytest.fixture
def failing(monkeypatch):
    """A function of the networks and of what is raised when they are measured."""

    def fail(variants, error):
        def loop(workload, rounds):
            if workload.variant in variants:
                raise error
            return {"overhead": 0.25, "in_words": "The loop: +25 %"}

        monkeypatch.setitem(overhead.MEASURES, "loop", loop)

    return fail


@pytest.mark.parametrize(
    ("error", "why"),
    [(UserError("no memory"), "no memory"), (RuntimeError("odd\nx"), "RuntimeError: odd")],
)
def test_what_fails_does_not_take_the_rest_with_it(tmp_path, failing, capsys, error, why):
    failing(["cifar_v1"], error)
    path = tmp_path / "found.json"
    assert main([*OVERHEAD.split(), str(path)]) == 1
    said = capsys.readouterr()
    assert "cifar_v2, batches of 8, float32: The loop: +25 %" in said.out
    assert f"cifar_v1, batches of 8, float32, loop failed: {why}" in said.out
    assert "These could not be measured: cifar_v1, batches of 8, float32, loop." in said.err
    written = json.loads(path.read_text())
    assert written["failed"] == {"cifar_v1, batches of 8, float32, loop": why}
    assert list(written["found"]) == ["cifar_v2, batches of 8, float32"]


def test_an_error_of_all_is_that_of_the_command(tmp_path, failing, capsys):
    failing(["cifar_v1", "cifar_v2"], UserError("no memory"))
    path = tmp_path / "found.json"
    assert main([*OVERHEAD.split(), str(path)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "benchmark overhead: no memory" in said.err
    assert not path.exists()


def test_a_run_that_was_stopped_stops_the_rest(failing):
    failing(["cifar_v1"], Interrupted(2, "at step 3"))
    settings = Settings(variants=("cifar_v1", "cifar_v2"), batch_sizes=(8,), only=("loop",))
    with pytest.raises(Interrupted):
        overhead.measure(settings)


@pytest.mark.parametrize("flag", ["--variants=", "--batch_sizes=", "--only="])
def test_a_list_names_something_to_measure(flag, capsys):
    assert main(["benchmark", "overhead", flag]) == 2
    assert "must name at least one. Received none." in capsys.readouterr().err
