"""The ends of runs: metrics, weights, and the check that two are the same."""

import csv
import json
import pathlib

import numpy as np

import keras_alexnet as ka

_TIMES = ("seconds", "images_per_second")


def metrics(workdir) -> list[dict[str, str]]:
    """The rows of metrics.csv, without columns that depend on the machine's speed."""
    with open(pathlib.Path(workdir) / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: v for name, v in row.items() if name not in _TIMES} for row in rows]


def results(workdir) -> dict:
    """The contents of results.json."""
    return json.loads((pathlib.Path(workdir) / "results.json").read_text())


def checkpoint(workdir) -> dict[str, np.ndarray]:
    """All variables of the newest checkpoint by name, with those of the optimizer."""
    newest = max((pathlib.Path(workdir) / "checkpoints").glob("step-*.npz"))
    with np.load(newest) as arrays:
        return {name: arrays[name] for name in arrays.files}


def assert_same_end(workdir, other) -> None:
    """Asserts that two runs ended with bit-identical state."""
    assert metrics(workdir) == metrics(other)
    assert results(workdir)["test_loss"] == results(other)["test_loss"]
    for read in (checkpoint, _kept):
        one, another = read(workdir), read(other)
        assert one.keys() == another.keys()
        for name, value in one.items():
            np.testing.assert_array_equal(value, another[name], err_msg=name)


def _kept(workdir) -> dict[str, np.ndarray]:
    return {variable.path: variable.numpy() for variable in ka.load(workdir).model.weights}
