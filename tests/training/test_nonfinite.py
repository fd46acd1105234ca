"""NaN and infinity: found with step and layer, or answered with a lower learning rate."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.training import nonfinite, recipes
from keras_alexnet.training.step import TrainStep
from support.callbacks import before_epoch


@pytest.fixture(scope="module")
def step(small_variant):
    # A clipped step would not overflow.
    recipe = recipes.get(small_variant, learning_rate=0.01, schedule="constant", clip_norm=0.0)
    return TrainStep(ka.build(small_variant, num_classes=3), recipe, tf.distribute.get_strategy())


@pytest.fixture
def batch():
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    return tf.constant(images), tf.constant([0, 1, 2, 0, 1, 2]), tf.ones([6])


def _set(step, **values):
    """Sets variables, named as conv1__kernel, to one value each."""
    for name, value in values.items():
        layer, _, kind = name.partition("__")
        variable = getattr(step.model.get_layer(layer), kind)
        variable.assign(np.broadcast_to(np.float32(value), variable.shape))


_HUGE = 3e38  # the largest float32 is 3.4e38


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"conv3__kernel": np.nan}, "the weights of conv3/kernel"),
        ({"conv1__kernel": _HUGE}, "the activations of conv1"),
        ({"fc7__bias": 1e3, "logits__kernel": _HUGE}, "the activations of logits"),
        # All is finite on the way there, and too large on the way back.
        (
            {"fc6__bias": 1e3, "fc7__kernel": 0, "fc7__bias": 1e-3}
            | {"logits__kernel": [_HUGE, -_HUGE, 0]},
            "the gradient of fc7/kernel",
        ),
    ],
)
def test_first_place_that_is_not_finite_is_named(step, batch, values, place):
    before = step.variables()
    _set(step, **values)
    found = nonfinite.first_non_finite(step, batch, epoch=0)
    step.restore(before)
    assert found == place


def test_update_that_overflows_is_named(step, batch):
    before = step.variables()
    _set(step, fc6__bias=1e3)
    step.optimizer.learning_rate.assign(_HUGE)
    found = nonfinite.first_non_finite(step, batch, epoch=0)
    step.restore(before)
    assert found is not None and found.startswith("the update of ")


def test_all_finite_is_none(step, batch):
    before = step.variables()
    assert nonfinite.first_non_finite(step, batch, epoch=0) is None
    step.restore(before)


def _too_fast(config, **changes):
    """A rate at which the weights of step 1 send the activations of a later one to infinity."""
    overrides = {**config.overrides, "learning_rate": 1e12, "schedule": "constant"}
    overrides |= {"warmup_steps": 0, "clip_norm": 0.0}
    return dataclasses.replace(config, overrides=overrides, **changes)


def test_run_stops_with_step_and_layer_of_the_first_and_can_step_back(config, tmp_path):
    config = _too_fast(config)
    with pytest.raises(ka.UserError) as caught:
        ka.train(config)
    message = str(caught.value)
    assert "NaN or infinite" in message and "The checkpoint of step 0 precedes it" in message
    assert re.search(r"\(epoch 1; first at step \d+, in the (activations|gradient) of ", message)
    with np.load(tmp_path / "run" / "checkpoints" / "step-000000000.npz") as arrays:
        assert all(np.all(np.isfinite(arrays[name])) for name in arrays.files)
    assert "--resume --on_nonfinite=step_back" in message
    again = ka.TrainConfig(
        workdir=config.workdir, resume=True, on_nonfinite="step_back", step_back_factor=1e16
    )
    assert len(ka.train(again)["step_backs"]) == 1


def test_step_back_lowers_the_rate_until_it_trains_and_says_so(config, tmp_path, caplog):
    config = _too_fast(config, on_nonfinite="step_back", step_back_factor=1e8, step_backs=2)
    with caplog.at_level("WARNING", logger="absl"):
        found = ka.train(config)
    assert (
        "Returning to step 0 with the learning rate divided by 1e+08 (step back 1 of 2"
        in caplog.text
    )
    assert [event["back_to_step"] for event in found["step_backs"]] == [0, 0]
    assert found["step_backs"][1]["learning_rate_divided_by"] == 1e16
    assert np.isfinite(found["test_loss"])
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        rates = [float(row["learning_rate"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx([1e-4, 1e-4])
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*.json"))
    assert json.loads(newest.read_text())["state"]["step_backs"] == found["step_backs"]


@pytest.mark.slow
def test_step_backs_come_to_an_end(config):
    with pytest.raises(ka.UserError, match="NaN or infinite"):
        ka.train(_too_fast(config, on_nonfinite="step_back", step_back_factor=1.5, step_backs=1))


def test_place_that_does_not_come_again_is_left_out(config):
    def spoil(model):  # the weights themselves, which repeating the steps does not show
        kernel = model.get_layer("conv1").kernel
        kernel.assign(np.full(kernel.shape, np.nan))

    # Whether the loss shows it depends on the processor: some kernels of ReLU turn NaN into 0.
    with pytest.raises(
        ka.UserError, match=r"NaN or infinite.* \(epoch 2\)\. The checkpoint of step"
    ):
        ka.train(config, callbacks=[before_epoch(2, spoil)])
