"""Shears, shifts and turns of batches of images, by the nearest pixel."""

import tensorflow as tf


def affine(images: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """Moves the pixels of each image; what comes from outside is black.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        matrices: float64 `[batch, 6]`, (a, b, c, d, e, f) as in Pillow: the pixel at (x, y) is
            taken from (a·x + b·y + c, d·x + e·y + f), by their centers.

    Returns:
        uint8 `[batch, height, width, 3]`.

    Example:
        >>> affine(tf.zeros([1, 8, 8, 3], tf.uint8), tf.constant([[1.0, 0, 2, 0, 1, 0]])).shape
        TensorShape([1, 8, 8, 3])
    """
    height, width = images.shape[1:3]
    y, x = (tf.range(side, dtype=tf.float64) + 0.5 for side in (height, width))
    a, b, c, d, e, f = tf.unstack(tf.cast(matrices, tf.float64)[:, :, None, None], axis=1)
    from_x = tf.cast(tf.floor(a * x + b * y[:, None] + c), tf.int32)
    from_y = tf.cast(tf.floor(d * x + e * y[:, None] + f), tf.int32)
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    flat = tf.reshape(images, [-1, height * width, 3])
    place = tf.where(inside, from_y * width + from_x, 0)
    return tf.where(inside[..., None], tf.gather(flat, place, axis=1, batch_dims=1), 0)


def shear_x(images: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """Shifts each row by `level` (float `[batch]`) times its distance from the top edge."""
    return affine(images, _matrices(level, lambda one, zero: (one, level, zero, zero, one, zero)))


def shear_y(images: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    """Shifts each column by `level` (float `[batch]`) times its distance from the left edge."""
    return affine(images, _matrices(level, lambda one, zero: (one, zero, zero, level, one, zero)))


def translate_x(images: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Shifts each image to the right by the whole part of `pixels` (float `[batch]`)."""
    by = -_whole(pixels)
    return affine(images, _matrices(by, lambda one, zero: (one, zero, by, zero, one, zero)))


def translate_y(images: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Shifts each image down by the whole part of `pixels` (float `[batch]`)."""
    by = -_whole(pixels)
    return affine(images, _matrices(by, lambda one, zero: (one, zero, zero, zero, one, by)))


def rotate(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns each image counterclockwise around its center by `degrees` (float `[batch]`)."""
    radians = tf.cast(degrees, tf.float64) * (3.141592653589793 / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    middle_y, middle_x = images.shape[1] / 2, images.shape[2] / 2
    right = middle_x - middle_x * cos + middle_y * sin
    down = middle_y - middle_x * sin - middle_y * cos
    return affine(images, tf.stack([cos, -sin, right, sin, cos, down], axis=1))


def _matrices(like: tf.Tensor, rows) -> tf.Tensor:  # type: ignore[no-untyped-def]
    like = tf.cast(like, tf.float64)
    columns = rows(tf.ones_like(like), tf.zeros_like(like))
    return tf.stack([tf.cast(column, tf.float64) for column in columns], axis=1)


def _whole(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(pixels, tf.int32), tf.float64)
