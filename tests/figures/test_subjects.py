"""The images that are chosen, what the network sees of them, and names of files."""

import dataclasses

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import figures
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.splits import Split
from keras_alexnet.figures import subjects


def test_images_are_chosen_from_all_classes_or_named(data):
    chosen = subjects.chosen(data.test, 6, None, seed=1)
    assert np.bincount(data.test.labels[chosen]).tolist() == [2, 2, 2]
    assert subjects.chosen(data.test, 6, (5, 3), seed=1).tolist() == [5, 3]
    for wrong in ((24,), ("x",), (-1,)):
        with pytest.raises(ka.UsageError, match="indices"):
            subjects.chosen(data.test, 6, wrong, seed=1)
    with pytest.raises(ka.UsageError, match="only 24 images to choose from. Received: 25"):
        subjects.chosen(data.test, 25, None, seed=1)


@pytest.mark.parametrize(
    "name, side", [("cifar_v2", 32), ("alexnet_owt", 64), ("cifar_resized", 227)]
)
def test_images_shown_are_those_that_the_network_sees(name, side, data):
    plan = ka.variants.get(name).image_plan_for(side)
    expected, _ = next(iter(ka.eval_batches(data.test.subset([7, 2]), plan, batch_size=2)))
    np.testing.assert_array_equal(subjects.views(data.test, [7, 2], plan), expected)


@pytest.mark.parametrize("warp", [False, True])
def test_images_that_are_not_square_are_cut_or_warped(warp):
    plan = dataclasses.replace(ka.variants.get("cifar_v2").image_plan_for(), warp=warp)
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 60, 3), dtype=np.uint8)
    split = Split.of(ImageArray(images), [0, 0])
    expected, _ = next(iter(ka.eval_batches(split, plan, batch_size=2)))
    np.testing.assert_array_equal(subjects.views(split, [0, 1], plan), expected)
    np.testing.assert_array_equal(subjects.view_of(images[1], plan)[1], expected[1])


def test_names_of_files_are_checked_before_anything_is_loaded(tmp_path):
    with pytest.raises(ka.UsageError, match="ends in .png. Received: .*x.jpg"):
        figures.filters("no such run", tmp_path / "x.jpg")
    with pytest.raises(ka.UsageError, match=".csv or a .json file. Received: .*x.txt"):
        figures.likeliest("no such run", tmp_path / "x.png", table=tmp_path / "x.txt")
    with pytest.raises(ka.UserError, match="There is no model at no such run"):
        figures.neighbors("no such run", tmp_path / "x.png")


def test_data_is_a_data_spec(model, tmp_path):
    with pytest.raises(
        ka.UsageError, match="must be a DataSpec.*; table is .* Received: data='x.csv'"
    ):
        figures.likeliest(model, tmp_path / "x.png", data="x.csv")
