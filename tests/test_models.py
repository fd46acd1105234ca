import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.models.alexnet import AlexNet
from keras_alexnet.models.images_and_scores import decode_predictions, preprocess_input
from keras_alexnet.networks import variants
from keras_alexnet.networks.variants import list_variants

SMALL = {"variant": "cifar_v2", "classes": 10}
NEW = {**SMALL, "weights": None}


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def test_default_is_torchvisions_network_with_probabilities():
    model = AlexNet(weights=None)
    assert model.name == "alexnet_owt"
    assert model.input_shape == (None, 224, 224, 3)
    assert model.count_params() == 61_100_840
    probabilities = model(images(1, 224, 224, 3)).numpy()
    assert probabilities.shape == (1, 1000)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert inspect.signature(AlexNet).parameters["weights"].default == "imagenet"


def test_classes_activation_and_name():
    model = AlexNet(**NEW, classifier_activation=None, name="mine")
    assert model.name == "mine"
    assert model.layers[-1].name == "logits"
    assert model.output_shape == (None, 10)
    assert AlexNet(weights=None, variant="cifar_v2").output_shape == (None, 1000)


def test_arguments_stand_in_the_order_of_keras_applications():
    model = AlexNet(False, None, None, (40, 30, 3), "avg", 5, None, "mine", "cifar_v2")
    assert model.input_shape == (None, 40, 30, 3)
    assert model.output_shape == (None, 64)


class TestWithoutTop:
    @pytest.mark.parametrize("variant, channels", [("cifar_v2", 64), ("alexnet_owt", 256)])
    def test_returns_the_last_pools_map_for_any_size(self, variant, channels):
        model = AlexNet(include_top=False, weights=None, variant=variant)
        assert model.input_shape == (None, None, None, 3)
        assert model.layers[-1].name.startswith("pool")
        assert model(images(1, 70, 99, 3)).shape[-1] == channels
        assert not np.array_equal(model(images(1, 70, 99, 3)).shape[1:3], [1, 1])

    @pytest.mark.parametrize("variant", list_variants())
    def test_every_network_has_a_last_map(self, variant):
        model = AlexNet(include_top=False, weights=None, variant=variant)
        fixed = variant in ("cuda_convnet_11pct", "cuda_convnet_13pct")
        side = variants.get(variant).input_size
        assert model.input_shape[1:3] == ((side, side) if fixed else (None, None))
        if fixed:
            with pytest.raises(UsageError, match="one known size, because layer local3 has"):
                AlexNet(False, None, input_shape=(None, 32, 3), variant=variant)
        else:
            rows, columns = model(images(1, 70, 99, 3)).shape[1:3]
            assert rows and columns and rows <= columns < 70

    @pytest.mark.parametrize("pooling, reduce", [("avg", np.mean), ("max", np.max)])
    def test_pooling(self, pooling, reduce):
        feature_map = AlexNet(include_top=False, **NEW)
        pooled = AlexNet(include_top=False, pooling=pooling, **NEW)
        pooled.set_weights(feature_map.get_weights())
        x = images(2, 40, 50, 3)
        wanted = reduce(feature_map(x).numpy(), axis=(1, 2))
        assert wanted.shape == (2, 64)
        np.testing.assert_allclose(pooled(x), wanted, atol=1e-6)


def test_input_tensor_is_built_on():
    image = keras.Input([48, 40, 3])
    turned = keras.layers.Permute([2, 1, 3])(image)
    model = AlexNet(input_tensor=turned, **NEW)
    assert model.inputs == [image]
    straight = AlexNet(input_shape=(40, 48, 3), **NEW)
    straight.set_weights(model.get_weights())
    x = images(2, 48, 40, 3)
    np.testing.assert_allclose(model(x), straight(np.swapaxes(x, 1, 2)), atol=1e-6)
    again = AlexNet(input_tensor=image, input_shape=(48, 40, 3), **NEW)
    assert again.inputs == [image]


class TestWeights:
    @pytest.mark.parametrize("file", ["trained.weights.h5", "trained.keras"])
    def test_a_file_is_loaded_also_without_the_top(self, file, tmp_path, recwarn):
        trained = keras_alexnet.build("cifar_v2")
        trained.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        trained.fit(images(4, 32, 32, 3), np.int32([0, 1, 2, 3]), verbose=0)
        path = tmp_path / file
        (trained.save if file.endswith(".keras") else trained.save_weights)(path)
        x = images(2, 32, 32, 3)
        model = AlexNet(**SMALL, weights=path)
        np.testing.assert_allclose(model(x), tf.nn.softmax(trained(x)), rtol=1e-5)
        features = AlexNet(**SMALL, weights=str(path), include_top=False)
        wanted = keras.Model(trained.input, trained.get_layer("pool2").output)(x)
        np.testing.assert_array_equal(features(x), wanted)
        assert not [warning for warning in recwarn if "Skipping" in str(warning.message)]

    @pytest.mark.parametrize("change", [{"classes": 9}, {"variant": "cifar_v3"}])
    def test_another_networks_weights_are_refused(self, change, tmp_path, recwarn):
        keras_alexnet.build("cifar_v2").save_weights(tmp_path / "other.weights.h5")
        with pytest.raises(UserError, match="does not hold the weights of this cifar_v"):
            AlexNet(**{**SMALL, **change}, weights=tmp_path / "other.weights.h5")
        assert not [warning for warning in recwarn if "Skipping" in str(warning.message)]

    def test_a_damaged_file_is_refused(self, tmp_path):
        (tmp_path / "bad.weights.h5").write_bytes(b"no HDF5")
        with pytest.raises(UserError, match="or is damaged"):
            AlexNet(**SMALL, weights=tmp_path / "bad.weights.h5")

    @pytest.mark.parametrize("name", ["missing.weights.h5", "missing.keras", "folder"])
    def test_a_path_must_be_of_a_weights_file_that_exists(self, name, tmp_path):
        (tmp_path / "folder").mkdir()
        with pytest.raises(UserError, match="no such file|holds no model.keras"):
            AlexNet(**SMALL, weights=tmp_path / name)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"variant": "vgg"}, "Unknown variant 'vgg'"),
        ({"include_top": False, "pooling": "sum"}, "pooling must be .* Received: 'sum'"),
        ({"classes": 0}, "^classes must be"),
        ({"input_shape": (None, None, 3)}, "input_shape's height"),
        ({"include_top": False, "input_shape": (None, None, 1)}, "gray images into RGB"),
        ({"include_top": False, "input_shape": (9, None, 3)}, "at layer conv2"),
        ({"input_shape": (9, 9, 3)}, "at layer conv2"),
        ({"input_tensor": np.zeros([1, 32, 32, 3])}, "must be a Keras tensor"),
        ({"input_tensor": keras.Input([None, None, 3])}, "input_shape's height"),
        (
            {"input_tensor": keras.Input([32, 32, 3]), "input_shape": (33, 32, 3)},
            r"left out .*\(32, 32, 3\). Received: \(33, 32, 3\)",
        ),
        ({"classifier_activation": "soft"}, "classifier_activation must be"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        AlexNet(**{**NEW, **arguments})


class TestPreprocessInput:
    @pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
    @pytest.mark.parametrize("shape", [(4, 4, 3), (2, 4, 5, 3)])
    def test_arrays_and_tensors_are_not_changed(self, dtype, shape):
        x = images(*shape).astype(dtype)
        tensor, symbol = tf.constant(x), keras.Input([None, None, 3])
        for each in (x, tensor, symbol):
            assert preprocess_input(each) is each
            assert preprocess_input(each, data_format="channels_last") is each

    def test_lists_and_images_of_pillow_become_arrays(self):
        x = images(4, 5, 3)
        picture = Image.fromarray(x)
        for each, wanted in (
            (x.tolist(), x),
            (picture, x),
            ([picture, picture], [x, x]),
            ([x, x], [x, x]),
            (picture.convert("RGBA"), x),
        ):
            np.testing.assert_array_equal(preprocess_input(each), wanted)
        assert preprocess_input(picture).dtype == preprocess_input([picture]).dtype == np.uint8
        assert preprocess_input(picture.convert("L")).shape == (4, 5, 3)

    @pytest.mark.parametrize(
        "x, data_format, message",
        [
            (images(2, 3, 9, 9), None, r"Received: \(2, 3, 9, 9\). Turn them with np.moveaxis"),
            (images(3, 9, 9), "channels_first", "channels last, on every device. Turn them"),
            (images(3, 9, 9), "nchw", "data_format must be 'channels_last'"),
            (images(9, 9, 1), None, r"must be RGB, .*Received: \(9, 9, 1\)\.$"),
            (images(5), None, "must be RGB"),
            ([images(2, 2, 3), images(3, 2, 3)], None, "the same size"),
            ("cat.jpg", None, "Received: str"),
            (None, None, "Received: NoneType"),
        ],
    )
    def test_what_is_no_image_says_so(self, x, data_format, message):
        with pytest.raises(UsageError, match=message):
            preprocess_input(x, data_format)


class TestDecodePredictions:
    def test_names_the_highest_scores_first(self):
        scores = np.zeros([2, 1000], "float32")
        scores[0, [0, 1, 999]] = [0.5, 0.75, 0.25]
        scores[1, 281] = 1
        decoded = decode_predictions(scores, top=3)
        assert decoded[0] == [
            ("n01443537", "goldfish", 0.75),
            ("n01440764", "tench", 0.5),
            ("n15075141", "toilet_tissue", 0.25),
        ]
        assert decoded[1][0] == ("n02123045", "tabby", 1.0)
        assert [len(names) for names in decode_predictions(tf.constant(scores))] == [5, 5]

    def test_labels_are_those_of_ilsvrc_2012_in_their_order(self):
        labels = [names[0] for names in decode_predictions(np.eye(1000), top=1)]
        ids = [wordnet_id for wordnet_id, _, _ in labels]
        assert ids == sorted(set(ids)) and len(ids) == 1000
        names = [name for _, name, _ in labels]
        assert all(names) and not any(" " in name for name in names)
        # Two words stand for two classes each, as in Keras's own list.
        assert len(set(names)) == 998

    @pytest.mark.parametrize("shape", [(1000,), (1, 10), (1, 2, 1000)])
    def test_wants_scores_over_the_thousand_classes(self, shape):
        with pytest.raises(UsageError, match="of shape \\(images, 1000\\)"):
            decode_predictions(np.zeros(shape))
        with pytest.raises(UsageError, match="top must be"):
            decode_predictions(np.zeros([1, 1000]), top=0)
