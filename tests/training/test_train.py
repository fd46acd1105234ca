"""Whole runs on a few small images."""

import csv
import dataclasses
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, EvaluateConfig, run_folder
from keras_alexnet.data import images as data_images
from keras_alexnet.training import report
from keras_alexnet.utils import files
from support.image_folders import write_images

RESULT_KEYS = (
    "variant recipe dataset train_images test_images data_sha256 seed epochs global_batch_size "
    "precision devices test_loss test_top1 test_top5 views seconds seconds_per_epoch commit "
    "tensorflow keras date"
).split()


@pytest.fixture
def config(tiny_folder, tmp_path):
    return ka.TrainConfig(
        variant="cifar_v2",
        dataset="image_folder",
        data_dir=str(tiny_folder),
        workdir=str(tmp_path / "run"),
        num_devices=1,
        overrides={"epochs": 2, "global_batch_size": 16, "learning_rate": 0.02},
    )


def _metrics(workdir):
    with open(f"{workdir}/{run_folder.METRICS}", newline="") as file:
        return list(csv.DictReader(file))


def _without_times(rows):
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in rows
    ]


def test_run_leaves_all_that_it_promises(config, tmp_path):
    csv_file = tmp_path / "results.csv"
    config = dataclasses.replace(config, record=str(csv_file), views=2)
    found = ka.train(config)
    workdir = tmp_path / "run"
    for name in (
        "model.keras config.json metrics.csv results.json labels.txt curves.png confusion.png "
        "per_class.png per_class.csv"
    ).split():
        assert (workdir / name).stat().st_size > 0, name
    assert not [path for path in tmp_path.rglob(".*")], "half-written files or locks remain"

    written = json.loads((workdir / "results.json").read_text())
    assert written == found
    assert set(RESULT_KEYS) <= written.keys()
    assert (written["variant"], written["dataset"], written["epochs"]) == ("cifar_v2", "tiny", 2)
    # A tenth of 72 is held out.
    assert (written["train_images"], written["validation_images"]) == (65, 7)
    assert (written["test_images"], written["views"], written["steps"]) == (24, 2, 10)
    assert written["per_class_accuracy"].keys() == {"cat", "dog", "owl"}
    assert written["overrides"] == "epochs=2 global_batch_size=16 learning_rate=0.02"

    with open(csv_file, newline="") as file:
        (row,) = csv.DictReader(file)
    assert set(RESULT_KEYS) <= row.keys()
    assert float(row["test_top1"]) == pytest.approx(written["test_top1"], abs=1e-5)

    rows = _metrics(workdir)
    assert {row["dataset"] for row in rows} == {"tiny"}
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "top1", "top5", "learning_rate", "images_per_second", "seconds"} <= rows[
        0
    ].keys()
    recorded = json.loads((workdir / "config.json").read_text())
    assert recorded["recipe"]["epochs"] == 2 and recorded["recipe"]["optimizer"] == "sgd"
    assert recorded["data"]["name"] == "tiny"


def test_saved_model_loads_by_keras_alone_and_agrees_with_the_results(config, tmp_path):
    found = ka.train(config)
    model, labels = ka.load(tmp_path / "run")
    assert labels == ("cat", "dog", "owl")
    assert model.dtype_policy.name == "float32"
    plain = keras.models.load_model(tmp_path / "run" / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(plain(images), model(images))
    again = ka.evaluate(EvaluateConfig(model=tmp_path / "run"))
    assert again["loss"] == pytest.approx(found["test_loss"], rel=1e-5)
    assert again["top1"] == found["test_top1"]


def test_same_seed_same_run_and_another_seed_another(config, tmp_path):
    losses = []
    for number, seed in enumerate((0, 0, 1)):
        workdir = str(tmp_path / str(number))
        ka.train(dataclasses.replace(config, workdir=workdir, seed=seed))
        losses.append([row["loss"] for row in _metrics(workdir)])
    assert losses[0] == losses[1] != losses[2]


class _Kill(keras.callbacks.Callback):
    """Ends the run at a step as a crash would: nothing is saved on the way out."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_train_batch_end(self, batch, logs=None):
        self.batches -= 1
        if self.batches == 0:
            raise RuntimeError("killed")


@pytest.fixture(scope="module", params=[1, 2], ids=["one device", "two devices"])
def never_stopped(request, tiny_folder, small_variant, tmp_path_factory):
    """A run of 10 steps with dropout, crops, flips and color noise, saved every 4 steps."""
    config = ka.TrainConfig(
        variant=small_variant,
        dataset="image_folder",
        data_dir=str(tiny_folder),
        workdir=str(tmp_path_factory.mktemp("whole") / "run"),
        checkpoint_every_steps=4,
        num_devices=request.param,
        overrides={
            "epochs": 2,
            "global_batch_size": 16,
            "augment": ("crop", "flip", "color_noise(paper)"),
        },
    )
    ka.train(config)
    return config


# An epoch has 5 steps; the newest checkpoints are then those of step 4 and of step 5.
@pytest.mark.parametrize("steps", [5, 7], ids=["inside an epoch", "between epochs"])
def test_resumed_run_ends_as_one_never_stopped(never_stopped, tmp_path, steps):
    killed = dataclasses.replace(never_stopped, workdir=str(tmp_path / "killed"))
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(killed, callbacks=[_Kill(steps)])
    # Nothing but the folder is needed to go on, the number of devices included.
    ka.train(ka.TrainConfig(workdir=killed.workdir, resume=True))
    rows = [_without_times(_metrics(config.workdir)) for config in (never_stopped, killed)]
    assert rows[0] == rows[1]
    whole, resumed = (ka.load(config.workdir).model for config in (never_stopped, killed))
    for one, other in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


class _KillInValidation(keras.callbacks.Callback):
    """Ends the run after the last step of its last epoch, before what comes of it is saved."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 4 and self.model.optimizer.iterations.numpy() == 10:
            raise RuntimeError("killed")


@pytest.mark.slow
def test_run_killed_after_its_last_step_ends_as_one_never_stopped(config, tmp_path):
    config = dataclasses.replace(config, checkpoint_every_steps=1)
    whole = ka.train(config)
    killed = dataclasses.replace(config, workdir=str(tmp_path / "killed"))
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(killed, callbacks=[_KillInValidation()])
    resumed = ka.train(ka.TrainConfig(workdir=killed.workdir, resume=True))
    assert resumed["test_loss"] == whole["test_loss"]
    rows = [_without_times(_metrics(one.workdir)) for one in (config, killed)]
    assert rows[0] == rows[1] and len(rows[0]) == 2


def test_resuming_an_ended_run_returns_its_results_and_records_them_once(config, tmp_path):
    found = ka.train(config)
    again = ka.TrainConfig(workdir=config.workdir, resume=True, record=str(tmp_path / "r.csv"))
    for _ in range(2):
        assert ka.train(again) == found
        assert len(files.read_rows(tmp_path / "r.csv")) == 1


def test_resumed_run_still_records(config, tmp_path):
    config = dataclasses.replace(config, record=str(tmp_path / "r.csv"))
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(config, callbacks=[_Kill(7)])
    found = ka.train(ka.TrainConfig(workdir=config.workdir, resume=True))
    assert found["seconds"] > sum(float(row["seconds"]) for row in _metrics(config.workdir))
    assert len(files.read_rows(tmp_path / "r.csv")) == 1


def test_resuming_with_other_settings_names_them(config):
    ka.train(config)
    other = dataclasses.replace(config, resume=True, variant="cifar_v3", overrides={"epochs": 5})
    with pytest.raises(ka.UserError, match="variant: cifar_v2 before, now cifar_v3.*epochs: 2"):
        ka.train(other)
    # What the recipe says anyway may be said again.
    ka.train(dataclasses.replace(config, resume=True, overrides={"epochs": 2, "momentum": 0.9}))


def test_folder_of_another_run_is_refused_and_left_alone(config, tmp_path):
    ka.train(config)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(ka.UserError, match="already holds a run.*--resume"):
        ka.train(config)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}


def test_resume_needs_a_folder_with_a_run(config, tmp_path):
    with pytest.raises(ka.UsageError, match="--workdir"):
        ka.train(ka.TrainConfig(resume=True))
    with pytest.raises(ka.UserError, match="no config.json"):
        ka.train(ka.TrainConfig(resume=True, workdir=str(tmp_path)))


def test_best_weights_are_kept_or_the_last_as_the_recipe_says(config, tmp_path):
    found = ka.train(config)
    rows = _metrics(tmp_path / "run")
    best = max(float(row["val_top1"]) for row in rows)
    first_best = next(int(row["epoch"]) for row in rows if float(row["val_top1"]) == best)
    assert found["kept_epoch"] == first_best
    model = ka.load(tmp_path / "run").model
    validation = ka.evaluate(EvaluateConfig(model=tmp_path / "run", split="validation"))
    assert validation["images"] == 7 and validation["top1"] == pytest.approx(best)
    assert model.count_params() == 576_778 - 192 * 7 - 7  # three classes, not ten

    last = dataclasses.replace(config, workdir=str(tmp_path / "last"), recipe="document")
    found = ka.train(last)
    assert found["kept_epoch"] == 2 and found["validation_images"] == 0
    assert "val_loss" not in _metrics(last.workdir)[0]


def test_early_stopping_ends_the_run(config, tmp_path):
    overrides = {
        "epochs": 20,
        "global_batch_size": 32,
        "learning_rate": 1e-12,
        "early_stopping_patience": 2,
    }
    found = ka.train(dataclasses.replace(config, overrides=overrides))
    # At this rate nothing improves after the first epoch.
    assert found["epochs"] == 3 and len(_metrics(config.workdir)) == 3


def test_max_steps_ends_inside_an_epoch(config):
    found = ka.train(dataclasses.replace(config, max_steps=7))
    assert (found["steps"], found["epochs"]) == (7, 2)
    last = _metrics(config.workdir)[-1]
    assert float(last["images_per_second"]) == pytest.approx(32 / float(last["seconds"]), rel=1e-4)
    assert found["overrides"].endswith("max_steps=7")


def test_run_that_max_steps_ended_goes_on_where_it_was(config, tmp_path):
    config = dataclasses.replace(config, overrides={**config.overrides, "schedule": "constant"})
    ka.train(config)
    ended = dataclasses.replace(config, workdir=str(tmp_path / "ended"), max_steps=7)
    ka.train(ended)
    ka.train(
        ka.TrainConfig(workdir=ended.workdir, resume=True, max_steps=10, allow_change="max_steps")
    )
    rows = [_without_times(_metrics(workdir)) for workdir in (config.workdir, ended.workdir)]
    assert rows[0] == rows[1]
    whole, continued = (ka.load(workdir).model for workdir in (config.workdir, ended.workdir))
    for one, other in zip(whole.weights, continued.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


def test_uneven_replicas_are_refused_with_the_number(config):
    with pytest.raises(
        ka.UsageError, match="global_batch_size must be divisible by the 2 replicas. Received: 15."
    ):
        ka.train(dataclasses.replace(config, num_devices=2, overrides={"global_batch_size": 15}))


def test_two_devices_train_and_say_so(config, small_variant):
    found = ka.train(dataclasses.replace(config, num_devices=2, variant=small_variant))
    assert found["devices"] == "2 x CPU"


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "graph_bfloat16"])
def test_precision_of_a_run_is_not_of_its_file(config, precision):
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            options = tf.config.optimizer.get_experimental_options()
            rewritten = options.get("auto_mixed_precision_onednn_bfloat16", False)
            seen.append((self.model.get_layer("conv1").compute_dtype, rewritten))

    config = dataclasses.replace(config, precision=precision, max_steps=1)
    found = ka.train(config, callbacks=[Look()])
    assert seen == [("bfloat16", False) if precision == "mixed_bfloat16" else ("float32", True)]
    assert found["precision"] == precision and np.isfinite(found["test_loss"])
    assert ka.load(config.workdir).model.dtype_policy.name == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "cifar_v9"}, "Unknown variant 'cifar_v9'. Did you mean 'cifar_v"),
        ({"recipe": "papers"}, "Did you mean 'paper'"),
        ({"dataset": "cifar11"}, "Did you mean 'cifar1"),
        ({"num_classes": 4}, "num_classes must be the 3 classes of tiny. Received: 4"),
        ({"variant": "alexnet", "input_size": 40}, "at layer"),
        ({"validation_images": 72}, "Received: 72"),
        ({"precision": "float8"}, "precision must be one of float32"),
        ({"num_devices": 99}, "Received: 99"),
        ({"views": 3}, "views must be one of 1, 2, 10. Received: 3"),
        ({"seed": -1}, "seed must be 0 or more. Received: -1"),
        ({"max_steps": 0}, "max_steps must be at least 1. Received: 0"),
        ({"overrides": {"epoch": 3}}, "Did you mean 'epochs'"),
    ],
)
def test_wrong_settings_end_in_one_message_and_no_folder(config, tmp_path, changes, message):
    with pytest.raises(ka.UsageError, match=re.escape(message)):
        ka.train(dataclasses.replace(config, **changes))
    assert not (tmp_path / "run").exists()


def test_class_weights_make_every_class_count_the_same(tmp_path, config):
    folder = tmp_path / "uneven"
    write_images(folder / "train", ["many"], 40, seed=3)
    write_images(folder / "train", ["few"], 8, seed=4)
    write_images(folder / "test", ["many"], 4, seed=3)
    write_images(folder / "test", ["few"], 4, seed=4)
    losses = {}
    for class_weights in (False, True):
        changed = dataclasses.replace(
            config,
            data_dir=str(folder),
            workdir=str(tmp_path / f"run-{class_weights}"),
            class_weights=class_weights,
            validation_images=0,
            recipe="document",
            max_steps=1,
            overrides={"global_batch_size": 48},
        )
        ka.train(changed)
        losses[class_weights] = float(_metrics(changed.workdir)[0]["loss"])
    data = ka.load_dataset(DataSpec("image_folder", data_dir=folder))
    images = np.stack(
        [batch for batch, _ in ka.eval_batches(data.train, "cifar_v2", batch_size=48)]
    )
    logits = ka.build("cifar_v2", num_classes=2, seed=0)(images[0]).numpy()
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(48), data.train.labels]
    by_class = [each[data.train.labels == label].mean() for label in (0, 1)]
    assert losses[True] == pytest.approx(np.mean(by_class), rel=1e-4)
    assert losses[False] == pytest.approx(each.mean(), rel=1e-4)


def test_results_file_with_other_columns_is_refused(tmp_path, config):
    path = tmp_path / "results.csv"
    path.write_text("a,b\n1,2\n")
    row = dict.fromkeys(report.COLUMNS, 1)
    with pytest.raises(ka.UserError, match="Give --record another file"):
        files.record(path, row)
    # A run says so before it starts, not after it has ended.
    with pytest.raises(ka.UserError, match="Give --record another file"):
        ka.train(dataclasses.replace(config, record=str(path)))
    assert path.read_text() == "a,b\n1,2\n"
    assert not (tmp_path / "run").exists()


def test_corrupt_image_is_named_or_counted(tmp_path, config):
    write_images(tmp_path / "data" / "train", ["a", "b"], 10)
    write_images(tmp_path / "data" / "test", ["a", "b"], 3)
    (tmp_path / "data" / "train" / "a" / "004.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    config = dataclasses.replace(config, data_dir=str(tmp_path / "data"), max_steps=1)
    with pytest.raises(ka.UserError, match=r"train/a/004\.png.*--skip_corrupt"):
        ka.train(config)
    assert not (tmp_path / "run").exists()
    found = ka.train(dataclasses.replace(config, skip_corrupt=True))
    assert found["skipped_images"] == 1
    assert found["train_images"] + found["validation_images"] == 19


def test_image_that_breaks_while_training_is_named(tmp_path, config, monkeypatch):
    monkeypatch.setattr(data_images, "MEMORY_BUDGET_BYTES", 0)  # decoded when needed, each epoch
    write_images(tmp_path / "data" / "train", ["a", "b"], 10)
    write_images(tmp_path / "data" / "test", ["a", "b"], 3)

    class Vanish(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            (tmp_path / "data" / "train" / "b" / "007.png").unlink(missing_ok=True)

    config = dataclasses.replace(config, data_dir=str(tmp_path / "data"), validation_images=4)
    overrides = {"epochs": 50, "global_batch_size": 8}
    with pytest.raises(ka.UserError, match=r"train/b/007\.png"):
        ka.train(dataclasses.replace(config, overrides=overrides), callbacks=[Vanish()])


def test_standard_keras_callbacks_work(config):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert logs.keys() >= {"loss", "top1", "val_loss", "learning_rate"}
            self.model.stop_training = True

    seen = []
    each_batch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    overrides = {**config.overrides, "epochs": 9}
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss")
    found = ka.train(
        dataclasses.replace(config, overrides=overrides), callbacks=[Stop(), each_batch, plateau]
    )
    assert found["epochs"] == 1 and seen == [0, 1, 2, 3, 4]


def test_tensorboard_logs_where_it_is_installed(config, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    ka.train(config)
    assert list((tmp_path / "run" / "tensorboard").rglob("events.out.tfevents.*"))
