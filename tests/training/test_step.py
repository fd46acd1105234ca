"""The optimizer step against arithmetic done by hand, on one replica and on two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import build
from keras_alexnet.distributed import devices
from keras_alexnet.training import recipes
from keras_alexnet.training.step import TrainStep

BATCH = 12


@pytest.fixture(scope="module")
def strategies():
    return {1: tf.distribute.get_strategy(), 2: devices.strategy_for(2)}


def _batch(real=BATCH):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, 32, 32, 3)).astype(np.uint8)
    weights = np.float32(np.arange(BATCH) < real)
    return images, np.int32(generator.integers(0, 10, BATCH)), weights


def _linear_model():
    """Pixels / 255 → logits: small enough to follow by hand."""
    image = keras.Input([32, 32, 3], name="image")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    initializer = keras.initializers.RandomNormal(stddev=0.01, seed=1)
    logits = keras.layers.Dense(10, kernel_initializer=initializer, name="logits")(x)
    return keras.Model(image, logits)


def _step(strategy, model=_linear_model, **fields):
    recipe = recipes.get("cifar_v2", "document", **fields)
    with strategy.scope():
        return TrainStep(model(), recipe, strategy)


def _run(step, strategy, batches):
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(batches),
        output_signature=tuple(tf.TensorSpec(part.shape, part.dtype) for part in batches[0]),
    )
    for batch in strategy.experimental_distribute_dataset(dataset):
        step.run(*batch)


def _by_hand(kernel, bias, batch, recipe, steps):
    """The paper's rule: v ← m·v − d·ε·w − ε·g; w ← w + v, decay on kernels alone."""
    images, labels, weights = batch
    x = images.reshape(BATCH, -1) / 255.0
    v = [np.zeros_like(kernel), np.zeros_like(bias)]
    targets = np.eye(10)[labels] * (1 - recipe.label_smoothing) + recipe.label_smoothing / 10
    for _ in range(steps):
        logits = x @ kernel + bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        error = (p - targets) * (weights / weights.sum())[:, None]
        gradients = [x.T @ error + recipe.weight_decay * kernel, error.sum(0)]
        if recipe.clip_norm:
            norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
            gradients = [g * min(1, recipe.clip_norm / norm) for g in gradients]
        own = [-recipe.learning_rate * g for g in gradients]
        v = [recipe.momentum * a + g for a, g in zip(v, own, strict=True)]
        moved = v
        if recipe.nesterov:
            moved = [recipe.momentum * a + g for a, g in zip(v, own, strict=True)]
        kernel, bias = kernel + moved[0], bias + moved[1]
    return kernel, bias


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"momentum": 0.9, "weight_decay": 0.05},
        {"momentum": 0.9, "nesterov": True},
        {"label_smoothing": 0.1},
        {"clip_norm": 0.5, "momentum": 0.9, "weight_decay": 0.05},
    ],
)
def test_update_is_the_papers_rule(strategies, replicas, fields):
    strategy = strategies[replicas]
    step = _step(strategy, **fields)
    kernel, bias = (v.numpy().astype(np.float64) for v in step.model.trainable_variables)
    batch = _batch()
    _run(step, strategy, [batch] * 3)
    expected = _by_hand(kernel, bias, batch, recipes.get("cifar_v2", "document", **fields), 3)
    for variable, value in zip(step.model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=2e-5 * np.abs(value).max())


@pytest.mark.parametrize("replicas", [1, 2])
def test_padding_of_a_short_batch_weighs_nothing(strategies, replicas):
    # 7 of 12: with two replicas, six real images on one and one on the other.
    strategy, batch = strategies[replicas], _batch(real=7)
    step = _step(strategy)
    kernel, bias = (v.numpy().astype(np.float64) for v in step.model.trainable_variables)
    _run(step, strategy, [batch])
    expected = _by_hand(kernel, bias, batch, recipes.get("cifar_v2", "document"), 1)
    for variable, value in zip(step.model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, atol=2e-5 * np.abs(value).max())
    logits = batch[0][:7].reshape(7, -1) / 255.0 @ kernel + bias
    top1 = np.mean(np.argmax(logits, axis=1) == batch[1][:7])
    assert step.totals.take_figures()["top1"] == pytest.approx(top1)
    assert step.totals.values() == [0.0] * 5


@pytest.mark.parametrize("replicas", [1, 2])
def test_average_of_weights(strategies, replicas):
    strategy, batch = strategies[replicas], _batch()
    step = _step(strategy, ema_decay=0.75)
    weights = []
    for _ in range(4):
        _run(step, strategy, [batch])
        weights.append(step.model.get_weights())
    average = weights[0]
    for later in weights[1:]:
        average = [0.75 * a + 0.25 * w for a, w in zip(average, later, strict=True)]
    with step.averaged():
        inside = step.model.get_weights()
    for found, expected in zip(inside, average, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    for found, expected in zip(step.model.get_weights(), weights[-1], strict=True):
        np.testing.assert_array_equal(found, expected)
    # A checkpoint holds the average.
    resumed = _step(strategy, ema_decay=0.75)
    resumed.restore(step.variables())
    resumed.take_average()
    for found, expected in zip(resumed.model.get_weights(), inside, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_two_replicas_end_with_the_weights_of_one(strategies, optimizer):
    # Adam divides gradients by their own size, which blows rounding up: ten steps of its small rate
    # move a weight by 1e-3, a thirtieth of the largest.
    rate, tolerance = (0.01, 1e-5) if optimizer == "sgd" else (1e-4, 1e-4)
    fields = {"optimizer": optimizer, "learning_rate": rate}
    ended = {}
    for replicas, strategy in strategies.items():
        step = _step(strategy, lambda: build("cifar_v2", seed=0), momentum=0.9, **fields)
        _run(step, strategy, [_batch()] * 10)
        ended[replicas] = step.variables()
    assert ended[1].keys() == ended[2].keys()
    for name, value in ended[1].items():
        if name.startswith("model/"):
            error = np.max(np.abs(value - ended[2][name]))
            assert error <= tolerance * np.max(np.abs(value)), name


def test_class_weights_weigh_the_loss(strategies):
    images, labels, _ = _batch()
    weights = np.float32([1, 3] * 6)
    step = _step(strategies[1])
    kernel, bias = (v.numpy().astype(np.float64) for v in step.model.trainable_variables)
    _run(step, strategies[1], [(images, labels, weights)])
    expected = _by_hand(
        kernel, bias, (images, labels, weights), recipes.get("cifar_v2", "document"), 1
    )
    np.testing.assert_allclose(step.model.trainable_variables[1].numpy(), expected[1], atol=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
def test_first_non_finite_step_is_remembered(strategies, replicas):
    strategy = strategies[replicas]
    step = _step(strategy)
    _run(step, strategy, [_batch()] * 2)
    assert step.first_non_finite_step is None
    bias = step.model.trainable_variables[1]
    bias.assign([np.nan] + [0.0] * 9)
    _run(step, strategy, [_batch()] * 2)
    assert step.first_non_finite_step == 3


def test_restored_step_continues_bit_for_bit(strategies, small_variant):
    def model():
        return build(small_variant, seed=0)  # has dropout, so masks must continue too

    whole, first, second = (_step(strategies[1], model, momentum=0.9) for _ in range(3))
    _run(whole, strategies[1], [_batch()] * 4)
    _run(first, strategies[1], [_batch()] * 2)
    second.restore(first.variables())
    second.totals.assign(first.totals.values())
    _run(second, strategies[1], [_batch()] * 2)
    for name, value in whole.variables().items():
        np.testing.assert_array_equal(value, second.variables()[name], err_msg=name)
    assert whole.totals.values() == second.totals.values() and second.steps_done == 4


def test_variables_of_another_network_are_refused(strategies):
    step = _step(strategies[1])
    with pytest.raises(ValueError, match="different variables"):
        step.restore({"model/000-kernel": np.zeros(3)})
