"""The weights that come with the package: each file is what its card says."""

import itertools
import os
import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_alexnet as ka
from keras_alexnet.networks import variants
from keras_alexnet.weights import named, shipped_file

ALL = named.list_named()
DATA = "CIFAR10_JPEG"  # the path of cifar10-jpeg.tar.gz, or of its folder


@pytest.fixture(params=ALL, ids=lambda each: f"{each.variant}-{each.name}")
def weights(request):
    return request.param


def test_the_network_computes_what_its_card_says(weights):
    network = ka.load(weights.variant)
    card = network.card
    logits = network.logits(shipped_file.check_images(card["input_size"]))
    expected = np.asarray(card["check"])
    np.testing.assert_allclose(logits, expected, atol=1e-3 * np.abs(expected).max())
    # Every two of the images: a network that hardly sees its input would show in none of them.
    differences = [np.abs(one - other).max() for one, other in itertools.combinations(expected, 2)]
    assert min(differences) > 0.1 * np.abs(expected).max(), "the images should differ"
    assert network.model.count_params() == card["parameters"]
    assert network.plan == variants.image_plan(weights.variant, card["input_size"])
    assert network.labels_are_names and not any(label.isdecimal() for label in network.labels)


def test_the_card_describes_the_file(weights):
    card = shipped_file.read_card(weights.file)
    assert (card["variant"], card["name"]) == (weights.variant, weights.name)
    assert card["file"] == weights.file.name
    kernels = [each for name, each in load_file(weights.file).items() if name.endswith("/kernel")]
    assert {each.dtype.name for each in kernels} == {card["stored_as"]}
    assert card["top1_before"] - card["accuracy"]["1"]["top1"] < 0.001
    assert card["accuracy"].keys() >= {"1", "2"}
    assert card["command"].startswith(f"keras-alexnet train --variant {weights.variant} ")
    assert not any(os.sep in str(value) for value in card["training"].values())
    assert weights.file.stat().st_mode & 0o044 == 0o044, "everyone may read it"


def test_all_together_are_small():
    files = [path for path in shipped_file.FOLDER.iterdir() if path.is_file()]
    assert {path.stem for path in files} == {f"{each.variant}-{each.name}" for each in ALL}
    assert sum(path.stat().st_size for path in files) < 30e6


@pytest.mark.slow
@pytest.mark.parametrize("views", [1, 2, 10])
def test_accuracy_on_all_test_images_is_that_of_the_card(weights, views):
    if DATA not in os.environ:
        pytest.skip(f"needs {DATA}=…/cifar10-jpeg.tar.gz")
    card = shipped_file.read_card(weights.file)
    if str(views) not in card["accuracy"]:
        pytest.skip("was not measured")
    place = pathlib.Path(os.environ[DATA])
    config = ka.EvaluateConfig(
        model=weights.variant, dataset="image_folder", data_dir=place, views=views
    )
    found, expected = ka.evaluate(config), card["accuracy"][str(views)]
    assert found["data_sha256"] == card["data_sha256"]
    assert found["images"] == card["test_images"]
    # Another processor may round another way, so that an image or two change sides.
    assert found["top1"] == pytest.approx(expected["top1"], abs=3.1 / found["images"])
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-4)
