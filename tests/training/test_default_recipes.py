"""The default recipe of every network learns from the first epochs on."""

import math

import numpy as np
import pytest
from PIL import Image

import keras_alexnet as ka
from keras_alexnet.data import drawings
from keras_alexnet.utils import machine, tensorflow_private

# The smallest inputs that show what happens at the usual ones, in pixels.
_SIZES = {
    "alexnet": 99,
    "alexnet_two_tower": 99,
    "alexnet_caffe": 99,
    "alexnet_2012": 99,
    "alexnet_owt": 99,
    "alexnet_half": 99,
    "cifar_resized": 99,
}


def _left_chance(results, classes):
    assert results["at_chance"] is None
    return results["last_epoch"]["loss"] < 0.95 * math.log(classes)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "graph_bfloat16"])
@pytest.mark.parametrize("variant", ka.list_variants())
def test_three_epochs_of_shapes_leave_chance(variant, precision, tmp_path):
    if precision == "graph_bfloat16" and not tensorflow_private.onednn_is_on():
        pytest.skip("needs oneDNN")
    if precision != "float32" and not machine.has_bfloat16():
        pytest.skip("takes hours without instructions for bfloat16")
    config = ka.TrainConfig(
        variant=variant,
        dataset="shapes",
        input_size=_SIZES.get(variant),
        workdir=tmp_path / "run",
        precision=precision,
        overrides={"epochs": 3},
    )
    assert _left_chance(ka.train(config), 10)


@pytest.mark.slow
@pytest.mark.parametrize(("classes", "images"), [(3, 120), (10, 40)])
@pytest.mark.parametrize("variant", ka.list_variants())
def test_a_small_folder_leaves_chance(variant, classes, images, tmp_path):
    random = np.random.Generator(np.random.PCG64(0))
    for label in range(classes):
        folder = tmp_path / "pictures" / drawings.CLASSES[label]
        folder.mkdir(parents=True)
        for number, pixels in enumerate(drawings.draw(np.full(images, label), random)):
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    config = ka.TrainConfig(
        variant=variant,
        dataset="image_folder",
        data_dir=tmp_path / "pictures",
        input_size=_SIZES.get(variant),
        workdir=tmp_path / "run",
    )
    assert _left_chance(ka.train(config), classes)
