"""`benchmark accuracy`: both commands are timed in turn, and what they reached is reported."""

import json

import numpy as np
import pytest

from keras_alexnet.benchmarks import accuracy, commands, peers
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.peers import torch_recipe
from keras_alexnet.cli.main import main

SETTINGS = {"variants": ("cifar_v2",), "rounds": 2, "peers": ("torch",), "top1": 70.0}


@pytest.fixture
def started(monkeypatch):
    """The words of the commands, which take 2 and 8 seconds and reach what `reached` says."""
    words_of_all = []

    def timed(words, what, environment=None):
        words_of_all.append(words)
        if "train" not in words:
            return 8.0, json.dumps([50.0, 71.0])
        run = accuracy.pathlib.Path(words[-1].removeprefix("--workdir="))
        run.mkdir()
        (run / "results.json").write_text(json.dumps({"test_top1_one_view": timed.reached}))
        return 2.0, ""

    timed.reached = 0.72
    monkeypatch.setattr(commands, "timed", timed)
    monkeypatch.setattr(accuracy, "_decode", lambda *_: None)
    monkeypatch.setattr(peers, "divided", lambda names: (list(names), []))
    return timed, words_of_all


def test_commands_take_turns_and_each_round_has_its_seed(started):
    report = accuracy.measure(Settings(**SETTINGS, epochs=3))
    ours, torch = report.rows
    assert (ours["seconds"], ours["epochs"], ours["test top-1"]) == (2.0, "3, 3", "72.00, 72.00")
    assert (torch["seconds"], torch["epochs"], torch["test top-1"]) == (8.0, "2, 2", "71.00, 71.00")
    assert torch["ratio of ours"] == 0.25
    assert "note" not in ours
    words = started[1]
    assert ["train" in each for each in words] == [True, False, True, False]
    assert [json.loads(each[-1])["seed"] for each in words[1::2]] == [0, 1]
    assert all(f"--seed={seed}" in each for seed, each in enumerate(words[::2]))
    assert all("--recipe=fast" in each and "--epochs=3" in each for each in words[::2])


def test_a_run_below_the_accuracy_is_said(started):
    started[0].reached = 0.69
    ours, torch = accuracy.measure(Settings(**SETTINGS)).rows
    assert ours["note"] == "not always 70 %"
    assert "note" not in torch


def test_the_command_that_is_timed_is_train(tmp_path):
    words = accuracy._words_of_train("cifar_v2", Settings(**SETTINGS), str(tmp_path / "run"), 0)
    _, printed = commands.timed([*words, "--help"], "Training")
    assert printed.startswith("usage: keras-alexnet train")


def test_networks_without_a_fast_recipe_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["benchmark", "accuracy", "--variants", "alexnet"])
    assert "cifar_v2" in capsys.readouterr().err


def test_pytorch_stops_at_the_epoch_that_reaches_the_accuracy(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    random = np.random.default_rng(0)
    labels = np.arange(20) % 10
    images = np.uint8(random.integers(0, 256, (10, 32, 32, 3)))[labels]  # an image for each class
    for name in ("train", "test"):
        np.save(tmp_path / f"{name}_images.npy", images)
        np.save(tmp_path / f"{name}_labels.npy", labels)
    monkeypatch.setattr(torch_recipe, "_TEST_BATCH", 40)
    monkeypatch.setattr(torch_recipe.machine, "processors", lambda: [0])  # tests run side by side
    given = {"variant": "cifar_v2", "folder": str(tmp_path), "seed": 0}
    first = torch_recipe.train(**given, top1=0.1)
    assert len(first) == 1 and first[0] >= 0.1
    found = torch_recipe.train(**given, top1=100.0)
    assert found[:1] == first  # the same seed
    assert 1 < len(found) <= 20 and all(each < 100.0 for each in found[:-1])
