"""Squares of networks from torchvision are those of torchvision's own transforms."""

import io
import pathlib

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet as ka
from keras_alexnet.data import decode, squares
from keras_alexnet.data.decoding import pillow_squares
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.pipeline import eval_batches
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError
from keras_alexnet.exporting import signatures
from keras_alexnet.networks.image_plan import ANTIALIASED_BILINEAR, RESIZES, ImagePlan
from support.photographs import photographs

PLAN = ImagePlan(96, crop_size=84, crop_padding=0, input_size=84, resize=ANTIALIASED_BILINEAR)
HOPPER = pathlib.Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"

SIZES = [  # also smaller than the square, and with every parity of what is cut off
    *((96, 96), (97, 131), (131, 97), (40, 61), (300, 96), (96, 301), (640, 480), (200, 333)),
    *((101, 202), (150, 151), (152, 151), (96, 98), (96, 100), (96, 102), (96, 104), (30, 400)),
    *((700, 700), (257, 256), (95, 190), (123, 456)),
]


def transformed(image: Image.Image, size: int, crop: int) -> np.ndarray:
    """Resize(size) and CenterCrop(crop) of torchvision 0.25, which calls Pillow."""
    width, height = image.size
    if width <= height:
        width, height = size, int(size * height / width)
    else:
        width, height = int(size * width / height), size
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    top, left = round((height - crop) / 2.0), round((width - crop) / 2.0)
    return np.asarray(resized.crop((left, top, left + crop, top + crop)))


def drawn(height: int, width: int) -> Image.Image:
    side = max(height, width)
    return Image.fromarray(photographs(1, side, seed=height * width)[0][:height, :width])


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return buffer.getvalue()


def check(found: np.ndarray, image: Image.Image) -> None:
    expected = transformed(image, PLAN.square_size, PLAN.crop_size)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_every_size_in_a_graph_without_python(kind):
    files = [encoded(drawn(*size), kind) for size in SIZES] + [HOPPER.read_bytes()]
    graph = tf.function(lambda files: signatures.inputs_from_bytes(files, PLAN))
    for found, file in zip(graph(tf.constant(files)).numpy(), files, strict=True):
        check(found, Image.open(io.BytesIO(file)).convert("RGB"))


def test_in_the_pipeline():
    images = photographs(5, 133)
    split = Split.of(ImageArray(images), np.zeros(5, np.int32))
    [(found, _)] = eval_batches(split, PLAN, batch_size=5)
    for square, pixels in zip(found.numpy(), images, strict=True):
        check(square, Image.fromarray(pixels))


def test_large_jpegs_are_decoded_whole():
    image = drawn(900, 1000)
    square = decode.decode_square(tf.constant(encoded(image, "JPEG")), *PLAN.square).numpy()
    check(square[6:-6, 6:-6], Image.open(io.BytesIO(encoded(image, "JPEG"))))


def test_warped():
    image = drawn(100, 170)
    square = squares.square(tf.constant(np.asarray(image)), 64, True, ANTIALIASED_BILINEAR)
    expected = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(square, expected)


def test_which_networks_have_it():
    plan = ka.variants.get("alexnet_owt").image_plan
    assert plan == ImagePlan(256, 224, 0, 224, resize=ANTIALIASED_BILINEAR)
    assert ka.variants.get("alexnet_owt").image_plan_for(112).resize == ANTIALIASED_BILINEAR
    assert ka.variants.get("alexnet").image_plan.resize == "area"


def test_unknown_way():
    with pytest.raises(UsageError, match="Unknown resize 'bilinear'. Did you mean 'antialiased_b"):
        ImagePlan(256, 224, 0, 224, resize="bilinear")


@pytest.mark.parametrize("size", [64, 60])
def test_pillow_computes_a_part_of_a_resized_image(size):
    random = np.random.default_rng(0)
    for height, width in [*SIZES, (1, 1), (1, 7), (9, 2), (61, 3)]:
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
        resized = tuple(size * side // min(height, width) for side in (height, width))
        # The width first, whatever the version of Pillow.
        whole = image.resize((resized[1], height), Image.Resampling.BILINEAR)
        whole = np.asarray(whole.resize(resized[::-1], Image.Resampling.BILINEAR))
        side = int(random.integers(1, size + 1))
        top, left = (int(random.integers(0, total - side + 1)) for total in resized)
        expected = whole[top : top + side, left : left + side]
        arguments = np.asarray(image), resized, (top, left), side
        np.testing.assert_array_equal(pillow_squares.cut(*arguments), expected)
        np.testing.assert_array_equal(pillow_squares.cut(*arguments, True), expected[:, ::-1])


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("warp", [False, True])
def test_a_window_is_a_part_of_the_square(resize, warp):
    whole = decode.square_decoder(64, warp, resize)
    part = decode.window_decoder(64, warp, resize, 50)
    for number, sides in enumerate([(97, 131), (150, 90), (30, 40), (64, 64), (20, 333)]):
        image = tf.constant(np.asarray(drawn(*sides)))
        file = tf.io.encode_png(image)
        expected = whole(file).numpy()
        np.testing.assert_array_equal(expected, squares.square(image, 64, warp, resize))
        corner, mirrored = (number, 14 - 3 * number), number % 2 == 0
        cut = expected[corner[0] : corner[0] + 50, corner[1] : corner[1] + 50]
        found = part(file, tf.constant(corner), tf.constant(mirrored))
        np.testing.assert_array_equal(found, cut[:, ::-1] if mirrored else cut)
