"""A run on few images is long enough, and says what is short."""

import dataclasses
import json
import re

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.splits import Split
from keras_alexnet.training import length, recipes
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.schedule import Schedule


def _config(**fields):
    overrides = {"global_batch_size": 128, "min_steps": 100, **fields.pop("overrides", {})}
    return TrainConfig(variant="cifar_v2", overrides=overrides, **fields)


def _plan(config, images, classes=3):
    """The epochs of a run on so many images, and its remarks."""
    split = Split.of(ImageArray(np.zeros([images, 2, 2, 3], np.uint8)), np.zeros(images))
    recipe = recipes.get(config.variant, config.recipe, **config.overrides)
    recipe = length.fitted(recipe, config, split, classes)
    assert length.fitted(recipe, config, split, classes) == recipe
    steps = -(-images // recipe.global_batch_size)
    planned = length.Length(
        recipe.epochs, steps, images, recipe.global_batch_size, config.max_steps
    )
    schedule = Schedule(recipe, planned.total_steps, steps, has_validation=True)
    return recipe.epochs, " ".join(length.remarks(config, planned, schedule, classes))


def test_few_images_get_more_epochs_and_many_do_not():
    usual = recipes.get("cifar_v2").epochs
    epochs, said = _plan(_config(overrides={"min_steps": 600}), 360)
    assert epochs == 200
    assert f"360 training images: 200 epochs instead of {usual}, so that the run has at" in said
    assert "at least 600 steps. --epochs sets another number." in said
    epochs, said = _plan(_config(overrides={"min_steps": 600}), 45_000)
    assert (epochs, said) == (usual, "")


def test_another_optimizer_than_the_recipes_is_said():
    _, said = _plan(_config(overrides={"optimizer": "adam"}), 45_000)
    assert "adam instead of the recipe's muon: the learning rate is 0.001, and not" in said
    _, said = _plan(_config(overrides={"optimizer": "adam", "learning_rate": 0.01}), 45_000)
    assert "adam instead of the recipe's muon. What" in said
    assert _plan(_config(overrides={"optimizer": "muon"}), 45_000)[1] == ""


def test_epochs_that_are_given_stay():
    for epochs in (3, 40):
        found, said = _plan(_config(overrides={"min_steps": 600, "epochs": epochs}), 360)
        assert found == epochs and "instead of" not in said


@pytest.mark.parametrize(("classes", "rate"), [(10, 0.1), (200, 2.0), (1000, 2.0)])
def test_few_classes_get_a_lower_rate_at_some_layers(classes, rate):
    recipe = dataclasses.replace(
        recipes.get("cifar_v2"),
        layer_rates={"conv1": 3.0, "logits": 2.0},
        layer_reference_classes={"logits": 200},
    )
    fitted = length.slowed(recipe, classes)
    assert fitted.layer_rates == {"conv1": 3.0, "logits": pytest.approx(rate)}
    assert length.slowed(fitted, classes) == fitted


def test_lower_rates_are_said():
    config = dataclasses.replace(_config(), variant="alexnet")
    said = "it takes 0.2 times the rate of other layers at fc7 and 0.02 times"
    assert said in _plan(config, 45_000, classes=10)[1]
    assert (
        "it takes 0.2 times the rate of other layers at logits."
        in (_plan(config, 45_000, classes=100)[1])
    )
    assert "it takes" not in _plan(config, 45_000, classes=500)[1]


def test_few_images_are_said_unless_the_run_starts_from_weights():
    said = "360 training images of 4 classes are few. Trained weights learn more from them"
    assert said in _plan(_config(), 360, classes=4)[1]
    assert "are few" not in _plan(_config(), 360, classes=3)[1]
    assert "are few" not in _plan(_config(weights="trained.keras"), 360, classes=4)[1]


@pytest.mark.parametrize(
    ("overrides", "max_steps", "said"),
    [
        ({"epochs": 3}, None, "99 steps are few, and the network may still guess after them."),
        ({"epochs": 20}, 40, "40 steps are few, .* Pass more --epochs or --max_steps."),
        ({"epochs": 20, "warmup_steps": 500}, None, "660 steps are few: .* to 0.053 instead of 0."),
    ],
)
def test_few_steps_are_said(overrides, max_steps, said):
    rate = {"learning_rate": 0.08}
    config = _config(overrides={**overrides, **rate}, max_steps=max_steps)
    assert re.search(said, _plan(config, 33 * 128)[1])


def test_a_rise_of_half_the_run_is_enough():
    assert _plan(_config(overrides={"epochs": 20, "warmup_steps": 330}), 33 * 128)[1] == ""


@pytest.mark.slow
def test_a_resumed_run_has_the_length_that_it_said(config_in, small_variant, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    usual = recipes.get(small_variant).epochs
    few = {"global_batch_size": 16, "min_steps": 5 * usual + 1, "learning_rate": 1e-9}
    config = dataclasses.replace(config_in(tmp_path / "run", max_steps=6), overrides=few)
    results = ka.train(config)
    [said] = [line for line in results["length_remarks"] if "epochs instead of" in line]
    assert caplog.text.count(said) == 1
    assert f"{usual + 1} epochs instead of {usual}" in said
    described = json.loads((tmp_path / "run" / "config.json").read_text())
    assert described["recipe"]["epochs"] == results["recipe_as_run"]["epochs"]
    resumed = dataclasses.replace(
        config, overrides={}, max_steps=7, resume=True, allow_change="max_steps"
    )
    with pytest.raises(ka.UserError, match=f"epochs: was {usual + 1}, is now {usual}"):
        ka.train(dataclasses.replace(resumed, overrides={"epochs": usual}))
    results = ka.train(resumed)
    assert results["recipe_as_run"]["epochs"] == usual + 1 and results["steps"] == 7
    assert said in results["length_remarks"]
