"""The doors of the package answer alike, and say where what they are given belongs."""

import dataclasses
import pickle

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import UserError
from keras_alexnet.training.recipe import OVERRIDABLE
from keras_alexnet.weights import published

CONFIGS = (
    ka.TrainConfig,
    ka.EvaluateConfig,
    ka.ExportConfig,
    ka.PrepareConfig,
    ka.AblateConfig,
    ka.DistanceConfig,
    ka.DataSpec,
)


def test_fields_of_the_recipe_are_overrides():
    for field in OVERRIDABLE:
        if field.name in {each.name for each in dataclasses.fields(ka.TrainConfig)}:
            continue
        with pytest.raises(ka.UsageError, match=rf"give overrides={{'{field.name}': 2}}"):
            ka.TrainConfig(**{field.name: 2})


@pytest.mark.parametrize("config", CONFIGS)
def test_fields_of_another_config(config):
    known = {field.name for field in dataclasses.fields(config)}
    others = {field.name for each in CONFIGS for field in dataclasses.fields(each)} - known
    for name in sorted(others):
        with pytest.raises(ka.UsageError, match=f"Unknown field of {config.__name__} '{name}'"):
            config(**{name: 1})


def test_configs_are_copied_and_pickled():
    config = ka.TrainConfig(variant="cifar_v2", overrides={"epochs": 2})
    assert pickle.loads(pickle.dumps(config)) == config == dataclasses.replace(config)


def _answer(make):
    try:
        return [weight.sum() for weight in make().get_weights()[:2]]
    except UserError as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("variant", "weights"),
    [
        *(
            ("cifar_v2", each)
            for each in ("cifar10-jpeg", "cifar_v2", "imagenet", "no.file", "", 5)
        ),
        ("alexnet_owt", "imagenet"),
    ],
)
def test_build_and_alexnet_take_the_same_weights(variant, weights, monkeypatch):
    def refused(spec):
        raise UserError(f"no download of {spec.name}")

    monkeypatch.setattr(published, "obtain", refused)
    classes = {"cifar_v2": 10, "alexnet_owt": 1000}[variant]
    built = _answer(lambda: ka.build(variant, weights=weights))
    of_keras = _answer(lambda: ka.AlexNet(variant=variant, weights=weights, classes=classes))
    assert built == of_keras


@pytest.mark.parametrize("weights", ["cifar10-jpeg", "cifar_v2"])
def test_other_classes_than_those_of_named_weights(weights):
    with pytest.raises(ka.UsageError, match="classes must be 10. Received: 1000.*build"):
        ka.AlexNet(variant="cifar_v2", weights=weights)
    assert ka.build("cifar_v2", weights=weights, num_classes=7).output_shape == (None, 7)


@pytest.mark.parametrize(
    "make", [lambda: ka.build("cifar_v2"), lambda: ka.AlexNet(weights=None, include_top=False)]
)
def test_channels_first(make):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ka.UsageError, match="channels last.*Received: .*channels_first"):
            make()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_a_loaded_network_predicts(tmp_path):
    network = ka.load("cifar_v2")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 40, 50, 3))
    wanted = ka.predict("cifar_v2", pixels, top=2)
    assert network.predict(pixels, top=2) == wanted == ka.predict(network, pixels, top=2)
    numbers = [network.labels[int(each.classes[0])] for each in ka.predict(network.model, pixels)]
    assert numbers == [each.classes[0] for each in wanted]
    with pytest.raises(ka.UsageError, match="must be pixels 0–255"):
        network.predict(pixels / 255)
    with pytest.raises(ka.UsageError, match="Give them to keras_alexnet.load"):
        ka.predict(network, pixels, variant="cifar_v2")


# Losses ------------------------------------------------------------------------------------------
LOSSES = keras.losses
WRONG = [
    "sparse_categorical_crossentropy",
    "categorical_crossentropy",
    "binary_crossentropy",
    "SparseCategoricalCrossentropy",
    LOSSES.sparse_categorical_crossentropy,
    LOSSES.SparseCategoricalCrossentropy(),
    LOSSES.CategoricalCrossentropy(),
    LOSSES.BinaryCrossentropy(),
    LOSSES.CategoricalFocalCrossentropy(),
]
RIGHT = ["mse", None, LOSSES.MeanSquaredError(), lambda y, logits: logits]


@pytest.fixture(scope="module")
def logits():
    return ka.build("cuda_convnet_80sec")


@pytest.mark.parametrize("loss", WRONG)
def test_losses_that_expect_probabilities(logits, loss, caplog):
    logits.compile(loss=loss)
    with pytest.raises(ka.UsageError, match="returns logits.*Crossentropy.from_logits=True"):
        ka.check_loss(logits)
    callback = ka.LossCheck()
    callback.set_model(logits)
    callback.on_train_begin()
    callback.on_test_begin()
    assert caplog.text.count("returns logits") == 1


@pytest.mark.parametrize("loss", [*RIGHT, LOSSES.SparseCategoricalCrossentropy(from_logits=True)])
def test_losses_that_fit(logits, loss, caplog):
    logits.compile(loss=loss)
    assert ka.check_loss(logits) is logits
    callback = ka.LossCheck()
    callback.set_model(logits)
    callback.on_train_begin()
    assert not caplog.text


def test_losses_of_networks_with_softmax_and_around_ours(logits):
    network = ka.build("cuda_convnet_80sec", classifier_activation="softmax")
    network.compile(loss="sparse_categorical_crossentropy")
    ka.check_loss(network)
    network.compile(loss=LOSSES.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ka.UsageError, match="returns probabilities.*expects logits"):
        ka.check_loss(network)
    image = keras.Input((32, 32, 3))
    around = keras.Model(image, logits(image))
    around.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ka.UsageError, match="returns logits"):
        ka.check_loss(around)
    own = keras.Model(image, keras.layers.Softmax()(logits(image)))
    own.compile(loss="sparse_categorical_crossentropy")
    ka.check_loss(own)
