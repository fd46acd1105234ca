"""Layers of the 2012 program and cuda-convnet, against numpy loops written from their formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_alexnet.distributed import devices
from keras_alexnet.networks.layers import (
    LocalResponseNormalization,
    SameMapNormalization,
    Standardize,
    UnscaledDropout,
)
from keras_alexnet.networks.locally_connected import LocallyConnected
from keras_alexnet.networks.pooling import CeilAveragePooling2D, CeilMaxPooling2D
from keras_alexnet.networks.spec import ceil_pooled_size
from support.plain_layers import (
    plain_local,
    plain_lrn,
    plain_pool,
    plain_same_map_norm,
)


def random_maps(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype("float32")


def numeric_gradient(function, inputs, weights, step=1e-6):
    """d sum(function(inputs) * weights) / d inputs, in float64, by central differences."""
    inputs = inputs.astype("float64")
    gradient = np.zeros_like(inputs)
    for place in np.ndindex(inputs.shape):
        sums = []
        for sign in (1, -1):
            moved = inputs.copy()
            moved[place] += sign * step
            sums.append((function(moved) * weights).sum())
        gradient[place] = (sums[0] - sums[1]) / (2 * step)
    return gradient


def check_against(layer, plain, inputs):
    """Outputs and the gradient with respect to the inputs, eagerly and in a graph."""
    wanted = plain(inputs.astype("float64"))
    weights = random_maps(*wanted.shape, seed=1)
    for call in (layer, tf.function(layer)):
        with tf.GradientTape() as tape:
            values = tf.constant(inputs)
            tape.watch(values)
            outputs = call(values)
            total = tf.reduce_sum(outputs * weights)
        np.testing.assert_allclose(outputs, wanted, rtol=1e-5, atol=1e-5)
        gradient = tape.gradient(total, values)
        wanted_gradient = numeric_gradient(plain, inputs, weights)
        np.testing.assert_allclose(gradient, wanted_gradient, rtol=1e-3, atol=1e-4)
    assert layer.compute_output_shape(inputs.shape) == wanted.shape


# Sides at which the last window fits, hangs over by one or two, or would begin outside.
POOLINGS = [(8, 3, 2), (7, 3, 2), (5, 3, 3), (4, 3, 3), (6, 2, 3), (7, 4, 3), (5, 2, 2), (3, 3, 1)]


@pytest.mark.parametrize("side, size, stride", POOLINGS)
def test_pooling_in_ceil_mode(side, size, stride):
    inputs = random_maps(2, side, side + 1, 3)
    for layer, reduce in (
        (CeilMaxPooling2D(size, stride), np.max),
        (CeilAveragePooling2D(size, stride), np.mean),
    ):
        check_against(layer, lambda maps, r=reduce: plain_pool(maps, size, stride, r), inputs)


@pytest.mark.parametrize("layer", [CeilMaxPooling2D, CeilAveragePooling2D])
def test_pooling_of_maps_whose_size_is_not_known_before(layer):
    for side, size, stride in POOLINGS:
        pool = layer(size, stride)
        unknown = tf.function(pool, input_signature=[tf.TensorSpec([None, None, None, 3])])
        inputs = random_maps(2, side, side + 1, 3)
        np.testing.assert_allclose(unknown(inputs), pool(inputs), rtol=1e-6)
    assert layer(3, 2).compute_output_shape((None, None, 7, 3)) == (None, None, 3, 3)


def test_number_of_windows_is_pytorchs():
    torch = pytest.importorskip("torch")
    for side in range(2, 12):
        for size in range(2, min(side, 5) + 1):
            for stride in range(1, 5):
                pool = torch.nn.MaxPool2d(size, stride, ceil_mode=True)
                wanted = pool(torch.zeros(1, 1, side, side)).shape[-1]
                assert ceil_pooled_size(side, size, stride) == wanted, (side, size, stride)


@pytest.mark.parametrize("size, shape", [(3, (2, 4, 5, 2)), (5, (1, 7, 3, 2)), (5, (1, 2, 2, 1))])
def test_same_map_normalization(size, shape):
    constants = {"bias": 1.5, "alpha": 0.3 / size**2, "beta": 0.75}
    layer = SameMapNormalization(size, **constants)
    check_against(
        layer, lambda maps: plain_same_map_norm(maps, size, **constants), random_maps(*shape)
    )


def test_same_map_normalization_refuses_an_even_size():
    with pytest.raises(ValueError, match="odd. Received: 4"):
        SameMapNormalization(4, bias=1, alpha=1, beta=1)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_response_normalization_stops_at_the_bounds_of_a_tower(groups):
    constants = {"bias": 2.0, "alpha": 0.5, "beta": 0.75}
    layer = LocalResponseNormalization(2, **constants, groups=groups)
    check_against(
        layer, lambda maps: plain_lrn(maps, groups, 2, **constants), random_maps(2, 2, 3, 6)
    )


@pytest.mark.parametrize(
    "shape, side, zeros",
    [
        ((2, 4, 5, 3), 3, (1, 1)),
        ((1, 5, 4, 2), 2, (0, 0)),
        ((1, 3, 3, 2), 3, (0, 2)),
        ((2, 1, 1, 2), 3, (1, 1)),
        ((1, 2, 3, 2), 3, (2, 1)),
    ],
)
def test_locally_connected(shape, side, zeros):
    layer = LocallyConnected(4, side, padding=zeros)
    layer.build(shape)
    kernel, bias = (random_maps(*weight.shape, seed=2) for weight in layer.weights)
    layer.set_weights([kernel, bias])
    inputs = random_maps(*shape)
    check_against(layer, lambda maps: plain_local(maps, kernel, bias, zeros), inputs)
    weights = random_maps(*layer.compute_output_shape(shape), seed=1)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(inputs) * weights)
    gradients = tape.gradient(total, layer.trainable_variables)
    maps = inputs.astype("float64")
    wanted = (
        numeric_gradient(lambda k: plain_local(maps, k, bias, zeros), kernel, weights),
        weights.sum(0),
    )
    for got, expected in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_locally_connected_refuses_windows_of_zeros_alone():
    with pytest.raises(ValueError, match=r"less than kernel_size.*Received: \(1, 3\), 3"):
        LocallyConnected(4, 3, padding=(1, 3))


def test_dropout_of_the_2012_program():
    layer, ones = UnscaledDropout(0.5, seed=3), np.ones([100, 100], "float32")
    np.testing.assert_array_equal(layer(3 * ones), 1.5 * ones)
    trained = layer(3 * ones, training=True).numpy()
    assert set(np.unique(trained)) == {0, 3}
    assert 0.48 < (trained == 0).mean() < 0.52
    assert np.any(trained != layer(3 * ones, training=True))
    np.testing.assert_array_equal(UnscaledDropout(0)(ones, training=True), ones)


def test_standardize_reverses_the_channels_after_the_mean():
    pixels = np.array([[[[10, 20, 30]]]], "uint8")
    outputs = Standardize(mean=[1, 2, 3], std=[1, 2, 3], reverse=True)(pixels)
    np.testing.assert_array_equal(outputs, [[[[9, 9, 9]]]])
    outputs = Standardize(mean=[1, 2, 3], std=[1, 1, 1], reverse=True)(pixels)
    np.testing.assert_array_equal(outputs, [[[[27, 18, 9]]]])


def all_layers():
    """A small network with every layer of these kinds; its maps make no pooling come out even."""
    image = keras.Input([10, 10, 4], name="image")
    outputs = Standardize([1.0, 2, 3, 4], [1.0] * 4, reverse=True)(image)
    outputs = LocalResponseNormalization(1, 2.0, 0.1, 0.75, groups=2)(outputs)
    outputs = CeilMaxPooling2D(4, 3)(outputs)
    outputs = SameMapNormalization(3, 1.0, 0.1, 0.75)(outputs)
    outputs = LocallyConnected(4, 3, padding=(1, 1), activation="relu")(outputs)
    outputs = CeilAveragePooling2D(2, 2)(outputs)
    outputs = UnscaledDropout(0.5, seed=1)(keras.layers.Flatten()(outputs))
    return keras.Model(image, keras.layers.Dense(3, dtype="float32")(outputs))


def test_a_saved_network_is_the_same(tmp_path):
    model, inputs = all_layers(), random_maps(2, 10, 10, 4)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(restored(inputs), model(inputs))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    model, inputs = all_layers(), random_maps(4, 10, 10, 4)
    try:
        keras.config.set_dtype_policy(policy)
        mixed = all_layers()
    finally:
        keras.config.set_dtype_policy("float32")
    mixed.set_weights(model.get_weights())
    np.testing.assert_allclose(mixed(inputs), model(inputs), rtol=0.05, atol=0.05)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(mixed(inputs, training=True) ** 2)
    for gradient in tape.gradient(total, mixed.trainable_variables):
        assert np.all(np.isfinite(gradient)) and np.any(gradient)


def test_two_replicas_sum_to_one(tmp_path):
    strategy = devices.strategy_for(2)
    with strategy.scope():
        model = all_layers()
    inputs = random_maps(4, 10, 10, 4)

    def gradients(images):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(model(images, training=False) ** 2)
        parts = tape.gradient(total, [variable.value for variable in model.trainable_variables])
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, parts) if context else parts

    alone = gradients(tf.constant(inputs))
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(inputs[context.replica_id_in_sync_group * 2 :][:2])
    )
    together = tf.function(lambda: strategy.run(gradients, (halves,)))()
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_allclose(
            strategy.experimental_local_results(two)[0], one, rtol=1e-4, atol=1e-5
        )


def test_exports(tmp_path):
    model, inputs = all_layers(), random_maps(2, 10, 10, 4)
    module = tf.Module()
    module.model = model
    signature = [tf.TensorSpec([None, 10, 10, 4])]
    module.serve = tf.function(lambda image: model(image), input_signature=signature)
    tf.saved_model.save(module, tmp_path / "saved", signatures=module.serve)
    loaded = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.serve(inputs), model(inputs), rtol=1e-5, atol=1e-6)
    # Only built-in operations are converted.
    contents = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    interpreter = Interpreter(model_content=contents)
    interpreter.resize_tensor_input(0, inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    got = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(got, model(inputs), rtol=1e-4, atol=1e-5)
