import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from keras_alexnet.distributed import devices
from keras_alexnet.networks.layers import (
    Convolution,
    Dropout,
    LocalResponseNormalization,
    Standardize,
)
from keras_alexnet.networks.pooling import AdaptiveAveragePooling2D
from support.fixed_weights import relative_error

PAPER = {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75}
STRONG = {"depth_radius": 1, "bias": 1.0, "alpha": 0.5, "beta": 0.6}


def random_map(*shape, scale=1.0, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype("float32")


def lrn_in_numpy(x, depth_radius, bias, alpha, beta):
    """The paper's formula, channel by channel, in float64."""
    x = x.astype("float64")
    y = np.empty_like(x)
    for channel in range(x.shape[-1]):
        window = slice(max(0, channel - depth_radius), channel + depth_radius + 1)
        squares = np.sum(x[..., window] ** 2, axis=-1)
        y[..., channel] = x[..., channel] / (bias + alpha * squares) ** beta
    return y


def in_tflite(layer, x):
    """Converts a model of one layer with only TFLite's builtin operators and runs it on `x`."""
    image = keras.Input(x.shape[1:])
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, layer(image)))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x[:1])
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize(
    "layer",
    [
        Standardize([1, 2, 3], [4, 5, 6], name="a"),
        Convolution(8, 3, padding=(0, 2), strides=2, groups=2, activation="relu", name="b"),
        LocalResponseNormalization(**STRONG, name="c"),
        Dropout(0.3, seed=4, name="d"),
        AdaptiveAveragePooling2D(3, name="e"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_made_from_its_config_is_the_same(layer):
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(restored) is type(layer)
    assert restored.get_config() == layer.get_config()
    channels = 3 if isinstance(layer, Standardize) else 4
    x = tf.constant(random_map(2, 6, 7, channels))
    wanted = layer(x)
    restored.build(x.shape)
    restored.set_weights(layer.get_weights())
    np.testing.assert_array_equal(restored(x), wanted)
    assert layer.compute_output_shape((2, 6, 7, channels)) == tuple(wanted.shape)


class TestStandardize:
    @pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
    @pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
    def test_is_exact_in_float32_for_pixels_of_any_type_under_any_policy(self, dtype, policy):
        pixels = np.arange(4 * 4 * 3).reshape(1, 4, 4, 3).astype(dtype) * 5
        keras.config.set_dtype_policy(policy)
        try:
            layer = Standardize([123.68, 116.779, 103.939], [58.0, 57.0, 56.0])
        finally:
            keras.config.set_dtype_policy("float32")
        standardized = layer(pixels)
        wanted = (pixels.astype("float64") - [123.68, 116.779, 103.939]) / [58, 57, 56]
        assert standardized.dtype == tf.float32
        np.testing.assert_allclose(standardized, wanted, atol=1e-6)


class TestConvolution:
    @pytest.mark.parametrize("groups", [1, 2])
    @pytest.mark.parametrize(
        "kernel, stride, padding",
        [
            (11, 4, (0, 3)),
            (5, 1, (2, 2)),
            (3, 1, (2, 2)),
            (3, 2, (1, 1)),
            (3, 1, (0, 0)),
            (4, 1, 2),
        ],
    )
    def test_equals_a_sum_over_the_padded_input(self, groups, kernel, stride, padding):
        layer = Convolution(
            6, kernel, strides=stride, padding=padding, groups=groups, bias_initializer="normal"
        )
        x = random_map(2, 17, 16, 4)
        got = layer(x)
        zeros = (padding, padding) if isinstance(padding, int) else padding
        padded = np.pad(x, [(0, 0), zeros, zeros, (0, 0)]).astype("float64")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
        windows = windows[:, ::stride, ::stride]  # [batch, rows, columns, channels, height, width]
        kernel_of_group = np.split(layer.kernel.numpy(), groups, axis=-1)
        channels_of_group = np.split(windows, groups, axis=3)
        wanted = np.concatenate(
            [
                np.einsum("brcihw,hwio->brco", part, weights)
                for part, weights in zip(channels_of_group, kernel_of_group, strict=True)
            ],
            axis=-1,
        )
        np.testing.assert_allclose(got, wanted + layer.bias.numpy(), atol=1e-5)
        assert layer.compute_output_shape((2, 17, 16, 4)) == wanted.shape

    @pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
    def test_groups_have_gradients_in_every_precision(self, policy):
        layer = Convolution(8, 3, padding=1, groups=2, dtype=policy)
        x = tf.constant(random_map(2, 6, 6, 4))
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.cast(layer(x), tf.float32) ** 2)
        gradients = tape.gradient(loss, [x, *layer.trainable_weights])
        assert all(np.all(np.isfinite(gradient)) and np.any(gradient) for gradient in gradients)

    def test_converts_to_tflite_builtins(self):
        layer = Convolution(8, 3, strides=2, padding=(0, 3), groups=2)
        x = random_map(1, 9, 8, 4)
        converted = in_tflite(layer, x)
        assert relative_error(layer(x).numpy(), converted) < 1e-5


class TestLocalResponseNormalization:
    @pytest.mark.parametrize("constants", [PAPER, STRONG, {**STRONG, "depth_radius": 9}])
    def test_equals_the_formula(self, constants):
        x = random_map(2, 3, 5, 8, scale=100)
        got = LocalResponseNormalization(**constants)(x)
        assert relative_error(lrn_in_numpy(x, **constants), got.numpy()) < 1e-6

    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("changes", [{}, {"depth_radius": 9}, {"beta": 0.6}])
    def test_gradient_equals_differences_of_the_formula(self, changes, training):
        constants = {**STRONG, **changes}
        x = random_map(1, 1, 2, 7, scale=2)
        weights = random_map(1, 1, 2, 7, seed=1).astype("float64")
        layer = LocalResponseNormalization(**constants)
        inputs = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(layer(inputs, training=training) * weights.astype("float32"))
        got = tape.gradient(loss, inputs).numpy()
        wanted = np.empty(x.shape)
        for index in np.ndindex(x.shape):
            step = np.zeros(x.shape)
            step[index] = 1e-5
            above, below = (
                np.sum(lrn_in_numpy(moved, **constants) * weights) for moved in (x + step, x - step)
            )
            wanted[index] = (above - below) / 2e-5
        assert relative_error(wanted, got) < 1e-5

    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_computes_in_float32_under_mixed_precision(self, policy, jit_compile):
        # 300 squared is more than float16 can hold.
        x = tf.cast(random_map(2, 3, 3, 16, scale=300), keras.DTypePolicy(policy).compute_dtype)
        layer = LocalResponseNormalization(**PAPER, dtype=policy)
        with tf.device("CPU:0"):
            got, gradient = self.value_and_gradient(layer, x, jit_compile)
        assert got.dtype == gradient.dtype == x.dtype
        wanted = tf.cast(lrn_in_numpy(tf.cast(x, tf.float32).numpy(), **PAPER), x.dtype)
        np.testing.assert_allclose(*(tf.cast(y, tf.float32) for y in (got, wanted)), rtol=0.008)
        assert np.all(np.isfinite(tf.cast(gradient, tf.float32)))

    def test_is_the_same_compiled_by_xla(self):
        x = tf.constant(random_map(2, 3, 3, 16, scale=100))
        layer = LocalResponseNormalization(**PAPER)
        with tf.device("CPU:0"):
            plain = self.value_and_gradient(layer, x, jit_compile=False)
            compiled = self.value_and_gradient(layer, x, jit_compile=True)
        assert relative_error(plain[0].numpy(), compiled[0].numpy()) < 1e-5
        assert relative_error(plain[1].numpy(), compiled[1].numpy()) < 1e-5

    @pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
    @pytest.mark.parametrize("groups", [1, 2])
    def test_training_changes_neither_value_nor_gradient(self, groups, policy):
        layer = LocalResponseNormalization(**PAPER, groups=groups, dtype=policy)
        x = tf.cast(random_map(2, 3, 3, 16, scale=100), layer.compute_dtype)

        def value_and_gradient(**options):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = layer(x, **options)
            return outputs, tape.gradient(outputs, x, tf.sin(tf.cast(x, outputs.dtype)))

        (value, gradient), (own_value, own_gradient) = (
            [tf.cast(each, tf.float32).numpy() for each in value_and_gradient(**options)]
            for options in ({}, {"training": True})
        )
        np.testing.assert_array_equal(own_value, value)
        assert relative_error(gradient, own_gradient) < (1e-5 if policy == "float32" else 0.01)

    def test_converts_to_tflite_builtins(self):
        x = random_map(1, 3, 3, 16, scale=100)
        converted = in_tflite(LocalResponseNormalization(**PAPER), x)
        assert relative_error(lrn_in_numpy(x, **PAPER), converted) < 1e-5

    @staticmethod
    def value_and_gradient(layer, x, jit_compile):
        @tf.function(jit_compile=jit_compile)
        def compute(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs)
                loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
            return outputs, tape.gradient(loss, inputs)

        return compute(x)


class TestAdaptiveAveragePooling2D:
    @pytest.mark.parametrize("height, width", [(1, 1), (1, 6), (2, 13), (5, 7), (6, 6), (9, 1)])
    @pytest.mark.parametrize("wrapped", [lambda layer: layer, tf.function], ids=["eager", "graph"])
    def test_averages_pytorchs_bins(self, height, width, wrapped):
        x = random_map(2, height, width, 3)
        wanted = np.empty([2, 6, 6, 3])
        for row, column in np.ndindex(6, 6):
            rows = slice(row * height // 6, -(-(row + 1) * height // 6))
            columns = slice(column * width // 6, -(-(column + 1) * width // 6))
            wanted[:, row, column] = x[:, rows, columns].mean(axis=(1, 2))
        got = wrapped(AdaptiveAveragePooling2D(6))(tf.constant(x))
        np.testing.assert_allclose(got, wanted, atol=1e-6)

    @pytest.mark.parametrize("height, width", [(1, 6), (7, 9)])
    def test_converts_to_tflite_builtins(self, height, width):
        x = random_map(1, height, width, 3)
        layer = AdaptiveAveragePooling2D(6)
        np.testing.assert_allclose(in_tflite(layer, x), layer(tf.constant(x)), atol=1e-6)


class TestDropout:
    def test_changes_nothing_outside_training(self):
        x = random_map(4, 100)
        np.testing.assert_array_equal(Dropout(0.5)(x), x)
        np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)

    @pytest.mark.parametrize("rate", [0.5, 0.6])
    @pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
    def test_drops_the_rate_and_scales_the_rest(self, rate, policy):
        layer = Dropout(rate, seed=3, dtype=policy)
        outputs = layer(tf.ones([1000, 1000]), training=True)
        assert outputs.dtype == layer.compute_dtype
        outputs = tf.cast(outputs, tf.float32).numpy()
        kept = outputs != 0
        assert np.mean(kept) == pytest.approx(1 - rate, abs=0.002)  # 4 deviations
        np.testing.assert_allclose(outputs[kept], 1 / (1 - rate), rtol=0.005)

    def test_masks_follow_the_seed_and_move_on_at_each_call(self):
        x = tf.ones([10, 100])
        first, same, other = Dropout(0.5, seed=1), Dropout(0.5, seed=1), Dropout(0.5, seed=2)
        masks = [layer(x, training=True).numpy() for layer in (first, same, other, first)]
        np.testing.assert_array_equal(masks[0], masks[1])
        for differing in masks[2:]:
            assert np.mean(masks[0] == differing) == pytest.approx(0.5, abs=0.1)

    def test_masks_do_not_depend_on_the_precision(self):
        masks = [
            Dropout(0.6, seed=1, dtype=policy)(tf.ones([10, 100]), training=True) != 0
            for policy in ("float32", "mixed_bfloat16")
        ]
        np.testing.assert_array_equal(*masks)

    def test_gradient_passes_where_units_were_kept(self):
        x = tf.ones([10, 100])
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = Dropout(0.5, seed=1)(x, training=True)
        np.testing.assert_array_equal(tape.gradient(outputs, x), outputs)

    def test_its_only_state_is_one_variable_of_the_model_and_no_parameter(self):
        def model():
            image = keras.Input([100])
            return keras.Model(image, Dropout(0.5, seed=1)(image))

        x = tf.ones([3, 100])
        first, second = model(), model()
        assert first.count_params() == 0
        assert len(first.variables) == len(first.non_trainable_variables) == 1
        first(x, training=True)
        second.variables[0].assign(first.variables[0])
        np.testing.assert_array_equal(first(x, training=True), second(x, training=True))

    def test_replicas_mask_differently(self):
        strategy = devices.strategy_for(2)
        with strategy.scope():
            layer = Dropout(0.5, seed=1)
            layer.build([10, 100])
        step = tf.function(lambda: strategy.run(lambda: layer(tf.ones([10, 100]), training=True)))
        calls = [strategy.experimental_local_results(step()) for _ in range(2)]
        masks = [mask.numpy() for replicas in calls for mask in replicas]
        assert len(masks) == 4
        for first in range(4):
            for second in range(first):
                assert np.mean(masks[first] == masks[second]) == pytest.approx(0.5, abs=0.1)
        # One replica alone draws what the first of several draws.
        alone = Dropout(0.5, seed=1)(tf.ones([10, 100]), training=True)
        np.testing.assert_array_equal(alone, masks[0])
