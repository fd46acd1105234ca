"""Squares of images: cut or squeezed, and resized, as an image plan says."""

import tensorflow as tf

from keras_alexnet.networks.image_plan import AREA


def square(image: tf.Tensor, size: int, warp: bool = False, resize: str = AREA) -> tf.Tensor:
    """Makes the square that an image plan asks for, of one image or a batch.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.
        warp: squeeze the whole image into the square instead of cutting out its center.
        resize: "area" or "antialiased_bilinear", see `ImagePlan`.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> square(tf.zeros([40, 50, 3], tf.uint8), 32, resize="antialiased_bilinear").shape
        TensorShape([32, 32, 3])
    """
    if resize != AREA:
        return antialiased_square(image, size, warp)
    return warped(image, size) if warp else center_square(image, size)


def warped(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes one image or a batch to a square, whatever its shape, as Caffe's users do.

    Each axis is reduced by the mean of each new pixel's area or enlarged bilinearly.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> warped(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    reduced = tf.image.resize(image, tf.minimum(tf.shape(image)[-3:-1], size), "area")
    return tf.cast(tf.round(tf.image.resize(reduced, [size, size], "bilinear")), tf.uint8)


def center_square(image: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the center square out of one image or a batch and resizes it to `size`.

    This is the paper's "rescale the short side, then cut the center" in the reverse order: the
    region is the same, and nothing outside it is computed. Reducing takes the mean of each new
    pixel's area, so that nothing aliases; enlarging is bilinear with half-pixel centers.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> center_square(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    shape = tf.shape(image)
    height, width = (image.shape[axis] or shape[axis] for axis in (-3, -2))
    side = min(height, width) if image.shape[-3:].is_fully_defined() else tf.minimum(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[..., top : top + side, left : left + side, :]

    def resized(method: str) -> tf.Tensor:
        return tf.cast(tf.round(tf.image.resize(square, [size, size], method)), tf.uint8)

    if isinstance(side, int):  # all images have one size, so no condition is needed
        return square if side == size else resized("area" if side > size else "bilinear")
    return tf.cond(side > size, lambda: resized("area"), lambda: resized("bilinear"))


def antialiased_square(image: tf.Tensor, size: int, warp: bool = False) -> tf.Tensor:
    """Resizes one image or a batch until the short side is `size`, and cuts out the center square.

    This is what torchvision does, with its rounding: the long side is rounded down, the place of
    the center to even numbers. Reducing weighs pixels by a triangle as wide as two new pixels, so
    that nothing aliases; enlarging is bilinear with half-pixel centers.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.
        warp: squeeze the whole image into the square.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> antialiased_square(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    images = image if image.shape.rank == 4 else image[None]
    sides = tf.cast(tf.shape(images)[1:3], tf.int64)
    resized = size * sides // tf.reduce_min(sides)
    if warp:
        resized = tf.fill([2], tf.constant(size, tf.int64))
    # Only the square is computed of the whole resized image.
    cut = tf.round(tf.cast(resized - size, tf.float32) / 2)  # to even numbers, as Python does
    squares = tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=[size, size],
        scale=tf.cast(resized / sides, tf.float32),
        translation=-cut,
        kernel_type="triangle",
        antialias=True,
    )
    squares = tf.cast(tf.clip_by_value(tf.round(squares), 0, 255), tf.uint8)
    return squares if image.shape.rank == 4 else squares[0]
