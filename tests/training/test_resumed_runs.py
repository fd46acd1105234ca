"""Resumed runs end as runs that were never stopped; changes that are allowed take effect."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.training import report
from keras_alexnet.utils import files
from support.callbacks import Seen, crash_at
from support.run_ends import assert_same_end, metrics


def _crashed(config, step):
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(config, callbacks=[crash_at(step)])


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(1, id="one device"),
        pytest.param(2, id="two devices", marks=pytest.mark.slow),
    ],
)
def never_stopped(request, config_in, tmp_path_factory):
    """A run of 10 steps with dropout, crops, flips and color noise, saved every 4 steps."""
    config = config_in(
        tmp_path_factory.mktemp("whole") / "run",
        checkpoint_every_steps=4,
        num_devices=request.param,
        overrides={"augment": ("crop", "flip", "color_noise(paper)")},
    )
    ka.train(config)
    return config


# An epoch has 5 steps; the newest checkpoints are then those of step 4, of step 5 and of step 8.
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(5, id="inside an epoch"),
        pytest.param(7, id="between epochs", marks=pytest.mark.slow),
        pytest.param(10, id="after the last step", marks=pytest.mark.slow),
    ],
)
def test_resumed_run_ends_as_one_never_stopped(never_stopped, tmp_path, step):
    killed = dataclasses.replace(
        never_stopped, workdir=str(tmp_path / "killed"), record=str(tmp_path / "r.csv")
    )
    _crashed(killed, step)
    # Nothing but the folder is needed to resume, the number of devices included.
    found = ka.train(ka.TrainConfig(workdir=killed.workdir, resume=True))
    assert_same_end(killed.workdir, never_stopped.workdir)
    assert found["devices"] == f"{never_stopped.num_devices} x CPU"
    assert len(files.read_rows(tmp_path / "r.csv", report.COLUMNS)) == 1
    assert found["seconds"] > 2 * found["seconds_per_epoch"]  # of both processes


@pytest.mark.processes
def test_run_that_max_steps_ended_resumes_where_it_was(config, tmp_path):
    config = dataclasses.replace(config, overrides={**config.overrides, "schedule": "constant"})
    ka.train(config)
    ended = dataclasses.replace(config, workdir=str(tmp_path / "ended"), max_steps=7)
    found = ka.train(ended)
    assert (found["steps"], found["epochs"]) == (7, 2)
    assert found["overrides"].endswith("max_steps=7")
    last = found["last_epoch"]
    assert last["images_per_second"] == pytest.approx(32 / last["seconds"], rel=1e-4)
    ka.train(
        ka.TrainConfig(workdir=ended.workdir, resume=True, max_steps=10, allow_change="max_steps")
    )
    assert_same_end(ended.workdir, config.workdir)


@pytest.mark.processes
def test_changed_run_resumes_and_records_what_changed(config, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(config.data_dir, data)
    config = dataclasses.replace(config, data_dir=str(data), checkpoint_every_steps=1)
    _crashed(config, 7)
    shutil.copy(data / "train" / "cat" / "000.png", data / "train" / "cat" / "100.png")
    again = ka.TrainConfig(
        workdir=config.workdir, resume=True, overrides={"global_batch_size": 8, "epochs": 3}
    )
    with pytest.raises(ka.UserError, match="global_batch_size: was 16.*epochs: was 2.*data: was"):
        ka.train(again)
    seen = Seen()
    allowed = dataclasses.replace(again, allow_change="global_batch_size,epochs,data")
    found = ka.train(allowed, callbacks=[seen])
    # Epoch 2 starts again with its smaller steps: 73 images, a tenth held out, by 8 are 9.
    assert seen.epochs == [2, 3] and (found["epochs"], found["steps"]) == (3, 27)
    assert [c["name"] for c in found["changes"]] == ["global_batch_size", "epochs", "data"]
    described = json.loads((pathlib.Path(config.workdir) / "config.json").read_text())
    assert described["changes"] == found["changes"]
    assert described["recipe"]["global_batch_size"] == 8
    # From now on these are the run's settings.
    assert ka.train(ka.TrainConfig(workdir=config.workdir, resume=True)) == found


@pytest.mark.slow
def test_number_of_devices_may_change(config):
    config = dataclasses.replace(config, dropout=0.0, checkpoint_every_steps=1)
    _crashed(config, 3)
    again = ka.TrainConfig(workdir=config.workdir, resume=True, num_devices=2)
    _crashed(again, 7)
    found = ka.train(dataclasses.replace(again, num_devices=1))
    assert found["devices"] == "1 x CPU" and found["steps"] == 10
    whole = dataclasses.replace(config, workdir=f"{config.workdir}-whole")
    assert found["test_loss"] == pytest.approx(ka.train(whole)["test_loss"], rel=1e-4)
    weights = [ka.load(run.workdir).model.get_weights() for run in (config, whole)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_run_resumed_amid_drop_freezing_and_the_end_of_noise_ends_as_one_never_stopped(config):
    # Two epochs of 5 steps: a drop after 6, and after the first epoch conv1 and the noise end.
    changing = {
        **{"schedule": "drops", "drop_epochs": (1.2,), "learning_rate": 0.01, "bias_rate": 2.0},
        **{"augment": ("crop", "flip", "color_noise(2012, until=1)"), "freeze_from_epoch": 1},
        **{"keep": "last", "weight_decay": 0.01, "warmup_steps": 0},
    }
    config = dataclasses.replace(
        config, overrides={**config.overrides, **changing}, freeze_until="conv2"
    )
    seen = Seen()
    found = ka.train(config, callbacks=[seen])
    assert seen.rates == pytest.approx([0.01] * 6 + [0.001] * 4)
    pairs = zip(seen.kernels, seen.kernels[1:], strict=False)
    assert [not np.array_equal(*pair) for pair in pairs] == [True] * 4 + [False] * 5
    assert found["freeze_until"] == "conv2" and "freeze_until=conv2" in found["overrides"]

    killed = dataclasses.replace(
        config, workdir=f"{config.workdir}-killed", checkpoint_every_steps=7
    )
    _crashed(killed, 8)
    again = ka.TrainConfig(workdir=killed.workdir, resume=True)
    with pytest.raises(ka.UserError, match="freeze_until: was conv2, is now logits"):
        ka.train(dataclasses.replace(again, freeze_until="logits"))
    ka.train(again)
    assert_same_end(killed.workdir, config.workdir)


@pytest.mark.processes
def test_two_stages_of_cuda_convnet_at_24_pixels_with_ten_views(config):
    # As the note of cuda_convnet_11pct says, with its numbers made small: 58 images, then all 72.
    small = {"global_batch_size": 16, "drop_epochs": (2,)}
    config = dataclasses.replace(config, variant="cuda_convnet_80sec", recipe="document")
    first = {**small, "epochs": 1, "validation_fraction": 0.2}
    found = ka.train(dataclasses.replace(config, overrides=first))
    assert (found["train_images"], found["validation_images"], found["steps"]) == (58, 14, 4)
    assert found["views"] == 10 and "input_size" not in found["overrides"]
    second = ka.TrainConfig(
        workdir=config.workdir,
        resume=True,
        overrides={"epochs": 3, "validation_fraction": 0.0},
        allow_change="validation_fraction,epochs",
    )
    seen = Seen()
    found = ka.train(second, callbacks=[seen])
    assert (found["train_images"], found["validation_images"], found["epochs"]) == (72, 0, 3)
    assert seen.rates == pytest.approx([0.001] * 5 + [0.0001] * 5)
    assert [row["val_top1"] for row in metrics(config.workdir)][1:] == ["nan", "nan"]
    described = json.loads((pathlib.Path(config.workdir) / "config.json").read_text())
    assert (described["config"]["input_size"], described["config"]["views"]) == (24, 10)
    assert described["recipe"]["layer_decay"] == {"fc64": 7.5, "logits": 7.5}
    assert ka.load(config.workdir).model.input_shape == (None, 24, 24, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"freeze_until": "conv1"}, "none before the first: .* Received: freeze_until=conv1"),
        ({"freeze_until": "conv9"}, "freeze_until must be a layer of the network: conv1, pool1"),
        ({"overrides": {"freeze_from_epoch": 3}}, "--freeze_from_epoch=0"),
    ],
)
def test_freezing_is_checked_before_the_data_are_read(config, given, message):
    with pytest.raises(ka.UsageError, match=message):
        ka.train(dataclasses.replace(config, data_dir="nowhere", **given))
