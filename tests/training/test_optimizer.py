"""Rates and decay of each layer, and freezing, against arithmetic done by hand."""

import dataclasses
import functools
import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.distributed import devices
from keras_alexnet.training import layer_factors, optimizer, recipes
from keras_alexnet.training.schedule import Schedule
from keras_alexnet.training.step import TrainStep

BATCH = 8


@pytest.fixture(scope="module")
def strategies():
    return {1: tf.distribute.get_strategy(), 2: devices.strategy_for(2)}


def _recipe(layer_rates=None, layer_decay=None, **fields):
    recipe = recipes.get("cifar_v2", "document", **fields)
    return dataclasses.replace(recipe, layer_rates=layer_rates or {}, layer_decay=layer_decay or {})


def _two_layers():
    """Pixels / 255 → 6 linear units → logits: small enough to follow by hand."""
    image = keras.Input([4, 4, 3], name="image")
    x = keras.layers.Flatten(name="flatten")(keras.layers.Rescaling(1 / 255)(image))
    for name, units, seed in (("fc", 6, 1), ("logits", 5, 2)):
        initializer = keras.initializers.RandomNormal(stddev=0.5, seed=seed)
        x = keras.layers.Dense(units, kernel_initializer=initializer, name=name)(x)
    return keras.Model(image, x)


def _step(strategy, recipe, freeze_until="", model=_two_layers):
    with strategy.scope():
        return TrainStep(model(), recipe, strategy, freeze_until)


def _batch(size=4, classes=5):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (BATCH, size, size, 3)).astype(np.uint8)
    labels = np.int32(generator.integers(0, classes, BATCH))
    return images, labels, np.ones(BATCH, np.float32)


def _run(step, strategy, batch, rates, epoch=0):
    dataset = tf.data.Dataset.from_tensors(batch).repeat(len(rates))
    for rate, part in zip(rates, strategy.experimental_distribute_dataset(dataset), strict=True):
        step.optimizer.learning_rate.assign(rate)
        step.run(*part, epoch=epoch)


def _values(step):
    return {v.path: v.numpy().astype(np.float64) for v in step.model.trainable_variables}


def _gradients(w, batch):
    images, labels, _ = batch
    x = images.reshape(BATCH, -1) / 255.0
    hidden = x @ w["fc/kernel"] + w["fc/bias"]
    logits = hidden @ w["logits/kernel"] + w["logits/bias"]
    p = np.exp(logits - logits.max(1, keepdims=True))
    error = (p / p.sum(1, keepdims=True) - np.eye(5)[labels]) / BATCH
    back = error @ w["logits/kernel"].T
    return {
        "fc/kernel": x.T @ back,
        "fc/bias": back.sum(0),
        "logits/kernel": hidden.T @ error,
        "logits/bias": error.sum(0),
    }


# By name: rate over learning_rate, and decay.
_FACTORS = {
    "fc/kernel": (0.5, 0.0),
    "fc/bias": (1.0, 0.0),
    "logits/kernel": (3.0, 0.1),
    "logits/bias": (6.0, 0.0),
}
_TABLES = {
    "layer_rates": {"fc": 0.5, "logits": 3.0},
    "layer_decay": {"fc": 0.0, "logits": 2.5},
    "bias_rate": 2.0,
    "weight_decay": 0.04,
}


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("clip_norm", [0.0, 0.2])
def test_sgd_is_the_programs_rule_with_each_layers_rate_and_decay(strategies, replicas, clip_norm):
    recipe = _recipe(momentum=0.9, clip_norm=clip_norm, **_TABLES)
    step, batch = _step(strategies[replicas], recipe), _batch()
    w, v = _values(step), dict.fromkeys(_FACTORS, 0.0)
    rates = [0.1, 0.1, 0.01, 0.01]  # a drop, which must leave the velocity as it is
    _run(step, strategies[replicas], batch, rates)
    for rate in rates:
        g = {name: g + _FACTORS[name][1] * w[name] for name, g in _gradients(w, batch).items()}
        norm = np.sqrt(sum(np.sum(part**2) for part in g.values()))
        scale = min(1.0, clip_norm / norm) if clip_norm else 1.0
        assert not clip_norm or scale < 1
        for name, (factor, _) in _FACTORS.items():
            v[name] = 0.9 * v[name] - rate * factor * scale * g[name]
            w[name] = w[name] + v[name]
    for name, value in _values(step).items():
        np.testing.assert_allclose(value, w[name], atol=1e-5, err_msg=name)


def test_adam_scales_the_step_and_not_the_gradient(strategies):
    recipe = _recipe(optimizer="adam", **_TABLES)
    step, batch = _step(strategies[1], recipe), _batch()
    w = _values(step)
    m, u = dict.fromkeys(_FACTORS, 0.0), dict.fromkeys(_FACTORS, 0.0)
    _run(step, strategies[1], batch, [0.01] * 3)
    for t in (1, 2, 3):
        for name, g in _gradients(dict(w), batch).items():
            g = g + _FACTORS[name][1] * w[name]
            m[name] = 0.9 * m[name] + 0.1 * g
            u[name] = 0.999 * u[name] + 0.001 * g**2
            size = np.sqrt(u[name] / (1 - 0.999**t)) + 1e-8
            w[name] = w[name] - 0.01 * _FACTORS[name][0] * m[name] / (1 - 0.9**t) / size
    for name, value in _values(step).items():
        np.testing.assert_allclose(value, w[name], atol=2e-5, err_msg=name)


def test_adam_is_pytorchs():
    torch = pytest.importorskip("torch")
    start = np.float32([1.0, -2.0, 3.0, 0.5])
    # Gradients about as small as epsilon, where it matters when epsilon is added.
    gradients = np.float32(np.random.default_rng(0).normal(0, 1, (50, 4)) * [1e-9, 1e-8, 1e-6, 1])
    # The class torch.optim.Adam does the same, but imports PyTorch's compiler for seconds.
    adam = importlib.import_module("torch.optim.adam").adam
    theirs, moments, done = torch.tensor(start), torch.zeros(2, 4), torch.tensor(0.0)
    fields = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    fields |= {"lr": 0.01, "foreach": False, "amsgrad": False, "maximize": False}
    ours = keras.Variable(start)
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(4, name="logits")])
    rule = optimizer.make_optimizer(_recipe(optimizer="adam", learning_rate=0.01), model)
    rule = type(rule)(0.01, epsilon=rule.epsilon)
    rule.build([ours])
    rule.rates = (1.0,)
    for gradient in gradients:
        state = [moments[0]], [moments[1]], [], [done]
        adam([theirs], [torch.tensor(gradient)], *state, **fields)
        rule.apply([tf.constant(gradient)], [ours])
        np.testing.assert_allclose(
            ours.numpy() - start, theirs.numpy() - start, rtol=2e-4, atol=5e-7
        )


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_drops_of_kernels_and_of_one_layer(strategies, replicas, rule):
    fields = {"optimizer": rule, "momentum": 0.0, "schedule": "drops", "drop_epochs": (1,)}
    recipe = dataclasses.replace(
        _recipe(drops_divide="kernels", **fields), layer_drops={"fc": (2,)}
    )
    schedule = Schedule(recipe, total_steps=3, steps_per_epoch=1, has_validation=False)
    [batch] = strategies[replicas].experimental_distribute_dataset(
        tf.data.Dataset.from_tensors(_batch())
    )
    moved = {}
    for epoch in range(3):
        step = _step(strategies[replicas], recipe)  # a new one, so that all gradients are the same
        before, factor = _values(step), functools.partial(schedule.factor, epoch)
        rate = schedule.learning_rate(epoch)
        step.run(*batch, rates=optimizer.rates_of_step(step.optimizer, step.model, rate, factor))
        moved[epoch] = {name: value - before[name] for name, value in _values(step).items()}
    divisors = {"fc/kernel": (10, 100), "logits/kernel": (10, 10)}
    for name, first in moved[0].items():
        for epoch, divisor in zip((1, 2), divisors.get(name, (1, 1)), strict=True):
            np.testing.assert_allclose(moved[epoch][name], first / divisor, atol=1e-6)


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_what_is_before_the_layer_keeps_its_bits_and_the_rest_trains(strategies, replicas, rule):
    recipe = _recipe(momentum=0.9, optimizer=rule, weight_decay=0.1)
    step = _step(strategies[replicas], recipe, "logits")
    before = _values(step)
    _run(step, strategies[replicas], _batch(), [0.1] * 3)
    kept = [name for name, value in _values(step).items() if np.array_equal(value, before[name])]
    assert kept == ["fc/kernel", "fc/bias"]


def test_freezing_from_an_epoch_on_leaves_the_rest_as_without(strategies):
    recipe = _recipe(momentum=0.9, freeze_from_epoch=2)
    frozen, free = (_step(strategies[1], recipe, until) for until in ("logits", ""))
    for step in (frozen, free):
        _run(step, strategies[1], _batch(), [0.1] * 2, epoch=1)
    at_start = _values(frozen)
    np.testing.assert_array_equal(at_start["fc/kernel"], _values(free)["fc/kernel"])
    _run(frozen, strategies[1], _batch(), [0.1], epoch=2)
    after = _values(frozen)
    np.testing.assert_array_equal(after["fc/kernel"], at_start["fc/kernel"])
    assert not np.array_equal(after["logits/kernel"], at_start["logits/kernel"])


def test_frozen_layers_cost_no_gradient(strategies):
    def operations(freeze_until):
        step = _step(
            strategies[1], _recipe(), freeze_until, model=lambda: ka.build("cifar_v2", seed=0)
        )
        found = []

        def one_step(*batch):
            variables = step.trained_variables(epoch=0)
            found.extend(step.gradients(*batch, variables, step.model).gradients)

        graph = tf.function(one_step, autograph=False)
        traced = graph.get_concrete_function(*map(tf.constant, _batch(32, 10))).graph
        return len(found), [operation.type for operation in traced.get_operations()]

    gradients, types = operations("")
    assert gradients == 10 and types.count("Conv2DBackpropFilter") == 2
    gradients, types = operations("fc4")
    assert gradients == 4
    assert not {"Conv2DBackpropFilter", "Conv2DBackpropInput", "MaxPoolGrad"} & set(types)


def test_restored_step_continues_bit_for_bit_when_frozen(strategies):
    def step():
        recipe = _recipe({"logits": 10.0}, momentum=0.9, bias_rate=2.0, freeze_from_epoch=1)
        return _step(strategies[1], recipe, "logits")

    whole, first, second = step(), step(), step()
    batch = _batch()
    for part in (whole, first):
        _run(part, strategies[1], batch, [0.01] * 2)
        _run(part, strategies[1], batch, [0.01], epoch=1)
    second.restore(first.variables())
    for part in (whole, second):
        _run(part, strategies[1], batch, [0.01], epoch=1)
    for name, value in whole.variables().items():
        np.testing.assert_array_equal(value, second.variables()[name], err_msg=name)


@pytest.mark.parametrize("variant", ka.list_variants())
def test_tables_of_every_recipe_name_layers_of_its_network(variant):
    for name in recipes.list_recipes(variant):
        recipe = recipes.get(variant, name)
        layers = [row.name for row in ka.variants.get(variant).layers]
        assert {*recipe.layer_rates, *recipe.layer_decay} <= set(layers), name
        assert not recipe.freeze_until or recipe.freeze_until in layers


def test_unknown_layers_are_refused_with_those_there_are(strategies):
    with pytest.raises(ka.UsageError, match="freeze_until must be .* fc, logits. Received: 'fc9'"):
        _step(strategies[1], _recipe(), "fc9")
    for table in ("layer_rates", "layer_decay"):
        with pytest.raises(ka.UsageError, match=f"{table} .* layer fc64, .* fc, logits"):
            _step(strategies[1], _recipe(**{table: {"fc64": 2.0}}))


def test_rates_and_decays_come_in_the_order_of_the_models_variables():
    model = ka.build("cifar_v1", num_classes=2)
    layers = [layer.name for layer in model.layers if layer.trainable_variables]
    tables = {name: float(number) for number, name in enumerate(layers, 2)}
    recipe = _recipe(tables, tables, bias_rate=100.0, weight_decay=1.0)
    rates, decays = layer_factors.rates(model, recipe), layer_factors.decays(model, recipe)
    for variable, rate, decay in zip(model.trainable_variables, rates, decays, strict=True):
        layer, name = variable.path.split("/")
        assert rate == tables[layer] * (100 if name == "bias" else 1), variable.path
        assert decay == (tables[layer] if name == "kernel" else 0), variable.path


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("replicas", [1, 2])
def test_muon_makes_the_steps_of_a_convolution_orthogonal(strategies, replicas, nesterov):
    """The convolution covers its whole input, so it is the hidden layer of `_gradients`."""

    def model():
        image = keras.Input([4, 4, 3], name="image")
        scaled = keras.layers.Rescaling(1 / 255)(image)
        initial = [keras.initializers.RandomNormal(stddev=0.5, seed=seed) for seed in (1, 2)]
        x = keras.layers.Conv2D(6, 4, kernel_initializer=initial[0], name="fc")(scaled)
        x = keras.layers.Flatten(name="flatten")(x)
        return keras.Model(
            image, keras.layers.Dense(5, kernel_initializer=initial[1], name="logits")(x)
        )

    fields = {"optimizer": "muon", "momentum": 0.5, "weight_decay": 0.1, "nesterov": nesterov}
    fields |= {"learning_rate": 0.2, "muon_rate": 0.1}
    step, batch = _step(strategies[replicas], _recipe(**fields), model=model), _batch()
    v: dict = {}
    for rate in (0.2, 0.2):
        w = _values(step)
        w["fc/kernel"] = w["fc/kernel"].reshape(48, 6)
        _run(step, strategies[replicas], batch, [rate])
        g = _gradients(w, batch)
        g["logits/kernel"] += 0.1 * w["logits/kernel"]
        found = _values(step)
        for name in w:
            v[name] = 0.5 * v.get(name, 0.0) + g[name]
            moved = g[name] + 0.5 * v[name] if nesterov else v[name]
            if name != "fc/kernel":
                np.testing.assert_allclose(found[name], w[name] - rate * moved, atol=1e-5)
                continue
            taken = (1 - 0.1 * 0.1) * w[name] - found[name].reshape(48, 6)
            left, _, right = np.linalg.svd(moved, full_matrices=False)
            turned = left.T @ taken @ right.T / 0.1
            # Newton and Schulz's five iterations leave singular values of about 0.7 to 1.2. The
            # errors at the 5 logits have the sum 0, so that a gradient has the rank 4.
            values = np.diag(turned)[:4]
            assert np.all((0.6 < values) & (values < 1.3))
            np.testing.assert_allclose(turned[:4], np.eye(4, 6) * values[:, None], atol=0.02)


def test_muon_sees_a_locally_connected_kernel_as_a_matrix_for_each_place(strategies):
    recipe = recipes.get("cuda_convnet_13pct", optimizer="muon", weight_decay=0.0)
    recipe = dataclasses.replace(recipe, learning_rate=0.1, muon_rate=0.1)
    step = _step(strategies[1], recipe, model=lambda: ka.build("cuda_convnet_13pct", seed=0))
    before = _values(step)["local4/kernel"]
    _run(step, strategies[1], _batch(32, 10), [0.1])
    moved = _values(step)["local4/kernel"] - before
    rows, columns, _, _, _, filters = moved.shape
    matrices = moved.reshape(rows, columns, -1, filters)
    singular = np.linalg.svd(matrices, full_matrices=False)[1]
    # The rank of a gradient is at most the number of images.
    assert singular.max() < 0.1 * 1.3 and np.median(singular[..., : BATCH // 2]) > 0.1 * 0.5
