"""What may change between stop and resume, and what only by name."""

import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.training import job, resume


class _Stop(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == self.step:
            raise RuntimeError("killed")


def _killed_at(config, step):
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(config, callbacks=[_Stop(step)])


def _saved(**recipe):
    config = ka.TrainConfig(variant="cifar_v2", seed=3)
    run = resume.new_run(dataclasses.replace(config, overrides=recipe))
    return {
        "config": dataclasses.asdict(run.config),
        "recipe": dataclasses.asdict(run.recipe),
        "data": {"sha256": "abc"},
    }


def _asked(saved, **given):
    return resume.resumed_run(saved, ka.TrainConfig(resume=True, workdir="run", **given))


def test_all_that_differs_is_listed_the_data_included():
    asked = _asked(
        _saved(epochs=5), variant="cifar_v3", dropout=0.2, overrides={"epochs": 6, "momentum": 0.9}
    )
    data = dataclasses.make_dataclass("Data", ["sha256"])("def")
    with pytest.raises(ka.UserError) as caught:
        asked.changes_with(data)
    for part in (
        "variant: cifar_v2 before, now cifar_v3",
        "dropout: None before, now 0.2",
        "epochs: 5 before, now 6",
        "data: SHA-256 abc before, now SHA-256 def",
        "--allow_change=variant,dropout,epochs,data",
    ):
        assert part in str(caught.value)
    assert "momentum" not in str(caught.value)  # it is 0.9 already


def test_what_is_named_is_allowed_and_the_rest_is_not():
    data = dataclasses.make_dataclass("Data", ["sha256"])("abc")
    given = {"overrides": {"learning_rate": 0.5, "epochs": 9}}
    with pytest.raises(ka.UserError, match="epochs: 5 before, now 9"):
        _asked(_saved(epochs=5), allow_change="learning_rate", **given).changes_with(data)
    asked = _asked(_saved(epochs=5), allow_change="learning_rate,epochs", **given)
    found = {change.name: (change.before, change.now) for change in asked.changes_with(data)}
    assert found == {"learning_rate": (0.08, 0.5), "epochs": (5, 9)}
    assert (asked.recipe.learning_rate, asked.recipe.epochs) == (0.5, 9)


def test_named_setting_can_go_back_to_its_default():
    assert _asked(_saved()).config.seed == 3
    assert _asked(_saved(), allow_change="seed").config.seed == 0


def test_recipe_is_that_of_the_run_whatever_the_code_says_now():
    saved = _saved()
    saved["recipe"]["learning_rate"] = 0.123
    assert _asked(saved).recipe.learning_rate == 0.123
    assert _asked(saved, recipe="document", allow_change="recipe").recipe.learning_rate == 0.1


def test_place_of_the_data_and_the_guards_may_change():
    asked = _asked(_saved(), data_dir="elsewhere", on_nonfinite="step_back", num_devices=2)
    assert asked.changes == [] and asked.config.data_dir == "elsewhere"
    assert (asked.config.on_nonfinite, asked.config.num_devices) == ("step_back", 2)


def test_recipes_own_settings_are_taken_where_none_are_given():
    given = {"variant": "cuda_convnet_80sec", "recipe": "document"}
    config = resume.new_run(ka.TrainConfig(**given)).config
    assert (config.input_size, config.views, config.freeze_until) == (24, 10, "")
    config = resume.new_run(ka.TrainConfig(**given, views=1, input_size=32)).config
    assert (config.input_size, config.views) == (32, 1)
    assert resume.new_run(ka.TrainConfig(variant="cifar_v2")).config.views == 1
    given = {"variant": "alexnet_2012", "recipe": "document"}
    assert resume.new_run(ka.TrainConfig(**given)).config.freeze_until == "conv2"
    assert resume.new_run(ka.TrainConfig(**given, freeze_until="")).config.freeze_until == ""


def test_tables_drops_and_freezing_are_those_of_the_run():
    config = ka.TrainConfig(variant="cuda_convnet_18pct", recipe="document", freeze_until="conv2")
    run = resume.new_run(config)
    saved = {"config": dataclasses.asdict(run.config), "recipe": run.recipe.as_json()}
    saved = json.loads(json.dumps({**saved, "data": {"sha256": "abc"}}))
    saved["recipe"]["layer_decay"] = {"logits": 3.0}  # as the code may say otherwise some day
    asked = _asked(saved, overrides={"drop_epochs": (120, 130)})
    assert asked.changes == [] and asked.recipe.layer_decay == {"logits": 3.0}
    assert (asked.config.freeze_until, asked.config.input_size) == ("conv2", 24)
    assert asked.config.views == 10 and asked.recipe.drop_epochs == (120, 130)
    given = {"freeze_until": "logits", "views": 1, "overrides": {"drop_epochs": (5,)}}
    found = [(c.name, c.before, c.now) for c in _asked(saved, **given).changes]
    assert ("freeze_until", "conv2", "logits") in found and ("views", 10, 1) in found
    assert ("drop_epochs", (120, 130), (5,)) in found
    asked = _asked(saved, recipe="default", allow_change="recipe")
    assert asked.recipe.layer_decay == {"logits": 250.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resume": True, "workdir": "run", "allow_change": "momentun"}, "Did you mean 'momentum'"),
        ({"allow_change": "momentum"}, "--allow_change is for a run that goes on"),
    ],
)
def test_allow_change_is_checked(given, message):
    config = ka.TrainConfig(**given)
    with pytest.raises(ka.UsageError, match=message):
        resume.resumed_run(_saved(), config) if config.resume else resume.new_run(config)


def test_what_differs_is_listed_even_if_the_data_cannot_be_had(tmp_path):
    run = resume.new_run(ka.TrainConfig(dataset="image_folder", data_dir=str(tmp_path)))
    saved = {
        "config": dataclasses.asdict(run.config),
        "recipe": dataclasses.asdict(run.recipe),
        "data": {"sha256": "abc"},
    }
    plan = ka.variants.get("cifar_v1").image_plan_for()
    strategy = tf.distribute.get_strategy()
    # "shapes" takes no data_dir, and the run's is taken over.
    asked = _asked(saved, dataset="shapes", activation="tanh")
    with pytest.raises(ka.UserError, match="dataset: image_folder before, now shapes; .*tanh"):
        job.load_job(asked, plan, strategy, Cluster(strategy))


def test_changed_run_goes_on_and_records_what_changed(config, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(config.data_dir, data)
    config = dataclasses.replace(config, data_dir=str(data), checkpoint_every_steps=1)
    _killed_at(config, 7)
    shutil.copy(data / "train" / "cat" / "000.png", data / "train" / "cat" / "100.png")
    again = ka.TrainConfig(
        workdir=config.workdir, resume=True, overrides={"global_batch_size": 8, "epochs": 3}
    )
    with pytest.raises(ka.UserError, match="global_batch_size: 16 .*epochs: 2 .*data: SHA-256"):
        ka.train(again)
    found = ka.train(
        dataclasses.replace(again, allow_change="global_batch_size,epochs,data"),
        callbacks=[_Epochs()],
    )
    # Epoch 2 begins anew with its smaller steps: 73 images, a tenth held out, by 8 are 9.
    assert _Epochs.seen == [1, 2] and (found["epochs"], found["steps"]) == (3, 27)
    assert [c["name"] for c in found["changes"]] == ["global_batch_size", "epochs", "data"]
    described = json.loads((pathlib.Path(config.workdir) / "config.json").read_text())
    assert described["changes"] == found["changes"]
    assert described["recipe"]["global_batch_size"] == 8
    # From now on these are the run's settings.
    assert ka.train(ka.TrainConfig(workdir=config.workdir, resume=True)) == found


class _Epochs(keras.callbacks.Callback):
    seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)


@pytest.mark.slow
def test_number_of_devices_may_change(config):
    config = dataclasses.replace(config, dropout=0.0, checkpoint_every_steps=1)
    _killed_at(config, 3)
    again = ka.TrainConfig(workdir=config.workdir, resume=True, num_devices=2)
    _killed_at(again, 7)
    found = ka.train(dataclasses.replace(again, num_devices=1))
    assert found["devices"] == "1 x CPU" and found["steps"] == 10
    whole = dataclasses.replace(config, workdir=f"{config.workdir}-whole")
    assert found["test_loss"] == pytest.approx(ka.train(whole)["test_loss"], rel=1e-4)
    weights = [ka.load(run.workdir).model.get_weights() for run in (config, whole)]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
