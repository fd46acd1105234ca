"""Decoding of many plain JPEGs at once."""

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.data.decoded import plain_jpegs

PIXELS = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (9, 7, 3), np.uint8)
KINDS = {
    "color": tf.io.encode_jpeg(PIXELS).numpy(),
    "gray": tf.io.encode_jpeg(PIXELS[..., :1]).numpy(),
    "progressive": tf.io.encode_jpeg(PIXELS, progressive=True).numpy(),
    "of another size": tf.io.encode_jpeg(PIXELS[:5]).numpy(),
    "png": tf.io.encode_png(PIXELS).numpy(),
    "with EXIF": b"\xff\xd8\xff\xe1\0\x08Exif\0\0" + tf.io.encode_jpeg(PIXELS).numpy()[2:],
    "cut off": tf.io.encode_jpeg(PIXELS).numpy()[:200],
    "empty": b"",
}


def decoded(kinds, sides, most=10**6):
    contents = [KINDS[kind] for kind in kinds]
    rows = np.arange(len(kinds))
    parts = plain_jpegs.decoded(lambda rows: [contents[i] for i in rows], rows, sides, most)
    return {
        kinds[row]: each for some, images in parts for row, each in zip(some, images, strict=True)
    }


@pytest.mark.parametrize("sides", [(9, 7), None])
def test_the_pixels_are_those_of_the_decoder_for_all_formats(sides):
    found = decoded(list(KINDS), sides)
    same = {"color", "gray", "progressive"}
    assert set(found) == same if sides else set(found) >= same
    for kind, each in found.items():
        expected = decode.decode_image(KINDS[kind])
        assert np.array_equal(each, expected if sides else tf.shape(expected))


def test_large_images_are_left_to_the_decoder_that_says_so():
    assert decoded(["color"], None, most=9 * 7 - 1) == {}
    assert list(decoded(["color"], None, most=9 * 7)) == ["color"]
