"""Compositing of transparent pixels on white, in blocks that need little memory."""

import numpy as np
import tensorflow as tf

_PIXELS_AT_ONCE = 2**22


def composite_on_white(rgba: tf.Tensor) -> tf.Tensor:
    """Returns color · alpha + white · (1 − alpha), rounded: uint8 `[h, w, 4]` → `[h, w, 3]`.

    Example:
        >>> composite_on_white(tf.constant([[[0, 100, 255, 51]]], tf.uint8)).numpy().tolist()
        [[[204, 224, 255]]]
    """
    shape = tf.shape(rgba)
    pixels = tf.reshape(rgba, [-1, 4])
    count = tf.shape(pixels)[0]

    def in_blocks() -> tf.Tensor:
        blocks = -(-count // _PIXELS_AT_ONCE)
        done = tf.TensorArray(
            tf.uint8, blocks, infer_shape=False, element_shape=tf.TensorShape([None, 3])
        )

        def block(number: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            start = number * _PIXELS_AT_ONCE
            return number + 1, done.write(
                number, _on_white(pixels[start : start + _PIXELS_AT_ONCE])
            )

        _, done = tf.while_loop(
            lambda number, _: number < blocks,
            block,
            [tf.constant(0), done],
            parallel_iterations=1,
        )
        return done.concat()

    flat = tf.cond(count <= _PIXELS_AT_ONCE, lambda: _on_white(pixels), in_blocks)
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
