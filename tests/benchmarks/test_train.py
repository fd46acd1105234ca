"""`benchmark train`: rates, ratios and peaks of sides that take turns, and absent peers."""

import json
import os
import threading

import pytest

from keras_alexnet.benchmarks import machine_report, peers, side, train
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.peers import torch_step
from keras_alexnet.cli.main import main
from keras_alexnet.errors import UserError
from keras_alexnet.utils import machine

COUNTING = "tests.support.counting"
SETTINGS = {
    "variants": ("cifar_v2",),
    "batch_sizes": (50,),
    "steps": 10,
    "rounds": 2,
    "peers": ("torch", "openvino"),
    "precision": "float32",
    "other_precisions": ("graph_bfloat16",),
}


@pytest.fixture
def measured(monkeypatch):
    """The report of sides that take these seconds, in the order in which they were asked."""
    seconds = {
        "keras_alexnet": [1.0, 2.0],
        "graph_bfloat16": [4.0, 1.0],
        "PyTorch": [2.0, 8.0],
    }
    ready = {
        "keras_alexnet": {"precision": "float32", "device": "gpu"},
        "graph_bfloat16": {"precision": "graph_bfloat16", "device": "gpu"},
        "PyTorch": {"best": "compiled", "device": "cpu"},
    }
    precisions = {"keras_alexnet": "float32", "graph_bfloat16": "graph_bfloat16"}
    turns = []

    class Stub:
        def __init__(self, name):
            self.name, self.ready = name, ready[name]

        def take(self):
            turns.append(self.name)
            took = seconds[self.name].pop(0)
            return {"seconds": took, "cpu_seconds": 2 * took}

    class Started:
        def __init__(self, name, function, arguments, **options):
            self.name = name
            assert arguments.get("precision") == precisions.get(name)

        def __enter__(self):
            return Stub(self.name)

        def __exit__(self, *error):
            turns.append(f"end of {self.name}")

    monkeypatch.setattr(side, "started", Started)
    monkeypatch.setattr(side, "wait_for_all", lambda *sides: None)
    monkeypatch.setattr(machine_report, "peak_of_products", lambda *_: 1e12)
    monkeypatch.setattr(peers, "divided", lambda names: (["torch"], ["openvino"]))
    report = train.measure(Settings(**SETTINGS))
    return report, turns


def test_sides_take_turns_and_are_compared_round_by_round(measured):
    report, turns = measured
    ours, graph, torch = "keras_alexnet", "graph_bfloat16", "PyTorch"
    ends = [f"end of {name}" for name in (torch, graph, ours)]
    assert turns == [ours, graph, torch, ours, graph, torch, *ends]
    [found] = report.details["found"].values()
    rates = {ours: [500.0, 250.0], graph: [125.0, 500.0], "torch": [250.0, 62.5]}
    assert found["images_per_second"] == rates
    assert found["ratios"] == {"torch": [2.0, 4.0], graph: [4.0, 0.5]}
    assert found["ratios_of_cpu_seconds"] == {"torch": [0.5, 0.25], graph: [0.25, 2.0]}
    # A step takes three times the multiply-accumulates of a forward pass.
    assert found["share_of_peak"][0] == pytest.approx(3 * 12_526_464 * 500 / 1e12)


def test_the_table_names_what_was_best_and_what_is_absent(measured):
    report, _ = measured
    [row] = report.rows
    assert row["PyTorch's best"] == "compiled"
    assert row["ratio to PyTorch"] == "3.00 (2.50–3.50)"
    assert row["ratio to graph_bfloat16"] == "2.25 (1.38–3.12)"
    assert "Not installed, and so not measured: OpenVINO." in report.words
    assert "this compares devices" in report.words[-1]
    json.dumps(report.as_dict())


def test_a_process_answers_in_turn_and_says_why_it_failed():
    with side.started("sums", f"{COUNTING}:count", {"start": 3}, tensorflow=False) as process:
        side.wait_for_all(process)
        assert process.ready == {"start": 3}
        assert [process.take()["count"], process.take()["count"]] == [4, 5]
        with pytest.raises(UserError, match="sums cannot be measured: 5 is enough"):
            process.take()


def test_what_a_process_leaves_is_removed():
    with side.started("sums", f"{COUNTING}:leave", {}, tensorflow=False) as process:
        side.wait_for_all(process)
        assert os.path.isdir(process.ready["folder"])
    assert not os.path.exists(process.ready["folder"])


def test_a_process_without_a_parent_removes_it_itself(monkeypatch, tmp_path):
    ended = threading.Event()
    monkeypatch.setattr(machine.os, "_exit", lambda code: ended.set())
    (tmp_path / "run").mkdir()
    machine.end_with_parent(parent=-1, folder=tmp_path / "run")
    assert ended.wait(10) and not (tmp_path / "run").exists()


def test_a_process_that_ends_is_an_error_with_its_last_line():
    with side.started("sums", f"{COUNTING}:missing", {}, tensorflow=False) as process:
        with pytest.raises(UserError, match="code 1: AttributeError.*missing"):
            side.wait_for_all(process)


class Asked:
    """Turns of which there are so many."""

    def __init__(self, turns):
        self.left, self.answers = turns, []

    def wait(self):
        self.left -= 1
        return self.left >= 0

    def seconds(self):
        return {"seconds": 1.0, "cpu_seconds": 1.0}

    def answer(self, found):
        self.answers.append(found)


def test_pytorchs_step_trains_in_its_best_way(monkeypatch):
    pytest.importorskip("torch", reason="compares with PyTorch, which users never need")
    monkeypatch.setattr(torch_step.shutil, "which", lambda _: None)  # compiling takes a minute
    monkeypatch.setattr(torch_step.machine, "has_bfloat16", lambda: False)
    monkeypatch.setattr(torch_step, "_TRIED_SECONDS", 0)
    turns = Asked(1)
    torch_step.serve(turns, variant="cifar_v2", batch_size=2, steps=1)
    ready, answer = turns.answers
    assert set(ready["tried"]) == {"float32, channels first", "float32, channels last"}
    assert ready["failed"] == {}
    assert ready["tried"][ready["best"]] == max(ready["tried"].values())
    assert answer == {"seconds": 1.0, "cpu_seconds": 1.0}


@pytest.mark.processes
def test_the_command_measures(tmp_path, capsys):
    flags = "--variants cifar_v2 --batch_sizes 4 --steps 2 --rounds 1 --peers="
    path = tmp_path / "train.json"
    assert main(["benchmark", "train", *flags.split(), "--json", str(path)]) == 0
    assert "share of peak" in capsys.readouterr().out
    [found] = json.loads(path.read_text())["found"].values()
    assert found["images_per_second"]["keras_alexnet"][0] > 0
