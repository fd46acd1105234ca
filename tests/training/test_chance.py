"""Runs that learn nothing are noticed."""

import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.training import recipes
from keras_alexnet.training.chance import ChanceWatch, loss_of_guessing
from keras_alexnet.training.step import TrainStep


@pytest.mark.parametrize(
    ("frequencies", "smoothing", "expected"),
    [
        ([0.1] * 10, 0.0, math.log(10)),
        ([0.1] * 10, 0.1, math.log(10)),
        ([0.9, 0.1], 0.0, -0.9 * math.log(0.9) - 0.1 * math.log(0.1)),
        ([1.0, 0.0], 0.2, -0.9 * math.log(0.9) - 0.1 * math.log(0.1)),
        ([1.0, 0.0], 0.0, 0.0),
    ],
)
def test_loss_of_guessing_is_the_entropy_of_the_targets(frequencies, smoothing, expected):
    assert loss_of_guessing(np.array(frequencies), smoothing) == pytest.approx(expected)


class _Losses:
    """What `ChanceWatch` asks of a step; epochs end where `reset` is called."""

    def __init__(self):
        self.sums, self.totals = [0.0] * 5, self

    def add(self, loss, images=100):
        self.sums[0] += loss * images
        self.sums[3] += images

    def values(self):
        return list(self.sums)


def _watched(losses, steps_per_epoch=10_000, silent=0.0, **fields):
    """Looks every 20 steps at runs of these losses, and returns the watch."""
    step = _Losses()
    recipe = recipes.get("cifar_v2", **fields)
    watch = ChanceWatch(step, recipe, 20 * len(losses), [0.1] * 10)
    watch._silent_units = lambda batch: silent
    for number, loss in enumerate(losses, 1):
        step.add(loss)
        watch.look(20 * number, (20 * number - 1) // steps_per_epoch, ())
        if number * 20 % steps_per_epoch == 0:
            step.sums = [0.0] * 5
    return watch


def test_a_loss_at_chance_is_said_once_after_a_fair_number_of_steps(caplog):
    caplog.set_level("INFO", logger="absl")
    watch = _watched([4.0, 3.0] + [2.303] * 30)
    # A fifth of 640 steps have passed, and the last five losses are at chance.
    assert watch.event["step"] == 140 and watch.event["loss"] > 2.3
    assert caplog.text.count("has not left chance") == 1
    assert "(it is 0.05) and --muon_rate (it is 0.03), with --clip_norm 1" in caplog.text


@pytest.mark.parametrize(
    "losses",
    [
        [2.303] * 4 + [2.2] * 40,
        list(np.linspace(2.303, 1.0, 30)),
        [2.303],
        [2.3, 4.0, 2.6, 2.4, 2.1, 1.9, 1.5, 1.2, 0.8, 0.5],  # up at first, then down
    ],
)
def test_a_loss_that_falls_or_a_run_that_is_short_is_not(losses):
    assert _watched(losses).event is None


@pytest.mark.parametrize("looks", [2, 4, 5, 10])  # 200 and 100 steps, which are short, and fewer
def test_a_short_run_that_stays_at_chance_says_so_before_it_ends(looks, caplog):
    assert _watched([4.0] + [2.303] * (looks - 1)).event["step"] == min(20 * looks, 100)
    assert "more --warmup_steps (there are 0) and --epochs" in caplog.text


def test_units_that_have_all_died_are_said_at_once(caplog):
    event = _watched([4.0] + [2.31] * 99, silent=1.0).event
    assert (event["step"], event["loss"], event["silent_units"]) == (40, pytest.approx(2.31), 1)
    assert "100.0% of the units before the logits are 0" in caplog.text
    assert _watched([2.31] * 99, silent=0.95).event["step"] == 400
    assert _watched([2.0] * 99, silent=1.0).event is None


def test_epochs_of_few_steps_are_not_mixed_up():
    falling = [2.303 * 0.8] * 40
    assert _watched(falling, steps_per_epoch=20).event is None
    step = _Losses()
    watch = ChanceWatch(step, recipes.get("cifar_v2"), 1000, [0.1] * 10)
    # Epochs of 30 steps: each look sees 20 or 10 steps of its epoch, none of the one before.
    for number in range(1, 40):
        epoch, done = divmod(20 * number, 30)
        step.sums = [0.0] * 5
        step.add(2.0, images=done or 30)
        watch.look(20 * number, epoch if done else epoch - 1, ())
        assert watch.event is None


def test_epochs_are_added_up():
    assert _watched([2.303] * 30, steps_per_epoch=60).event["loss"] == pytest.approx(2.303)
    assert _watched([2.303] * 4 + [2.0] * 30, steps_per_epoch=60).event is None


def test_units_that_are_0_for_every_image_are_counted(small_variant):
    model = ka.build(small_variant, num_classes=10, seed=0)
    layer = model.get_layer(model.get_layer("logits").input._keras_history.operation.name)
    while not layer.weights:
        layer = layer.input._keras_history.operation
    layer.bias.assign(np.where(np.arange(layer.bias.shape[0]) % 4 < 3, -1e4, 1e4))
    recipe = recipes.get("cifar_v2", learning_rate=1e-9)
    step = TrainStep(model, recipe, tf.distribute.get_strategy())
    watch = ChanceWatch(step, recipe, 100, [0.1] * 10)
    images = np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:])).astype(np.uint8)
    batch = tf.constant(images), tf.zeros([8], tf.int32), tf.ones([8])
    assert watch._silent_units(batch) == pytest.approx(0.75)


def test_a_run_that_is_made_to_stay_at_chance_says_so_in_its_results(config_in, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    # 18 steps an epoch; the end of an epoch takes longer than its steps.
    overrides = {"learning_rate": 1e-9, "epochs": 6, "global_batch_size": 4}
    overrides |= {"validation_fraction": 0.0, "keep": "last"}
    found = ka.train(config_in(tmp_path / "run", overrides=overrides))
    assert found["at_chance"]["step"] >= 100
    assert found["at_chance"]["loss"] == pytest.approx(found["at_chance"]["loss_of_guessing"], 0.1)
    assert caplog.text.count("has not left chance") == 1
    written = json.loads((pathlib.Path(found["workdir"]) / "results.json").read_text())
    assert written["at_chance"] == found["at_chance"]


def test_a_run_whose_units_die_says_so_long_before_its_end(config_in, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    overrides = {"learning_rate": 3.0, "epochs": 30, "schedule": "constant", "warmup_steps": 0}
    overrides["global_batch_size"] = 4
    found = ka.train(config_in(tmp_path / "run", overrides=overrides, max_steps=60))
    assert found["at_chance"]["step"] <= 60 and found["at_chance"]["silent_units"] > 0.9
    assert caplog.text.count("they have died, and do not come back") == 1
