"""Alpha is composited on white exactly, and in little memory."""

import numpy as np
import tensorflow as tf

from keras_alexnet.data import decode
from keras_alexnet.data.decoding.transparency import composite_array_on_white, composite_on_white
from support.memory import peak_of


def by_definition(rgba: np.ndarray) -> np.ndarray:
    color, alpha = rgba[..., :3].astype(np.int32), rgba[..., 3:].astype(np.int32)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def every_color_and_alpha() -> np.ndarray:
    values = np.arange(256, dtype=np.uint8)
    color, alpha = np.meshgrid(values, values)
    return np.stack([color, color[::-1], color.T, alpha], axis=-1)


def test_every_color_with_every_alpha():
    rgba = every_color_and_alpha()
    assert np.array_equal(composite_on_white(tf.constant(rgba)), by_definition(rgba))
    assert np.array_equal(composite_array_on_white(rgba), by_definition(rgba))


def test_blocks_make_no_difference():
    rgba = np.tile(every_color_and_alpha(), (9, 9, 1))[:-1, :-3]  # more than one block
    assert np.array_equal(composite_on_white(tf.constant(rgba)), by_definition(rgba))
    assert np.array_equal(composite_array_on_white(rgba), by_definition(rgba))


def test_memory():
    pixels = 3000 * 3000
    contents = tf.io.encode_png(np.zeros([3000, 3000, 4], np.uint8))
    decode_square = tf.function(lambda contents: decode.decode_square(contents, 32))
    decode_square(tf.io.encode_png(np.zeros([30, 30, 4], np.uint8)))
    # Four bytes are decoded, three composited, in blocks of which all are then joined.
    assert peak_of(lambda: decode_square(contents)) < 20 * pixels
