"""RandAugment's operations against Pillow's, and its draws; random erasing."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from keras_alexnet.data import augment
from keras_alexnet.data.augment_list import parse
from keras_alexnet.data.augmentation import Context, PixelStatistics
from keras_alexnet.data.augmenting.rand_augment import OPERATIONS, RandAugment
from keras_alexnet.data.augmenting.random_erasing import RandomErasing
from keras_alexnet.errors import UsageError
from keras_alexnet.networks.spec import ImagePlan
from keras_alexnet.training.recipe import Recipe

PLAN = ImagePlan(square_size=32, crop_size=32, crop_padding=0, input_size=32)
RANDOM = np.random.default_rng(0)


def _images():
    noise = RANDOM.integers(0, 256, (1, 32, 32, 3))
    dark = RANDOM.integers(30, 90, (1, 32, 32, 3))
    ramp = np.broadcast_to(np.arange(32)[:, None, None] * 8, (1, 32, 32, 3))
    flat = np.full((1, 32, 32, 3), 77)
    few = RANDOM.integers(0, 2, (1, 32, 32, 3)) * 200  # equalize has a step of 0
    return np.concatenate([noise, dark, ramp, flat, few]).astype(np.uint8)


IMAGES = _images()


def _turned(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def _pillow(name, image, m, sign):
    """torchvision's `_apply_op` and `_augmentation_space` for 31 bins, in Pillow's calls."""
    share, level = m / 30, lambda most: np.linspace(0, most, 31)[m]
    shift = int(sign * level(150 / 331 * 32))
    return {
        "identity": lambda: image,
        "shear_x": lambda: _turned(image, (1, sign * level(0.3), 0, 0, 1, 0)),
        "shear_y": lambda: _turned(image, (1, 0, 0, sign * level(0.3), 1, 0)),
        "translate_x": lambda: _turned(image, (1, 0, -shift, 0, 1, 0)),
        "translate_y": lambda: _turned(image, (1, 0, 0, 0, 1, -shift)),
        "rotate": lambda: image.rotate(sign * level(30)),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(1 + sign * level(0.9)),
        "color": lambda: ImageEnhance.Color(image).enhance(1 + sign * level(0.9)),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(1 + sign * level(0.9)),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(1 + sign * level(0.9)),
        "posterize": lambda: ImageOps.posterize(image, 8 - round(4 * share)),
        "solarize": lambda: ImageOps.solarize(image, np.linspace(255, 0, 31)[m]),
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
    }[name]()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_operation_is_that_of_pillow(operation):
    for m in (0, 9, 30):
        signs = np.float32([1, -1, 1, -1, 1])
        augmentation = RandAugment(f"1, {m}")
        found = augmentation.operated(operation, tf.constant(IMAGES), tf.constant(signs)).numpy()
        assert found.dtype == np.uint8
        for image, sign, ours in zip(IMAGES, signs, found, strict=True):
            theirs = np.asarray(_pillow(operation.name, Image.fromarray(image), m, sign))
            # Pillow turns in fixed point: a pixel may come from its neighbor.
            differing = (theirs != ours).any(axis=-1).mean()
            assert differing <= (0.01 if operation.name in ("rotate", "shear_x", "shear_y") else 0)


def test_each_image_has_the_operations_that_were_drawn_for_it():
    augmentation = RandAugment("2, 9")
    images = tf.constant(np.repeat(IMAGES[:1], 28, axis=0))
    draws = tf.stack([tf.range(28), tf.zeros(28, tf.int32)], axis=1)  # identity is the second
    found = augmentation.apply(images, draws, Context(PLAN)).numpy()
    for drawn in range(28):
        operation, sign = OPERATIONS[drawn // 2], -1.0 if drawn % 2 else 1.0
        alone = augmentation.operated(operation, images[:1], tf.constant([sign]))
        np.testing.assert_array_equal(found[drawn], alone[0])
    assert len(np.unique(found.reshape(28, -1), axis=0)) >= 20  # and they differ


def test_draws_are_those_of_the_image_and_all_are_drawn():
    [drawn] = augment.draws_of_epoch([RandAugment()], 0, 1, 3000, PLAN)
    [again] = augment.draws_of_epoch([RandAugment()], 0, tf.constant(1), 3000, PLAN)
    [later] = augment.draws_of_epoch([RandAugment()], 0, 2, 3000, PLAN)
    assert np.array_equal(drawn, again) and not np.array_equal(drawn, later)
    shares = np.bincount(drawn.numpy().ravel(), minlength=28) / drawn.numpy().size
    assert np.abs(shares - 1 / 28).max() < 0.01
    # In a pipeline, whose batches may have any size, the shape stays known.
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, drawn[:5])).batch(3)
    unconverted = tf.autograph.experimental.do_not_convert  # as all pipelines of the package
    batches = dataset.map(unconverted(lambda i, d: RandAugment().apply(i, d, Context(PLAN))))
    assert batches.element_spec.shape.as_list() == [None, 32, 32, 3]
    whole = RandAugment().apply(tf.constant(IMAGES), drawn[:5], Context(PLAN))
    np.testing.assert_array_equal(np.concatenate(list(batches.as_numpy_iterator())), whole)


def test_erased_rectangles_have_the_areas_and_shapes_of_torchvision():
    [boxes] = augment.draws_of_epoch([RandomErasing("0.25")], 0, 0, 8000, PLAN)
    top, left, height, width = boxes.numpy().T
    erased = height > 0
    assert abs(erased.mean() - 0.25) < 0.02
    area = (height * width)[erased] / 32**2
    assert area.min() > 0.01 and area.max() < 0.36 and abs(area.mean() - 0.175) < 0.015
    ratio = (height / np.maximum(width, 1))[erased]
    assert ratio.min() > 0.2 and ratio.max() < 4.5 and abs(np.log(ratio).mean()) < 0.05
    assert (top + height).max() == (left + width).max() == 32 and top.min() == left.min() == 0
    statistics = PixelStatistics(np.array([1.0, 2, 3]), np.eye(3), 5, sampled=False)
    draws = tf.constant([[1, 2, 3, 4], [0, 0, 0, 0]])
    found = RandomErasing().apply(tf.constant(IMAGES[:2]), draws, Context(PLAN, statistics))
    expected = IMAGES[:2].copy()
    expected[0, 1:4, 2:6] = [1, 2, 3]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "entry",
    ["randaugment(2)", "randaugment(0,9)", "randaugment(2,31)", "randaugment(a,9)"]
    + ["random_erasing(0)", "random_erasing(1.5)", "random_erasing(x)"],
)
def test_parameters_out_of_range_are_refused(entry):
    with pytest.raises(UsageError, match="cannot be used like this"):
        parse([entry])


def test_a_flag_with_commas_in_parentheses_is_one_entry():
    recipe = Recipe("mine", "", augment="crop,randaugment(2, 9, until=5),random_erasing")
    assert recipe.augment == ("crop", "randaugment(2,9,until=5)", "random_erasing")
    [_, (found, until), _] = parse(recipe.augment)
    assert (found.count, found.strength, until) == (2, 9, 5)
