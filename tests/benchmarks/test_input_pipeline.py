"""The benchmark of the input pipeline, with few images."""

import itertools
import weakref

import pytest

from keras_alexnet.benchmarks import input_pipeline, start
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.errors import UserError


def test_each_side_has_a_row_with_its_rates(monkeypatch):
    monkeypatch.setattr(input_pipeline, "_AUGMENTATIONS", (("crop", "flip"),))
    monkeypatch.setattr(input_pipeline, "LISTED", (500,))
    monkeypatch.setattr(input_pipeline, "_IN_MEMORY", 200)
    monkeypatch.setattr(input_pipeline, "_WARM_UP_SECONDS", 0.1)
    settings = Settings(steps=1, rounds=2, only=("memory", "listed"))
    found = input_pipeline.measure(settings)
    assert [row["what"] for row in found.rows] == ["memory: crop flip", "listed: 500 listed"]
    assert all(
        row["images/s"] > 0 and row["of the first"] == pytest.approx(1) for row in found.rows
    )
    assert len(found.details["found"]["memory"]["cpu_seconds_an_image"]["crop flip"]) == 2


def test_a_side_has_the_machine_for_itself_in_its_turn(monkeypatch):
    monkeypatch.setattr(input_pipeline, "_WARM_UP_SECONDS", 0.01)
    opened = []

    def batches():
        assert all(reference() is None for reference in opened)  # else it would fill its buffers
        iterator = (step for step in itertools.count())
        opened.append(weakref.ref(iterator))
        return iterator

    side = input_pipeline._side(batches, batch_size=2, steps=3)
    assert [side()[0] for _ in range(2)] == [6, 6] and len(opened) == 2


def test_photographs_stay_encoded_and_an_absent_peer_is_named(monkeypatch):
    monkeypatch.setattr(input_pipeline, "_without_torchvision", lambda: "No module")
    monkeypatch.setattr(input_pipeline, "_ours", lambda split, *rest: lambda: (1, 1.0, 1.0))
    settings = Settings(steps=1, rounds=1, only=("photographs",), peers=("torchvision",))
    found = input_pipeline.measure(settings)
    assert len(found.rows) == 4 and found.words == ["torchvision is absent: No module"]
    encoded = input_pipeline.Encoded([b"one", b"two"], 5)
    assert [encoded.read(row) for row in range(3)] == [b"one", b"two", b"one"]
    assert encoded.in_memory(256) is None and len(encoded) == 5


def test_a_network_that_cannot_start_is_named_and_the_others_are_measured(monkeypatch):
    def run(words, cache, cpu=None):
        if words[-1] == "cifar_v1":
            raise UserError("no memory")
        if cpu is not None:
            cpu.append(0.5)
        return 2.0

    monkeypatch.setattr(start, "_run", run)
    found = start.measure(Settings(variants=("cifar_v1", "cifar_v2"), rounds=1))
    assert len(found.rows) == 2 and found.failed == {"cifar_v1": "no memory"}


@pytest.mark.parametrize("data_dir", [None, "photos"])
def test_starts_are_those_of_fresh_processes(monkeypatch, data_dir):
    runs = []

    def run(words, cache, cpu=None):
        runs.append((words[-1], cache))
        if cpu is not None:
            cpu.append(0.5)
        return 2.0 if words[0] == "-c" else 3.0

    monkeypatch.setattr(start, "_run", run)
    found = start.measure(Settings(variants=("cifar_v2",), rounds=2, data_dir=data_dir))
    assert [row["of the import"] for row in found.rows] == [1.0] + [1.5] * (3 if data_dir else 1)
    if data_dir:
        caches = [cache for word, cache in runs if word == "photos"]
        assert len(caches) == 5 and len(set(caches)) == 3  # empty twice, and one that is kept
