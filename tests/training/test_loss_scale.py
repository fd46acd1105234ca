"""Loss scaling: skipped steps, the scale in checkpoints; mixed images in a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.distributed import devices
from keras_alexnet.distributed.precision import precision
from keras_alexnet.training import loss_scale, recipes
from keras_alexnet.training.loss_scale import LossScale
from keras_alexnet.training.step import TrainStep
from support.callbacks import crash_at

LABELS = np.arange(8, dtype=np.int32) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)


def _linear_model():
    image = keras.Input([32, 32, 3], name="image")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    initializer = keras.initializers.RandomNormal(stddev=0.01, seed=1)
    return keras.Model(
        image, keras.layers.Dense(3, kernel_initializer=initializer, name="logits")(x)
    )


def _step(strategy, name="mixed_float16", **fields):
    recipe = recipes.get("cifar_v2", "document", **{"learning_rate": 0.01} | fields)
    with precision(name), strategy.scope():
        return TrainStep(_linear_model(), recipe, strategy)


def _run(step, strategy, labels=LABELS, steps=1):
    batch = (IMAGES, labels, np.ones(8, np.float32))
    batches = tf.data.Dataset.from_tensor_slices(batch).batch(8).repeat(steps)
    for each in strategy.experimental_distribute_dataset(batches):
        step.run(*each)


@pytest.fixture(scope="module")
def strategies():
    return {1: tf.distribute.get_strategy(), 2: devices.strategy_for(2)}


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_step_that_overflows_changes_nothing_but_the_scale(strategies, replicas):
    strategy = strategies[replicas]
    step = _step(strategy, ema_decay=0.9, clip_norm=1.0)
    _run(step, strategy)
    step.loss_scale._scale.assign(2.0**40)
    before, totals = step.variables(), step.totals.values()
    _run(step, strategy, steps=2)
    after = step.variables()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert {name.partition("-")[2] for name in changed} == {
        "scale",
        "finite_steps",
        "skipped_steps",
    }
    assert float(step.loss_scale.value) == 2.0**38
    assert (step.skipped_steps, step.steps_done, step.totals.values()) == (2, 3, totals)
    assert step.first_non_finite_step is None
    # The gradient is that of an unscaled loss: the update is about that of float32.
    step.loss_scale._scale.assign(2.0**15)
    plain = _step(strategy, "float32", ema_decay=0.9, clip_norm=1.0)
    plain.restore({name: value for name, value in after.items() if "loss_scale" not in name})
    _run(step, strategy)
    _run(plain, strategy)
    weights = [each.model.trainable_variables[0].numpy() for each in (step, plain)]
    moved = np.abs(weights[1] - after["model/000-kernel"]).max()
    assert 0 < np.abs(weights[0] - weights[1]).max() < 0.05 * moved


def test_what_is_not_finite_at_the_least_scale_is_an_error(strategies):
    step = _step(strategies[1])
    step.model.trainable_variables[1].assign([np.nan, 0, 0])
    step.loss_scale._scale.assign(2.0)
    _run(step, strategies[1])
    assert step.first_non_finite_step is None
    _run(step, strategies[1])
    assert step.first_non_finite_step == 2


def test_the_scale_doubles_after_2000_finite_steps():
    scale = LossScale()
    scale._finite_steps.assign(1998)
    seen = []
    for finite in (True, True, True, False):
        scale.guard(tf.constant(finite), lambda: None)
        seen.append((float(scale.value), int(scale._finite_steps.numpy())))
    assert seen == [(32768, 1999), (65536, 0), (65536, 1), (32768, 0)]


def test_a_run_goes_on_with_its_scale(config_in, tmp_path, caplog, monkeypatch):
    """A run that crashed ends with the same bits, also with mixed images and averaged weights."""
    caplog.set_level("INFO", logger="absl")
    monkeypatch.setattr(loss_scale, "_INITIAL", 2.0**22)
    augment = ("crop", "flip", "randaugment(1,9)", "random_erasing")
    overrides = {"mixup": 0.2, "cutmix": 1.0, "augment": augment, "ema_decay": 0.9}
    settings = {"precision": "mixed_float16", "checkpoint_every_steps": 2, "overrides": overrides}
    whole = ka.train(config_in(tmp_path / "whole", **settings))
    assert whole["skipped_steps"] >= 2
    said = [
        each.getMessage() for each in caplog.records if "changed no weight" in each.getMessage()
    ]
    assert len(said) == 1 and "loss scale is now" in said[0]
    assert not whole["step_backs"]
    with pytest.raises(RuntimeError, match="killed"):
        ka.train(config_in(tmp_path / "parts", **settings), [crash_at(3)])
    parts = ka.train(config_in(tmp_path / "parts", resume=True, **settings))
    for key in ("test_loss", "test_top1", "steps", "skipped_steps"):
        assert whole[key] == parts[key]
    weights = [
        keras.saving.load_model(tmp_path / name / "model.keras").get_weights()
        for name in ("whole", "parts")
    ]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_targets_of_mixed_images_are_those_of_both_losses(strategies, smoothing):
    """share · loss(first) + (1 − share) · loss(second), and metrics of the larger share."""
    shares = np.linspace(0.1, 0.9, 8, dtype=np.float32)[:, None]
    others = (LABELS + 1) % 3
    eye = np.eye(3, dtype=np.float32)
    step = _step(strategies[1], "float32", label_smoothing=smoothing, learning_rate=1e-12)
    losses, top1 = [], []
    for labels in (LABELS, others, shares * eye[LABELS] + (1 - shares) * eye[others]):
        found = step.gradients(
            tf.constant(IMAGES),
            tf.constant(labels),
            tf.ones(8),
            step.model.trainable_variables,
            step.model,
        )
        losses.append(found.losses.numpy())
        step.totals.reset()
        _run(step, strategies[1], labels)
        top1.append(step.totals.figures()["top1"])
    mean = shares[:, 0] * losses[0] + (1 - shares[:, 0]) * losses[1]
    np.testing.assert_allclose(losses[2], mean, rtol=1e-5)
    larger = np.where(shares[:, 0] > 0.5, LABELS, others)
    logits = step.model(IMAGES).numpy()
    assert top1[2] == pytest.approx((logits.argmax(1) == larger).mean())
