"""What a run writes to TensorBoard, W&B and MLflow, with small stand-ins for the last two."""

import csv
import importlib.util
import json
import pathlib
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.training.tracking import names
from keras_alexnet.training.tracking.trackers import TRACKERS


class _Wandb(types.ModuleType):
    """Records what is logged to W&B."""

    def __init__(self):
        super().__init__("wandb")
        self.run, self.logged, self.config, self.ids, self.ended = None, [], {}, [], []

    def init(self, *, project, name, dir, id, resume):
        self.ids.append(id)
        config = types.SimpleNamespace(update=lambda given, **_: self.config.update(given))
        return types.SimpleNamespace(
            id="w1", url=None, dir="here", log=self._log, config=config, finish=self._finish
        )

    def _log(self, given):
        if getattr(self, "gone", False):
            raise ConnectionError("the server is gone")
        self.logged.append(given)

    def _finish(self, exit_code):
        self.ended.append(exit_code)

    def Image(self, path):  # noqa: N802
        return pathlib.Path(path).name


class _Mlflow(types.ModuleType):
    """Records what is logged to MLflow."""

    def __init__(self):
        super().__init__("mlflow")
        self.params, self.metrics, self.artifacts, self.status = {}, {}, [], None
        self.active_run, self.MlflowClient = lambda: None, lambda: self
        self.created = 0

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return "e1"

    def create_run(self, experiment, run_name):
        self.created += 1
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="m1"))

    def update_run(self, run, status):
        self.status = status

    def log_param(self, run, name, value):
        self.params[name] = value

    def log_metric(self, run, name, value, step):
        self.metrics[name, step] = value

    def log_artifact(self, run, path):
        self.artifacts.append(pathlib.Path(path).name)

    def set_terminated(self, run, status):
        self.status = status


@pytest.fixture
def stand_ins(monkeypatch):
    found = types.SimpleNamespace(wandb=_Wandb(), mlflow=_Mlflow())
    for name, module in vars(found).items():
        module.__spec__ = types.SimpleNamespace(name=name)
        monkeypatch.setitem(sys.modules, name, module)
    return found


INPUTS, LABELS = np.eye(4, dtype=np.float32), np.array([0, 1, 2, 0])


def _fit(log, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    options = {"epochs": 2, "verbose": 0, "callbacks": [log], **options}
    return model.fit(INPUTS, LABELS, **options).history


def _events(folder):
    """(tag, step) → value of the event files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    read = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    read.Reload()
    for tag in read.Tags()["tensors"]:
        for event in read.Tensors(tag):
            found[tag, event.step] = tf.make_ndarray(event.tensor_proto)
    return found


@pytest.mark.processes
def test_a_run_writes_figures_recipe_and_confusion_everywhere(config_in, tmp_path, stand_ins):
    pytest.importorskip("tensorboard")
    logs = ("tensorboard", "csv", "wandb", "mlflow")
    config = config_in(tmp_path / "run", log=logs)
    found = ka.train(config, verbose=0)
    rows = list(csv.DictReader(open(tmp_path / "run" / "metrics.csv")))
    assert list(found["log"]) == ["csv", "tensorboard", "wandb", "mlflow"]
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recorded["config"]["log"] == list(logs)

    train = _events(tmp_path / "run" / "tensorboard" / "train")
    test = _events(tmp_path / "run" / "tensorboard" / "test")
    assert train["loss", 2] == pytest.approx(float(rows[1]["loss"]), rel=1e-4)
    assert b"weight_decay" in train["settings", 0].item()
    assert test["top1", 2] == pytest.approx(found["test_top1"])
    assert test["confusion", 2][2].startswith(b"\x89PNG")
    validation = _events(tmp_path / "run" / "tensorboard" / "validation")
    assert validation["loss", 1] == pytest.approx(float(rows[0]["val_loss"]), rel=1e-4)

    wandb, mlflow = stand_ins.wandb, stand_ins.mlflow
    losses = [each["loss"] for each in wandb.logged if "loss" in each]
    assert losses == pytest.approx([float(row["loss"]) for row in rows], rel=1e-4)
    assert {"epoch": 2, "confusion": "confusion.png"} in wandb.logged
    assert wandb.config["optimizer"] == "sgd" and wandb.ended == [0]
    assert mlflow.metrics["val_top1", 1] == pytest.approx(float(rows[0]["val_top1"]), rel=1e-4)
    assert mlflow.metrics["test_top1", 2] == found["test_top1"]
    assert mlflow.artifacts == ["confusion.png"] and mlflow.status == "FINISHED"
    assert mlflow.params["optimizer"] == "sgd" and mlflow.params["dataset"] == "tiny"

    # A run that is resumed is the same one there.
    (tmp_path / "run" / "results.json").unlink()
    again = ka.TrainConfig(workdir=config.workdir, resume=True)
    assert list(ka.train(again, verbose=0)["log"]) == list(found["log"])
    assert wandb.ids == [None, "w1"] and mlflow.created == 1


def test_a_place_that_fails_later_is_said_and_left_out(tmp_path, stand_ins, caplog):
    stand_ins.wandb.gone = True
    log = ka.TrainingLog(tmp_path, ["wandb"])
    _fit(log)
    said = [text for text in caplog.messages if "log wandb failed" in text]
    assert len(said) == 1 and "the server is gone" in said[0]
    assert log.problems == {"wandb": "the server is gone"}


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_an_absent_package_is_named_before_anything_is_read(name, config_in, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    hidden = lambda module, *rest: None if module == name else find(module, *rest)  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    config = config_in(tmp_path / "run", log=[name], data_dir="nowhere")
    with pytest.raises(ka.UsageError, match=f"log {name} needs the package.*pip install {name}"):
        ka.train(config)
    with pytest.raises(ka.UsageError, match=f"pip install {name}"):
        ka.TrainingLog(tmp_path / "fit", [name])
    assert not (tmp_path / "run").exists() and not (tmp_path / "fit").exists()


def test_fit_has_the_same(tmp_path, stand_ins):
    log = ka.TrainingLog(tmp_path, ["csv", "mlflow"], test=[(INPUTS, LABELS)], class_names="abc")
    history = _fit(log)
    first, second = csv.DictReader(open(tmp_path / "metrics.csv"))
    assert (
        float(first["loss"]) == pytest.approx(history["loss"][0], rel=1e-4)
        and first["test_accuracy"] == ""
    )
    accuracy = np.mean(np.argmax(log.model(INPUTS), axis=1) == LABELS)
    assert float(second["test_accuracy"]) == pytest.approx(accuracy)
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    mlflow = stand_ins.mlflow
    assert mlflow.artifacts == ["confusion.png"] and mlflow.status == "FINISHED"
    assert mlflow.params["optimizer"] == "SGD"


@pytest.mark.parametrize(
    "labels",
    [np.eye(3)[LABELS], LABELS[:, None], tf.constant(LABELS)],
    ids=["1-hot", "column", "tf"],
)
def test_labels_of_any_form_are_counted(labels, tmp_path):
    weights = np.ones(4)
    log = ka.TrainingLog(tmp_path, test=[(INPUTS, labels, weights)])
    _fit(log)
    *_, last = csv.DictReader(open(tmp_path / "metrics.csv"))
    accuracy = np.mean(np.argmax(log.model(INPUTS), axis=1) == LABELS)
    assert float(last["test_accuracy"]) == pytest.approx(accuracy)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"test": []}, "no batches"),
        ({"test": (INPUTS, LABELS)}, "batches of images and labels.*ndarray"),
        ({"test": [(INPUTS, LABELS + 1)]}, "numbers from 0 to 2"),
        ({"test": [(INPUTS, LABELS[:3])]}, r"Received: \[3\]"),
        ({"test": [(INPUTS, LABELS)], "class_names": ["a"]}, "3 classes. Received: 1 names"),
        ({"log": None}, "list of names"),
    ],
)
def test_what_would_fail_after_training_is_said_before(given, text, tmp_path):
    with pytest.raises(ka.UsageError, match=text):
        _fit(ka.TrainingLog(tmp_path / "log", **given))
    assert not (tmp_path / "log").exists()


def test_epochs_before_those_of_a_further_fit_stay(tmp_path):
    _fit(ka.TrainingLog(tmp_path))
    _fit(ka.TrainingLog(tmp_path), initial_epoch=2, epochs=4)
    assert [row["epoch"] for row in csv.DictReader(open(tmp_path / "metrics.csv"))] == list("1234")
    _fit(ka.TrainingLog(tmp_path), epochs=1)
    assert len(list(csv.DictReader(open(tmp_path / "metrics.csv")))) == 1


def test_unknown_places_are_refused(tmp_path):
    with pytest.raises(ka.UsageError, match="Unknown log 'tensorbord'.*Did you mean 'tensorboard'"):
        ka.TrainConfig(log="csv,tensorbord")
    assert names.LOGS == tuple(TRACKERS)
