import functools
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import layers, locally_connected, variants
from keras_alexnet.networks.customize import customized, overlapping
from keras_alexnet.networks.summary import layer_table
from support.fixed_weights import relative_error, set_fixed_weights, uniform
from support.networks import registered, shrunk

GOLDEN_CLASSES = 5  # of each image's logits
GOLDEN = pathlib.Path(__file__).with_name("golden_logits.json")
PAPER = "standardize conv1 lrn1 pool1 conv2 lrn2 pool2 conv3 conv4 conv5 pool5 flatten"
PYTORCH = "standardize conv1 pool1 conv2 pool2 conv3 conv4 conv5 pool5 flatten"
AFTER = "fc6 dropout6 fc7 dropout7 logits"
BEFORE = "dropout6 fc6 dropout7 fc7 logits"
LAYERS = {
    "alexnet": f"image {PAPER} {AFTER}",
    "alexnet_two_tower": f"image {PAPER} {AFTER}",
    "alexnet_caffe": f"image {PAPER} {AFTER}",
    "alexnet_2012": f"image standardize conv1 lrn1 pool1 activation1 conv2 lrn2 norm2 pool2 conv3 "
    f"conv4 conv5 pool5 activation5 flatten {AFTER}",
    "alexnet_owt": f"image {PYTORCH} {BEFORE}".replace("flatten", "avgpool flatten"),
    "alexnet_half": f"image {PYTORCH} {BEFORE}",
    "cifar_v1": f"image {PYTORCH} {BEFORE}",
    "cifar_v2": "image standardize conv1 pool1 conv2 pool2 flatten fc3 fc4 logits",
    "cifar_v3": f"image {PYTORCH} {BEFORE}",
    "cifar_resized": f"image {PAPER} {AFTER}",
    "cuda_convnet_11pct": "image standardize conv1 pool1 lrn1 conv2 lrn2 pool2 local3 local4 "
    "flatten logits",
    "cuda_convnet_13pct": "image standardize conv1 pool1 conv2 pool2 local3 local4 flatten logits",
    "cuda_convnet_18pct": "image standardize conv1 pool1 activation1 norm1 conv2 pool2 norm2 conv3 "
    "pool3 flatten logits",
    "cuda_convnet_80sec": "image standardize conv1 pool1 activation1 conv2 pool2 conv3 pool3 "
    "flatten fc64 logits",
}
# From the sources, layer by layer: parameters, multiply-accumulates.
TOTALS = {
    "alexnet": (62_378_344, 1_135_256_096),
    "alexnet_two_tower": (60_965_224, 724_406_816),
    "alexnet_caffe": (60_965_224, 724_406_816),
    "alexnet_2012": (60_965_224, 724_406_816),
    "alexnet_owt": (61_100_840, 714_188_480),
    "alexnet_half": (16_630_440, 311_191_824),
    "cifar_v1": (23_272_266, 62_742_528),
    "cifar_v2": (576_778, 12_526_464),
    "cifar_v3": (14_859_082, 227_711_744),
    "cifar_resized": (58_322_314, 1_131_201_056),
    "cuda_convnet_11pct": (3_672_906, 34_689_024),
    "cuda_convnet_13pct": (1_901_386, 32_919_552),
    "cuda_convnet_18pct": (89_578, 12_298_240),
    "cuda_convnet_80sec": (145_578, 12_354_176),
}
PAPERS = ("alexnet", "alexnet_two_tower", "cifar_resized")
BIAS_1 = {"conv2", "conv4", "conv5", "fc6", "fc7"}
# Convolutions without an activation of their own: it comes after their pooling.
LINEAR = {
    "alexnet_2012": {"conv1", "conv5"},
    "cuda_convnet_18pct": {"conv1"},
    "cuda_convnet_80sec": {"conv1"},
}
# Response normalization: depth radius, bias, alpha, beta, groups; or size instead of depth radius.
LRN = {
    **dict.fromkeys(PAPERS, {"lrn1": (2, 2.0, 1e-4, 0.75, 1), "lrn2": (2, 2.0, 1e-4, 0.75, 1)}),
    "alexnet_caffe": dict.fromkeys(("lrn1", "lrn2"), (2, 1.0, 2e-5, 0.75, 1)),
    "alexnet_2012": {
        **dict.fromkeys(("lrn1", "lrn2"), (2, 2.0, 2e-5, 0.75, 2)),
        "norm2": (5, 1.0, 4e-5, 0.75),
    },
    "cuda_convnet_11pct": dict.fromkeys(("lrn1", "lrn2"), (4, 1.0, 0.001 / 9, 0.75, 1)),
    "cuda_convnet_18pct": dict.fromkeys(("norm1", "norm2"), (3, 1.0, 5e-5 / 9, 0.75)),
}
# Standard deviation and bias of the initial weights where they are not PyTorch's uniform ones.
CAFFE_BIAS, CUDA_LOCAL = dict.fromkeys(BIAS_1, 0.1), {"conv1": 1e-4, "local3": 0.04, "local4": 0.04}
INITIAL = {
    **dict.fromkeys(PAPERS, ({}, dict.fromkeys(BIAS_1, 1.0))),
    "alexnet_caffe": ({"fc6": 0.005, "fc7": 0.005}, CAFFE_BIAS),
    "alexnet_2012": (dict.fromkeys(("conv3", "conv4", "conv5"), 0.03), dict.fromkeys(BIAS_1, 1.0)),
    "cuda_convnet_11pct": (CUDA_LOCAL, {}),
    "cuda_convnet_13pct": (CUDA_LOCAL, {}),
    "cuda_convnet_18pct": ({"conv1": 1e-4}, {}),
    "cuda_convnet_80sec": ({"conv1": 1e-4, "fc64": 0.1, "logits": 0.1}, {}),
}


def fixed_images(model, count=2):
    return ((uniform("image", (count, *model.input_shape[1:])) + 1) * 128).astype("uint8")


def must_compile(model):
    """Returns whether the model's graph, as it would be saved, has functions XLA must compile."""
    specification = tf.TensorSpec([None, *model.input_shape[1:]])
    graph = tf.function(model, input_signature=[specification]).get_concrete_function().graph
    functions = graph.as_graph_def().library.function
    return any(function.attr["_XlaMustCompile"].b for function in functions)


def _deviation(weight):
    """The standard deviation, in one pass over those that have 38 million weights."""
    if weight.size < 1e6:
        return np.std(weight)
    flat = weight.ravel()
    return np.sqrt(np.dot(flat, flat) / flat.size - np.mean(flat) ** 2)


class Network:
    """A variant built once for all its tests; `initial` is what its initial weights looked like."""

    def __init__(self, name):
        self.name = name
        self.model = keras_alexnet.build(name, seed=5)
        self.initial = {
            layer.name: [
                (np.mean(weight), _deviation(weight), np.min(weight), np.max(weight))
                for weight in layer.get_weights()
            ]
            for layer in self.model.layers
            if layer.weights
        }
        set_fixed_weights(self.model)
        self.images = fixed_images(self.model)
        self.logits = self.model(self.images).numpy()

    @functools.cached_property
    def small(self):
        """The same layers with few weights, to be saved fast."""
        with registered(shrunk(variants.get(self.name), filters=8, units=16)):
            model = keras_alexnet.build(self.name)
        set_fixed_weights(model)
        return model


@pytest.fixture(scope="module", params=list(LAYERS))
def network(request):
    return Network(request.param)


@pytest.fixture
def policy():
    """Sets the global precision policy, for one test."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


class TestEveryNetwork:
    def test_layers_have_stable_names_in_the_order_of_the_source(self, network):
        assert [layer.name for layer in network.model.layers] == LAYERS[network.name].split()
        assert network.model.name == network.name

    def test_parameters_and_macs_are_the_sources(self, network):
        model, spec = network.model, variants.get(network.name)
        totals = layer_table(model).totals
        assert (totals["parameters"], totals["macs"]) == TOTALS[network.name]
        assert totals["weight_bytes"] == 4 * TOTALS[network.name][0]
        assert model.count_params() == TOTALS[network.name][0]
        assert (spec.parameters, spec.macs) == TOTALS[network.name]
        assert model.input_shape == (None, spec.input_size, spec.input_size, 3)
        assert model.output_shape == (None, spec.num_classes)

    def test_golden_logits(self, network):
        stored, logits = json.loads(GOLDEN.read_text()), network.logits[:, :GOLDEN_CLASSES]
        assert network.name in stored, (
            f"{GOLDEN.name} lacks {network.name}. Once the network agrees with its source, add "
            f"{json.dumps({network.name: logits.tolist()})}"
        )
        assert relative_error(np.float32(stored[network.name]), logits) < 1e-4

    def test_hidden_layers_are_rectified_and_logits_are_not(self, network):
        hidden = [layer for layer in network.model.layers if layer.weights]
        linear = {"logits", *LINEAR.get(network.name, ())}
        outputs = keras.Model(
            network.model.input, [(layer.input, layer.output) for layer in hidden]
        )(network.images)
        for layer, (inputs, output) in zip(hidden, outputs, strict=True):
            if isinstance(layer, locally_connected.LocallyConnected):
                shared = locally_connected.LocallyConnected(layer.filters, 3, padding=layer.zeros)
                shared.build(inputs.shape)
                shared.set_weights(layer.get_weights())
                sums = shared(inputs)
            elif isinstance(layer, layers.Convolution):
                sums = layer.convolution_op(inputs, layer.kernel) + layer.bias
            else:
                sums = inputs @ layer.kernel + layer.bias
            assert np.min(sums) < 0 < np.max(sums)
            wanted = sums if layer.name in linear else np.maximum(sums, 0)
            np.testing.assert_allclose(output, wanted, atol=1e-5 * np.max(np.abs(sums)))

    def test_response_normalization_has_the_sources_constants(self, network):
        found = {}
        for layer in network.model.layers:
            if isinstance(layer, layers.LocalResponseNormalization):
                constants = (layer.depth_radius, layer.bias, layer.alpha, layer.beta, layer.groups)
                found[layer.name] = pytest.approx(constants, rel=1e-9)
            if isinstance(layer, layers.SameMapNormalization):
                constants = (layer.size, layer.bias, layer.alpha, layer.beta)
                found[layer.name] = pytest.approx(constants, rel=1e-9)
        assert found == LRN.get(network.name, {})

    def test_every_parameter_receives_a_gradient(self, network):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network.model(network.images, training=False) ** 2)
        gradients = tape.gradient(loss, network.model.trainable_variables)
        assert len(gradients) == len(network.initial) * 2
        for variable, gradient in zip(network.model.trainable_variables, gradients, strict=True):
            assert np.all(np.isfinite(gradient)), variable.path
            assert np.any(gradient), variable.path

    def test_keras_file_gives_the_same_model(self, network, tmp_path):
        network.small.save(tmp_path / "model.keras")
        restored = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
        np.testing.assert_array_equal(restored(network.images), network.small(network.images))

    def test_a_saved_model_needs_no_xla_compiler(self, network):
        assert not must_compile(network.small)

    def test_initial_weights_are_the_sources(self, network):
        for name, (kernel, bias) in network.initial.items():
            shape = network.model.get_layer(name).kernel.shape
            if network.name in INITIAL:
                stds, biases = INITIAL[network.name]
                std, value = stds.get(name, 0.01), np.float32(biases.get(name, 0.0))
                tolerance = std * max(0.04, 5 / np.sqrt(np.prod(shape)))
                assert kernel[:2] == pytest.approx((0, std), abs=tolerance)
                assert kernel[3] > 2.5 * std  # normal, and not cut off at two deviations
                assert bias[2:] == (value, value) and bias[1] < 1e-6
            else:
                bound = np.float32(1 / np.sqrt(np.prod(shape[:-1])))
                assert kernel[1] == pytest.approx(bound / np.sqrt(3), rel=0.03)
                for _, _, least, most in (kernel, bias):
                    assert -bound <= least < -0.6 * bound and 0.6 * bound < most <= bound


def test_every_network_is_tested():
    assert list(LAYERS) == list(TOTALS) == keras_alexnet.list_variants()


def test_the_check_for_xla_finds_keras_own_grouped_convolution():
    image = keras.Input([8, 8, 4])
    model = keras.Model(image, keras.layers.Conv2D(4, 3, groups=2)(image))
    assert must_compile(model)


class TestArguments:
    def test_pixels_may_be_uint8_or_float(self):
        model = keras_alexnet.build("cifar_v2", seed=1)
        images = fixed_images(model, 4)
        wanted = model(images).numpy()
        assert model.input.dtype == "float32" and model.input.name == "image"
        for dtype in ("uint8", "int32", "float32", "float64"):
            np.testing.assert_array_equal(model(images.astype(dtype)), wanted)
            predicted = model.predict(images.astype(dtype), verbose=0)
            np.testing.assert_allclose(predicted, wanted, atol=1e-6)
            dataset = tf.data.Dataset.from_tensors(images.astype(dtype))
            np.testing.assert_allclose(model.predict(dataset, verbose=0), wanted, atol=1e-6)

    def test_fit_takes_uint8_as_it_takes_float(self):
        losses = []
        for dtype in ("uint8", "float32"):
            model = keras_alexnet.build("cifar_v2", seed=1)
            model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            images, labels = fixed_images(model, 4).astype(dtype), np.int32([0, 1, 2, 3])
            history = model.fit(images, labels, epochs=2, shuffle=False, verbose=0)
            losses.append(history.history["loss"])
        assert losses[0] == losses[1]
        assert losses[0][1] < losses[0][0]

    def test_seed_fixes_weights_and_masks_bit_for_bit(self):
        first, same, other = (keras_alexnet.build("cifar_v3", seed=seed) for seed in (1, 1, 2))
        images = fixed_images(first)
        for a, b, c in zip(*(model.get_weights() for model in (first, same, other)), strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.mean(a == c) < 0.01
        np.testing.assert_array_equal(first(images, training=True), same(images, training=True))
        assert np.any(first(images, training=True) != same(images))

    def test_layers_and_their_parts_draw_different_numbers(self):
        model = keras_alexnet.build("cifar_v1", seed=1)
        first, second = (model.get_layer(name).get_weights() for name in ("conv4", "conv5"))
        assert np.mean(first[0][:, :, :256] == second[0]) < 0.01
        for kernel, bias in (first, second):
            assert np.mean(kernel.flat[: bias.size] == bias) < 0.01
        masks = [model.get_layer(f"dropout{n}")(tf.ones([64]), training=True) for n in (6, 7)]
        assert np.any(masks[0] != masks[1])

    def test_without_a_seed_keras_own_decides(self):
        kernels = []
        for seed in (1, 1, 2):
            keras.utils.set_random_seed(seed)
            kernels.append(keras_alexnet.build("cifar_v2").get_weights()[0])
        np.testing.assert_array_equal(kernels[0], kernels[1])
        assert np.mean(kernels[0] == kernels[2]) < 0.01

    def test_lrn_can_be_left_out_and_the_rest_keeps_its_weights(self):
        small = {"input_shape": (64, 64, 3), "num_classes": 2, "seed": 1}
        with registered(shrunk(variants.get("alexnet"), filters=8, units=16)):
            models = [
                keras_alexnet.build("alexnet", lrn=lrn, **small) for lrn in (None, True, False)
            ]
        names = [[layer.name for layer in model.layers] for model in models]
        assert names[0] == names[1]
        assert names[2] == [name for name in names[0] if not name.startswith("lrn")]
        for with_lrn, without in zip(models[0].get_weights(), models[2].get_weights(), strict=True):
            np.testing.assert_array_equal(with_lrn, without)

    def test_both_kinds_of_response_normalization_are_left_out_together(self):
        small = {"input_shape": (32, 32, 3), "lrn": False}
        for variant in ("cuda_convnet_11pct", "cuda_convnet_18pct"):
            names = [layer.name for layer in keras_alexnet.build(variant, **small).layers]
            assert names == [
                name for name in LAYERS[variant].split() if "norm" not in name and "lrn" not in name
            ]
        network = customized(variants.get("alexnet_2012"), lrn=False)
        assert not {"lrn1", "lrn2", "norm2"} & {layer.name for layer in network.layers}

    def test_activation_after_pooling_is_the_chosen_one(self):
        model = keras_alexnet.build("cuda_convnet_80sec", activation="tanh")
        assert model.get_layer("activation1").activation is keras.activations.tanh
        assert model.get_layer("conv1").activation is keras.activations.linear
        assert model.get_layer("conv2").activation is keras.activations.tanh

    def test_the_2012_network_halves_at_test_and_leaves_alone_in_training(self):
        small = {"input_shape": (67, 67, 3), "num_classes": 2, "seed": 1}
        model = keras_alexnet.build("alexnet_2012", **small)
        for name in ("dropout6", "dropout7"):
            layer = model.get_layer(name)
            np.testing.assert_array_equal(layer(np.ones([1, 8])), np.full([1, 8], 0.5))
            assert set(np.unique(layer(np.full([1, 64], 3.0), training=True))) == {0, 3}

    def test_caffes_first_kernel_is_in_the_order_b_g_r(self):
        small = {"input_shape": (67, 67, 3), "num_classes": 2, "seed": 1}
        model = keras_alexnet.build("alexnet_caffe", **small)
        red = np.zeros([1, 67, 67, 3], "uint8") + np.uint8([255, 0, 0])
        reached = model.get_layer("standardize")(red)[0, 0, 0]
        np.testing.assert_allclose(reached, [-104.007, -116.669, 255 - 122.679], rtol=1e-5)

    @pytest.mark.parametrize(
        "rate, rates", [(None, [0.6, 0.6]), (0, []), (0.0, []), (0.3, [0.3] * 2)]
    )
    def test_dropout_rate(self, rate, rates):
        model = keras_alexnet.build("cifar_v3", dropout=rate)
        dropouts = [layer for layer in model.layers if isinstance(layer, layers.Dropout)]
        assert [layer.rate for layer in dropouts] == rates

    @pytest.mark.parametrize("activation", ["tanh", keras.ops.tanh, None])
    def test_activation_is_that_of_all_hidden_layers_and_no_other(self, activation):
        model = keras_alexnet.build("cifar_v2", activation=activation, seed=1)
        hidden = [layer for layer in model.layers if layer.weights and layer.name != "logits"]
        function = keras.activations.linear if activation is None else keras.ops.tanh
        x = tf.constant([-2.0, 0.5])
        for layer in hidden:
            np.testing.assert_allclose(layer.activation(x), function(x), rtol=1e-6)
        assert model.get_layer("logits").activation is keras.activations.linear

    def test_classifier_activation_comes_after_the_logits(self, policy):
        policy("mixed_bfloat16")
        plain = keras_alexnet.build("cifar_v2", seed=1)
        softmax = keras_alexnet.build("cifar_v2", classifier_activation="softmax", seed=1)
        images = fixed_images(plain)
        logits, probabilities = plain(images), softmax(images)
        assert logits.dtype == probabilities.dtype == tf.float32
        np.testing.assert_allclose(probabilities, tf.nn.softmax(logits), rtol=1e-6)
        assert [layer.name for layer in softmax.layers[-2:]] == ["logits", "predictions"]

    def test_pixel_mean_replaces_the_specs(self):
        means = np.float32([10, 20, 30])
        model = keras_alexnet.build("cifar_resized", pixel_mean=means, input_shape=(64, 64, 3))
        standardize = model.get_layer("standardize")
        np.testing.assert_array_equal(standardize(np.ones([1, 1, 1, 3]))[0, 0, 0], [-9, -19, -29])

    @pytest.mark.parametrize("given", [2, (2, 2, 2), np.float32([2, 2, 2])])
    def test_pixel_std_replaces_the_specs(self, given):
        model = keras_alexnet.build("cifar_v2", pixel_mean=[1, 2, 3], pixel_std=given)
        standardize = model.get_layer("standardize")
        np.testing.assert_array_equal(standardize(np.ones([1, 1, 1, 3]))[0, 0, 0], [0, -0.5, -1])

    @pytest.mark.parametrize(
        "variant, same_sizes",
        [("cifar_v3", True), ("cuda_convnet_80sec", True), ("cifar_v2", False)],
    )
    def test_pooling_can_be_without_overlap(self, variant, same_sizes):
        model = keras_alexnet.build(variant, seed=1)
        without = keras_alexnet.build(variant, seed=1, overlapping_pooling=False)
        assert [each.name for each in without.layers] == [each.name for each in model.layers]
        pools = [each for each in without.layers if each.name.startswith("pool")]
        assert [pool.pool_size for pool in pools] == [(2, 2)] * len(pools)
        assert all(pool.strides == (2, 2) for pool in pools)
        assert (without.count_params() == model.count_params()) is same_sizes
        kernels = [each.get_weights()[0] for each in (model.layers[2], without.layers[2])]
        np.testing.assert_array_equal(*kernels)
        images = fixed_images(model)
        assert np.any(model(images) != without(images))
        keras_alexnet.build(variant, overlapping_pooling=True)
        keras_alexnet.build("cifar_v1", overlapping_pooling=False)

    def test_no_network_keeps_overlapping_pooling_and_most_keep_their_sizes(self):
        def sizes(spec):
            found = [spec.input_size]
            for layer in spec.features:
                found.append(layer.output_size(found[-1]))
            return found

        changed = []
        for variant in keras_alexnet.list_variants():
            spec = variants.get(variant)
            without = customized(spec, overlapping_pooling=False)
            assert not overlapping(without)
            changed += [variant] if sizes(without) != sizes(spec) else []
        assert changed == ["cifar_v2"]

    def test_initial_weights_for_every_network(self):
        build = functools.partial(keras_alexnet.build, "cuda_convnet_11pct", seed=1)
        normal, uniform = (
            build(initial_weights="normal(0.02)"),
            build(initial_weights="fan_in_uniform"),
        )
        for name in ("conv1", "conv2", "local3", "logits"):
            kernel, bias = normal.get_layer(name).get_weights()
            assert np.std(kernel) == pytest.approx(0.02, rel=0.05) and not np.any(bias)
            kernel, bias = uniform.get_layer(name).get_weights()
            bound = 1 / np.sqrt(np.prod(np.shape(kernel)[-4:-1]))
            if name != "local3":  # whose kernel has positions, too
                assert 0.9 * bound < np.max(np.abs(kernel)) <= bound and np.any(bias)

    def test_optional_initial_weights(self):
        model = keras_alexnet.build("alexnet_half", initial_weights="he_fan_out", seed=1)
        for layer in model.layers:
            if layer.weights:
                kernel, bias = layer.get_weights()
                fan_out = np.prod(kernel.shape[:2]) * kernel.shape[-1]
                std = np.sqrt(2 / fan_out) if kernel.ndim == 4 else 0.01
                assert np.std(kernel) == pytest.approx(std, rel=0.02)
                assert np.max(kernel) > 3 * std
                assert not np.any(bias)

    @pytest.mark.parametrize("num_classes", [1, 7, np.int64(100)])
    def test_any_number_of_classes(self, num_classes):
        model = keras_alexnet.build("cifar_v2", num_classes=num_classes)
        assert model(fixed_images(model)).shape == (2, num_classes)

    @pytest.mark.parametrize(
        "variant, shape",
        [("cifar_v2", (19, 40, 3)), ("cifar_v1", [17, 16, 3]), ("alexnet_owt", (63, 99, 3))],
    )
    def test_other_input_shapes(self, variant, shape):
        model = keras_alexnet.build(variant, input_shape=shape, num_classes=3)
        assert model.predict(fixed_images(model), verbose=0).shape == (2, 3)

    @pytest.mark.parametrize(
        "variant, smallest, layer",
        [
            *((name, 64, "pool5") for name in PAPERS),
            *((name, 63, "pool5") for name in ("alexnet_owt", "alexnet_half")),
            ("cifar_v1", 15, "pool5"),
            ("cifar_v2", 19, "pool2"),
            ("cifar_v3", 6, "pool5"),
        ],
    )
    def test_too_small_an_input_names_the_layer_at_which_it_runs_out(
        self, variant, smallest, layer
    ):
        for shape in ((smallest - 1, smallest, 3), (smallest, smallest - 1, 3)):
            with pytest.raises(UsageError) as error:
                keras_alexnet.build(variant, input_shape=shape)
            assert f"{smallest}x{smallest} pixels" in str(error.value)
            assert f"at layer {layer}. Received: {shape[0]}x{shape[1]}" in str(error.value)
        if variant.startswith("cifar_v"):
            keras_alexnet.build(variant, input_shape=(smallest, smallest, 3))

    @pytest.mark.parametrize(
        "variant, arguments, message",
        [
            ("cifar_v22", {}, "Did you mean 'cifar_v2'"),
            ("cifar_v2", {"num_classes": 0}, "num_classes must be a whole number of at least 1"),
            ("cifar_v2", {"num_classes": 2.0}, "num_classes .* Received: 2.0"),
            ("cifar_v2", {"num_classes": True}, "num_classes .* Received: True"),
            ("cifar_v2", {"seed": "1"}, "seed must be a whole number. Received: '1'"),
            ("cifar_v2", {"input_shape": (32, 32)}, r"\(height, width, 3\). Received: \(32, 32\)"),
            ("cifar_v2", {"input_shape": 32}, r"\(height, width, 3\). Received: \(32,\)"),
            ("cifar_v2", {"input_shape": (32, 32, 1)}, "gray images into RGB"),
            ("cifar_v2", {"input_shape": (32, 32, 4)}, "drop the alpha channel"),
            ("cifar_v2", {"input_shape": (None, 32, 3)}, "input_shape's height .* Received: None"),
            ("cifar_v2", {"input_shape": (32, 3.5, 3)}, "input_shape's width .* Received: 3.5"),
            ("cifar_v2", {"activation": "rellu"}, "activation must be .* Received: 'rellu'"),
            ("cifar_v2", {"classifier_activation": "soft"}, "classifier_activation .* 'soft'"),
            (
                "cifar_v2",
                {"lrn": True},
                "cifar_v2 has no response normalization: leave lrn out. Received: lrn=True",
            ),
            (
                "cifar_v2",
                {"dropout": 0.5},
                "cifar_v2 has no dropout: leave dropout out. Received: dropout=0.5",
            ),
            (
                "cifar_v1",
                {"dropout": 1},
                "dropout must be a rate of at least 0 and below 1. Received: 1",
            ),
            ("cifar_v1", {"dropout": -0.1}, "dropout must be .* Received: -0.1"),
            ("cifar_v1", {"dropout": "0.5"}, "dropout must be .* Received: '0.5'"),
            ("alexnet_half", {"initial_weights": "he"}, "Did you mean 'he_fan_out'"),
            ("cifar_v1", {"initial_weights": "he"}, r"Known: fan_in_uniform, normal\(STD\)"),
            ("cifar_v1", {"initial_weights": "he_fan_out"}, "Unknown initial_weights"),
            *(
                ("cifar_v1", {"initial_weights": f"normal({std})"}, "a number above 0, such as")
                for std in ("0", "-1", "nan", "inf", "", "a")
            ),
            (
                "cifar_v1",
                {"overlapping_pooling": True},
                "cifar_v1 has no overlapping pooling: leave overlapping_pooling out",
            ),
            ("cifar_v1", {"pixel_std": 0}, "pixel_std must be a number above 0, or 3 .* 0"),
            ("cifar_v1", {"pixel_std": [1, 2]}, r"pixel_std must .* Received: \[1, 2\]"),
            ("cifar_v1", {"pixel_std": float("inf")}, "pixel_std must"),
            ("cifar_v1", {"pixel_mean": [1, 2]}, r"3 numbers 0-255.* Received: \[1, 2\]"),
            ("cifar_v1", {"pixel_mean": 127}, "3 numbers 0-255.* Received: 127"),
            ("cifar_v1", {"pixel_mean": [1, 2, float("nan")]}, "3 numbers 0-255"),
        ],
    )
    def test_wrong_arguments(self, variant, arguments, message):
        with pytest.raises(UsageError, match=message):
            keras_alexnet.build(variant, **arguments)

    def test_lrn_and_dropout_may_be_left_out_where_there_are_none(self):
        keras_alexnet.build("cifar_v2", lrn=False, dropout=0)


class TestPrecision:
    @pytest.mark.parametrize(
        "variant, size",
        [
            ("cifar_v1", 32),
            ("cifar_v2", 32),
            ("cifar_v3", 32),
            ("alexnet_two_tower", 64),
            ("alexnet_half", 63),
        ],
    )
    @pytest.mark.parametrize(
        "precision, error", [("mixed_bfloat16", 0.05), ("mixed_float16", 0.01)]
    )
    def test_mixed_precision_gives_nearly_the_same(self, policy, variant, size, precision, error):
        arguments = {"num_classes": 10, "input_shape": (size, size, 3)}
        wanted = keras_alexnet.build(variant, **arguments)
        set_fixed_weights(wanted)
        images = fixed_images(wanted) * np.float32(0.99)  # no whole numbers, as after color noise
        policy(precision)
        mixed = keras_alexnet.build(variant, **arguments)
        mixed.set_weights(wanted.get_weights())
        assert mixed.get_layer("conv2").compute_dtype == precision.removeprefix("mixed_")
        assert mixed.get_layer("standardize").compute_dtype == "float32"
        logits = mixed(images)
        assert logits.dtype == tf.float32
        assert relative_error(wanted(images).numpy(), logits.numpy()) < error
        np.testing.assert_array_equal(
            mixed.get_layer("standardize")(images), wanted.get_layer("standardize")(images)
        )
