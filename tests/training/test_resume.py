"""Requests for runs: what may change at a resume, and what only by name."""

import dataclasses
import json

import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.distributed.cluster import SingleProcess
from keras_alexnet.training import resume
from keras_alexnet.training.job import TrainingJob


def _saved(**recipe):
    config = ka.TrainConfig(variant="cifar_v2", seed=3)
    run = resume.new_run(dataclasses.replace(config, overrides=recipe))
    return {
        "config": dataclasses.asdict(run.config),
        "recipe": dataclasses.asdict(run.recipe),
        "data": {"sha256": "abc"},
    }


def _resumed(saved, **given):
    return resume.resumed_run(saved, ka.TrainConfig(resume=True, workdir="run", **given))


def test_all_that_differs_is_listed_the_data_included():
    request = _resumed(
        _saved(epochs=5), variant="cifar_v3", dropout=0.2, overrides={"epochs": 6, "momentum": 0.9}
    )
    with pytest.raises(ka.UserError) as caught:
        request.changes_with("def")
    for part in (
        "variant: was cifar_v2, is now cifar_v3",
        "dropout: was None, is now 0.2",
        "epochs: was 5, is now 6",
        "data: was SHA-256 abc, is now SHA-256 def",
        "--allow_change=variant,dropout,epochs,data",
    ):
        assert part in str(caught.value)
    assert "momentum" not in str(caught.value)  # it is 0.9 already


def test_what_is_named_is_allowed_and_the_rest_is_not():
    given = {"overrides": {"learning_rate": 0.5, "epochs": 9}}
    with pytest.raises(ka.UserError, match="epochs: was 5, is now 9"):
        _resumed(_saved(epochs=5), allow_change="learning_rate", **given).changes_with("abc")
    request = _resumed(_saved(epochs=5), allow_change="learning_rate,epochs", **given)
    found = {change.name: (change.before, change.now) for change in request.changes_with("abc")}
    assert found == {"learning_rate": (0.05, 0.5), "epochs": (5, 9)}
    assert (request.recipe.learning_rate, request.recipe.epochs) == (0.5, 9)


def test_a_run_that_was_begun_with_a_value_of_no_effect_resumes():
    saved = _saved()
    saved["config"]["overrides"]["drop_factor"] = saved["recipe"]["drop_factor"] = 3.0
    assert _resumed(saved).recipe.drop_factor == 3.0


def test_named_setting_can_go_back_to_its_default():
    assert _resumed(_saved()).config.seed == 3
    assert _resumed(_saved(), allow_change="seed").config.seed == 0


def test_recipe_is_that_of_the_run_whatever_the_code_says_now():
    saved = _saved()
    saved["recipe"]["learning_rate"] = 0.123
    assert _resumed(saved).recipe.learning_rate == 0.123
    assert _resumed(saved, recipe="document", allow_change="recipe").recipe.learning_rate == 0.1


def test_place_of_the_data_and_the_guards_may_change():
    request = _resumed(_saved(), data_dir="elsewhere", on_nonfinite="step_back", num_devices=2)
    assert request.changes == [] and request.config.data_dir == "elsewhere"
    assert (request.config.on_nonfinite, request.config.num_devices) == ("step_back", 2)


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
    request = _resumed(saved, overrides={"drop_epochs": (120, 130)})
    assert request.changes == [] and request.recipe.layer_decay == {"logits": 3.0}
    assert (request.config.freeze_until, request.config.input_size) == ("conv2", 24)
    assert request.config.views == 10 and request.recipe.drop_epochs == (120, 130)
    given = {"freeze_until": "logits", "views": 1, "overrides": {"drop_epochs": (5,)}}
    found = [(c.name, c.before, c.now) for c in _resumed(saved, **given).changes]
    assert ("freeze_until", "conv2", "logits") in found and ("views", 10, 1) in found
    assert ("drop_epochs", (120, 130), (5,)) in found
    request = _resumed(saved, recipe="default", allow_change="recipe")
    assert request.recipe.layer_decay == ka.recipes.get("cuda_convnet_18pct").layer_decay


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resume": True, "workdir": "run", "allow_change": "momentun"}, "Did you mean 'momentum'"),
        ({"allow_change": "momentum"}, "--allow_change is for a resumed run"),
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
    strategy = tf.distribute.get_strategy()
    # "shapes" takes no data_dir, and the run's is taken over.
    request = _resumed(saved, dataset="shapes", activation="tanh")
    with pytest.raises(ka.UserError, match="dataset: was image_folder, is now shapes; .*tanh"):
        TrainingJob.load(request, SingleProcess(), strategy, origin={})
