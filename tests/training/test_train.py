"""Whole runs on a few small images."""

import csv
import dataclasses
import json
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, EvaluateConfig
from keras_alexnet.data import memory_budget
from keras_alexnet.training import report
from keras_alexnet.utils import files, tensorflow_private
from support.callbacks import Seen, before_epoch
from support.image_folders import write_images
from support.machines import X86, set_machine
from support.run_ends import metrics

RESULT_KEYS = (
    "variant recipe dataset train_images test_images data_sha256 seed epochs global_batch_size "
    "precision devices test_loss test_top1 test_top5 views test_top1_one_view seconds "
    "seconds_per_epoch peak_memory_bytes commit tensorflow keras date"
).split()


@pytest.fixture(scope="module")
def ended(config_in, tmp_path_factory):
    """A run that has ended: its config, and what `train` returned."""
    folder = tmp_path_factory.mktemp("ended")
    config = config_in(
        folder / "run",
        views=2,
        record=str(folder / "results.csv"),
        overrides={"learning_rate": 0.02},
    )
    return config, ka.train(config)


def test_run_leaves_everything_that_it_promises(ended, small_variant):
    config, found = ended
    workdir = pathlib.Path(config.workdir)
    for name in (
        "model.keras config.json metrics.csv results.json labels.txt curves.png confusion.png "
        "per_class.png per_class.csv"
    ).split():
        assert (workdir / name).stat().st_size > 0, name
    assert found["log"] == {"csv": "metrics.csv"} and not (workdir / "tensorboard").exists()
    assert not [path for path in workdir.parent.rglob(".*")], "half-written files or locks remain"

    written = json.loads((workdir / "results.json").read_text())
    assert written == found
    assert set(RESULT_KEYS) <= written.keys()
    assert (written["variant"], written["dataset"], written["epochs"]) == (small_variant, "tiny", 2)
    # A tenth of 72 is held out.
    assert (written["train_images"], written["validation_images"]) == (65, 7)
    assert (written["test_images"], written["views"], written["steps"]) == (24, 2, 10)
    assert written["peak_memory_bytes"] > 10**8
    model = str(workdir / "model.keras")
    data = {"dataset": "image_folder", "data_dir": config.data_dir}
    one_view = ka.evaluate(EvaluateConfig(model=model, views=1, **data))
    assert one_view["top1"] == written["test_top1_one_view"]
    assert written["per_class_accuracy"].keys() == {"cat", "dog", "owl"}
    assert written["overrides"] == "epochs=2 global_batch_size=16 learning_rate=0.02"

    with open(config.record, newline="") as file:
        (row,) = csv.DictReader(file)
    assert set(RESULT_KEYS) <= row.keys()
    assert float(row["test_top1"]) == pytest.approx(written["test_top1"], abs=1e-5)

    with open(workdir / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["dataset"] for row in rows} == {"tiny"}
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "top1", "top5", "learning_rate", "images_per_second"} <= rows[0].keys()
    recorded = json.loads((workdir / "config.json").read_text())
    assert recorded["recipe"]["epochs"] == 2 and recorded["recipe"]["optimizer"] == "sgd"
    assert recorded["data"]["name"] == "tiny"


def test_saved_model_loads_by_keras_itself_and_agrees_with_the_results(ended):
    config, found = ended
    network = ka.load(config.workdir)
    assert network.labels == ("cat", "dog", "owl")
    assert network.model.dtype_policy.name == "float32"
    plain = keras.models.load_model(f"{config.workdir}/model.keras")
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    np.testing.assert_array_equal(plain(images), network.model(images))
    again = ka.evaluate(EvaluateConfig(model=config.workdir, views=2))
    assert again["loss"] == pytest.approx(found["test_loss"], rel=1e-5)
    assert again["top1"] == found["test_top1"]


def test_best_weights_are_kept(ended):
    config, found = ended
    rows = metrics(config.workdir)
    best = max(float(row["val_top1"]) for row in rows)
    first_best = next(int(row["epoch"]) for row in rows if float(row["val_top1"]) == best)
    assert found["kept_epoch"] == first_best
    validation = ka.evaluate(EvaluateConfig(model=config.workdir, split="validation"))
    assert validation["images"] == 7 and validation["top1"] == pytest.approx(best, abs=1e-5)


def test_resuming_an_ended_run_returns_its_results_and_records_them_once(ended, tmp_path):
    config, found = ended
    again = ka.TrainConfig(workdir=config.workdir, resume=True, record=str(tmp_path / "r.csv"))
    for _ in range(2):
        assert ka.train(again) == found
        assert len(files.read_rows(tmp_path / "r.csv", report.COLUMNS)) == 1


def test_resuming_with_different_settings_names_them(ended):
    config, found = ended
    again = dataclasses.replace(config, resume=True, variant="cifar_v3", overrides={"epochs": 5})
    with pytest.raises(ka.UserError, match="variant: was cifar_small, is now cifar_v3.*epochs: wa"):
        ka.train(again)
    # What the recipe says anyway may be said again.
    same = dataclasses.replace(config, resume=True, overrides={"epochs": 2, "momentum": 0.9})
    assert ka.train(same) == found


def test_folder_of_another_run_is_refused_and_left_as_it_is(ended):
    config, _ = ended
    files_of_run = list(pathlib.Path(config.workdir).rglob("*"))
    before = {path: path.stat().st_mtime_ns for path in files_of_run}
    with pytest.raises(ka.UserError, match="already holds a run.*--resume"):
        ka.train(config)
    assert before == {path: path.stat().st_mtime_ns for path in files_of_run}


@pytest.mark.processes
def test_same_seed_same_run_and_another_seed_another(ended, tmp_path):
    config, _ = ended
    found = [metrics(config.workdir)]
    for seed in (0, 1):
        workdir = str(tmp_path / str(seed))
        ka.train(dataclasses.replace(config, workdir=workdir, seed=seed, record=None))
        found.append(metrics(workdir))
    assert found[0] == found[1]
    assert found[0][0]["loss"] != found[2][0]["loss"]


def test_last_weights_are_kept_if_the_recipe_says_so(config):
    found = ka.train(dataclasses.replace(config, variant="cifar_v2", recipe="document"))
    assert found["kept_epoch"] == 2 and found["validation_images"] == 0
    assert "val_loss" not in metrics(config.workdir)[0]
    # Three classes, not ten.
    assert ka.load(config.workdir).model.count_params() == 576_778 - 192 * 7 - 7


def test_settings_change_the_network(config):
    changes = {"overlapping_pooling": False, "initial_weights": "normal(0.2)", "pixel_std": 64.0}
    overrides = {"learning_rate": 1e-12}
    found = ka.train(
        dataclasses.replace(config, variant="cifar_v2", max_steps=1, overrides=overrides, **changes)
    )
    for name, value in changes.items():
        assert f"{name}={value}" in found["overrides"]
    model = ka.load(config.workdir).model
    assert model.get_layer("standardize").std == [64.0] * 3
    assert model.get_layer("pool2").pool_size == (2, 2)
    kernel, bias = model.get_layer("fc3").get_weights()
    assert np.std(kernel) == pytest.approx(0.2, rel=0.01) and not np.any(np.abs(bias) > 1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lrn": True}, "cifar_small has no response normalization"),
        ({"initial_weights": "small"}, "Unknown initial_weights 'small'"),
        ({"weights": "a.keras", "pixel_std": 1.0}, "pixel_std does not go with weights"),
    ],
)
def test_changes_that_cannot_be_made_are_found_before_the_data_are_read(config, settings, message):
    config = dataclasses.replace(config, data_dir="/nowhere", **settings)
    with pytest.raises(ka.UserError, match=message):
        ka.train(config)


def test_resume_needs_a_folder_with_a_run(tmp_path):
    with pytest.raises(ka.UsageError, match="--workdir"):
        ka.train(ka.TrainConfig(resume=True))
    with pytest.raises(ka.UserError, match="no config.json"):
        ka.train(ka.TrainConfig(resume=True, workdir=str(tmp_path)))


def test_early_stopping_ends_the_run(config):
    overrides = {
        "epochs": 20,
        "global_batch_size": 32,
        "learning_rate": 1e-12,
        "early_stopping_patience": 2,
    }
    found = ka.train(dataclasses.replace(config, overrides=overrides))
    # At this rate nothing improves after the first epoch.
    assert found["epochs"] == 3 and len(metrics(config.workdir)) == 3


@pytest.mark.parametrize("precision", ["graph_bfloat16", "auto"])
def test_precision_of_a_run_is_not_of_its_file(config, precision, monkeypatch, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    if not tensorflow_private.onednn_is_on():
        pytest.skip("needs oneDNN")
    set_machine(monkeypatch, tmp_path, X86)
    seen = []

    def look(model):
        options = tf.config.optimizer.get_experimental_options()
        rewritten = options.get("auto_mixed_precision_onednn_bfloat16", False)
        seen.append((model.get_layer("conv1").compute_dtype, rewritten))

    config = dataclasses.replace(config, precision=precision, max_steps=1)
    found = ka.train(config, callbacks=[before_epoch(1, look)])
    assert seen == [("bfloat16", False) if precision == "auto" else ("float32", True)]
    wanted = ("mixed_bfloat16", "auto: this processor has bf16 instructions")
    if precision != "auto":
        wanted = (precision, "as given")
    written = json.loads((pathlib.Path(config.workdir) / "config.json").read_text())
    assert (written["config"]["precision"], written["precision_why"]) == wanted
    assert (found["precision"], found["precision_why"]) == wanted
    said = [line for line in caplog.messages if line.startswith("precision: auto (")]
    assert len(said) == (precision == "auto")
    assert np.isfinite(found["test_loss"])
    assert ka.load(config.workdir).model.dtype_policy.name == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "cifar_v9"}, "Unknown variant 'cifar_v9'. Did you mean 'cifar_v"),
        ({"recipe": "papers"}, "Did you mean 'paper'"),
        ({"dataset": "cifar11"}, "Did you mean 'cifar1"),
        ({"num_classes": 4}, "num_classes must be 3, the number of classes of tiny. Received: 4"),
        ({"variant": "alexnet", "input_size": 40}, "at layer"),
        ({"validation_images": 72}, "Received: 72"),
        ({"precision": "float8"}, "Unknown precision 'float8'. Did you mean 'float32'?"),
        ({"num_devices": 99}, "Received: 99"),
        (
            {"num_devices": 2, "overrides": {"global_batch_size": 15}},
            "global_batch_size must be divisible by the 2 replicas. Received: 15.",
        ),
        ({"views": 3}, "Unknown views 3."),
        ({"seed": -1}, "seed must be a whole number of at least 0. Received: -1"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 1. Received: 0"),
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
    config = dataclasses.replace(
        config,
        variant="cifar_v2",
        data_dir=str(folder),
        class_weights=True,
        validation_images=0,
        recipe="document",
        max_steps=1,
        overrides={"global_batch_size": 48},
    )
    loss = ka.train(config)["last_epoch"]["loss"]
    data = ka.load_dataset(DataSpec("image_folder", data_dir=folder))
    [images] = [batch for batch, _ in ka.eval_batches(data.train, "cifar_v2", batch_size=48)]
    logits = ka.build("cifar_v2", num_classes=2, seed=0)(images).numpy()
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(48), data.train.labels]
    by_class = [each[data.train.labels == label].mean() for label in (0, 1)]
    assert loss == pytest.approx(np.mean(by_class), rel=1e-4)
    assert loss != pytest.approx(each.mean(), rel=1e-3)


def test_results_file_with_different_columns_is_refused(tmp_path, config):
    path = tmp_path / "results.csv"
    path.write_text("a,b\n1,2\n")
    # A run says so before it starts, not after it has ended.
    with pytest.raises(ka.UserError, match="--record"):
        ka.train(dataclasses.replace(config, record=str(path)))
    assert path.read_text() == "a,b\n1,2\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "place"),
    [("record", ""), ("record", "file/a.csv"), ("workdir", "file"), ("workdir", "file/a")],
)
def test_outputs_that_cannot_be_written_are_found_before_the_data_are_read(
    tmp_path, config, monkeypatch, field, place
):
    def too_late(*_, **__):
        raise AssertionError("the data were read")

    monkeypatch.setattr("keras_alexnet.training.job.load_dataset", too_late)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ka.UserError, match=f"{field} must be a (file|folder).*Received: "):
        ka.train(dataclasses.replace(config, **{field: tmp_path / place}))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["metrics.csv", "results.json"])
def test_a_record_that_the_run_would_overwrite_is_refused(tmp_path, config, name):
    with pytest.raises(ka.UsageError, match="record must not be a file of the run itself"):
        ka.train(dataclasses.replace(config, record=tmp_path / "run" / name))
    assert not list(tmp_path.iterdir())


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
    monkeypatch.setattr(memory_budget, "BYTES", 0)  # decoded when needed, each epoch
    write_images(tmp_path / "data" / "train", ["a", "b"], 10)
    write_images(tmp_path / "data" / "test", ["a", "b"], 3)
    vanish = before_epoch(1, lambda _: (tmp_path / "data/train/b/007.png").unlink())
    config = dataclasses.replace(config, data_dir=str(tmp_path / "data"), validation_images=4)
    overrides = {"epochs": 50, "global_batch_size": 8}
    with pytest.raises(ka.UserError, match=r"train/b/007\.png"):
        ka.train(dataclasses.replace(config, overrides=overrides), callbacks=[vanish])


def test_standard_keras_callbacks_work(config):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert logs.keys() >= {"loss", "top1", "val_loss", "learning_rate"}
            self.model.stop_training = True

    seen = Seen()
    config = dataclasses.replace(config, overrides={**config.overrides, "epochs": 9})
    plateau = keras.callbacks.ReduceLROnPlateau("val_loss")
    found = ka.train(config, callbacks=[Stop(), seen, plateau])
    assert found["epochs"] == 1 and seen.batches == [0, 1, 2, 3, 4]


def test_every_step_has_the_rate_of_the_schedule(config):
    found = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(float(self.model.optimizer.learning_rate))

    drops = {"schedule": "drops", "drop_epochs": (1.4,), "learning_rate": (rate := 0.01)}
    overrides = {**config.overrides, "epochs": 2, "warmup_steps": 0, **drops}
    ka.train(dataclasses.replace(config, overrides=overrides), callbacks=[Rates()])
    np.testing.assert_allclose(found, [rate] * 7 + [rate / 10] * 3, rtol=1e-6)
