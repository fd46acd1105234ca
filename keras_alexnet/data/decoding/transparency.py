"""Compositing of transparent pixels on white, in blocks that need little memory."""

import functools

import numpy as np
import tensorflow as tf

_PIXELS_AT_ONCE = 2**22


# A function of its own is traced once, and not for every pipeline again.
@functools.partial(
    tf.function, input_signature=[tf.TensorSpec([None, None, 4], tf.uint8)], autograph=False
)
def composite_on_white(rgba: tf.Tensor) -> tf.Tensor:
    """Returns color · alpha + white · (1 − alpha), rounded: uint8 `[h, w, 4]` → `[h, w, 3]`.

    Example:
        >>> composite_on_white(tf.constant([[[0, 100, 255, 51]]], tf.uint8)).numpy().tolist()
        [[[204, 224, 255]]]
    """
    shape = tf.shape(rgba)
    pixels = tf.reshape(rgba, [-1, 4])
    few = tf.shape(pixels)[0] <= _PIXELS_AT_ONCE
    flat = tf.cond(few, lambda: _on_white(pixels), lambda: _on_white_in_blocks(pixels))
    return tf.reshape(flat, tf.concat([shape[:-1], [3]], 0))


def composite_array_on_white(rgba: np.ndarray) -> np.ndarray:
    """Does the same as `composite_on_white` for an array, without TensorFlow.

    Example:
        >>> composite_array_on_white(np.uint8([[[0, 100, 255, 51]]])).tolist()
        [[[204, 224, 255]]]
    """
    flat = rgba.reshape(-1, 4)
    result = np.empty((len(flat), 3), np.uint8)
    for start in range(0, len(flat), _PIXELS_AT_ONCE):
        block = flat[start : start + _PIXELS_AT_ONCE].astype(np.uint16)
        color, alpha = block[:, :3], block[:, 3:]
        result[start : start + len(block)] = (color * alpha + 255 * (255 - alpha) + 127) // 255
    return result.reshape(*rgba.shape[:-1], 3)


def _on_white(rgba: tf.Tensor) -> tf.Tensor:
    # The largest sum, 255 · 255 + 127, fits in 16 bits.
    color, alpha = tf.cast(rgba[..., :3], tf.uint16), tf.cast(rgba[..., 3:], tf.uint16)
    white, half = tf.constant(255, tf.uint16), tf.constant(127, tf.uint16)
    return tf.cast((color * alpha + white * (white - alpha) + half) // white, tf.uint8)


def _on_white_in_blocks(rgba: tf.Tensor) -> tf.Tensor:
    blocks = -(-tf.shape(rgba)[0] // _PIXELS_AT_ONCE)
    done = tf.TensorArray(
        tf.uint8, blocks, infer_shape=False, element_shape=tf.TensorShape([None, 3])
    )

    def block(number: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        start = number * _PIXELS_AT_ONCE
        return number + 1, done.write(number, _on_white(rgba[start : start + _PIXELS_AT_ONCE]))

    _, done = tf.while_loop(
        lambda number, _: number < blocks, block, (tf.constant(0), done), parallel_iterations=1
    )
    return done.concat()
