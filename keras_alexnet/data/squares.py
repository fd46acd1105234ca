"""Squares of images: cut or squeezed, and resized, as an image plan says."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_alexnet.data.decoding import pillow_squares
from keras_alexnet.networks.image_plan import AREA

_BITS = 22  # after the point, of the weights of pixels in Pillow


class Window(NamedTuple):
    """A part of the square of one image.

    Attributes:
        corner: int32 `[2]`, its top and left in the square.
        size: its side.
        mirrored: bool scalar, whether it is mirrored.
    """

    corner: tf.Tensor
    size: int
    mirrored: tf.Tensor


def square(
    image: tf.Tensor,
    size: int,
    warp: bool = False,
    resize: str = AREA,
    *,
    window: Window | None = None,
    python_free: bool = True,
) -> tf.Tensor:
    """Makes the square that an image plan asks for, of one image or a batch.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.
        warp: squeeze the whole image into the square instead of cutting out its center.
        resize: "area" or "antialiased_bilinear", see `ImagePlan`.
        window: the part of one image's square to return; None returns all of it.
        python_free: use only operations that run without Python; Pillow makes the same pixels
            of one image three times as fast.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest; or the window.

    Example:
        >>> square(tf.zeros([40, 50, 3], tf.uint8), 32, resize="antialiased_bilinear").shape
        TensorShape([32, 32, 3])
    """
    if resize != AREA:
        return antialiased_square(image, size, warp, window, python_free)
    return (warped if warp else center_square)(image, size, window)


def warped(image: tf.Tensor, size: int, window: Window | None = None) -> tf.Tensor:
    """Resizes one image or a batch to a square, whatever its shape, as Caffe's users do.

    Each axis is reduced by the mean of each new pixel's area or enlarged bilinearly.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.
        window: as for `square`.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> warped(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    reduced = tf.image.resize(image, tf.minimum(tf.shape(image)[-3:-1], size), "area")
    return _rounded(tf.image.resize(reduced, [size, size], "bilinear"), window)


def center_square(image: tf.Tensor, size: int, window: Window | None = None) -> tf.Tensor:
    """Cuts the center square out of one image or a batch and resizes it to `size`.

    This is the paper's "rescale the short side, then cut the center" in the reverse order: the
    region is the same, and nothing outside it is computed. Reducing takes the mean of each new
    pixel's area, so that nothing aliases; enlarging is bilinear with half-pixel centers.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.
        window: as for `square`.

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
        return _rounded(tf.image.resize(square, [size, size], method), window)

    if isinstance(side, int):  # all images have one size, so no condition is needed
        return (
            _rounded(square, window)
            if side == size
            else resized("area" if side > size else "bilinear")
        )
    return tf.cond(side > size, lambda: resized("area"), lambda: resized("bilinear"))


def _rounded(square: tf.Tensor, window: Window | None) -> tf.Tensor:
    """Returns the window of a square, uint8; only that is rounded."""
    if window is not None:
        square = tf.slice(square, [*tf.unstack(window.corner), 0], [window.size, window.size, 3])
    if square.dtype != tf.uint8:
        square = tf.cast(tf.round(square), tf.uint8)
    if window is None:
        return square
    return tf.cond(window.mirrored, lambda: tf.reverse(square, [1]), lambda: square)


def antialiased_square(
    image: tf.Tensor,
    size: int,
    warp: bool = False,
    window: Window | None = None,
    python_free: bool = True,
) -> tf.Tensor:
    """Resizes one image or a batch until the short side is `size`, and cuts out the center square.

    The pixels are those of torchvision's transforms of Pillow's images, to the last bit: the long
    side is rounded down, the place of the center to even numbers. Reducing weighs pixels by a
    triangle as wide as two new pixels, so that nothing aliases; enlarging is bilinear with
    half-pixel centers. The width is always resized first, as by all versions of Pillow before 13,
    which resizes the height first if an image is about twice as high as wide.

    Args:
        image: uint8 `[height, width, 3]` or `[batch, height, width, 3]` in 0–255.
        size: side of the square in pixels.
        warp: squeeze the whole image into the square.
        window: as for `square`.
        python_free: as for `square`.

    Returns:
        uint8 `[size, size, 3]` or `[batch, size, size, 3]`, rounded to the nearest.

    Example:
        >>> antialiased_square(tf.zeros([40, 50, 3], tf.uint8), 32).shape
        TensorShape([32, 32, 3])
    """
    sides = tf.cast(tf.shape(image)[-3:-1], tf.int64)
    resized = size * sides // tf.reduce_min(sides)
    if warp:
        resized = tf.fill([2], tf.constant(size, tf.int64))
    corner = tf.cast(tf.round((resized - size) / 2), tf.int32)  # to even numbers, as Python does
    if window is None:
        window = Window(tf.constant([0, 0]), size, tf.constant(False))
    part = window._replace(corner=corner + window.corner)
    if python_free or image.shape.rank == 4:
        return _part_by_tensorflow(image, resized, part)
    return tf.cond(
        tf.reduce_max(resized) > pillow_squares.LONGEST * size,
        lambda: _part_by_tensorflow(image, resized, part),
        lambda: _part_by_pillow(image, resized, part),
    )


def _part_by_pillow(image: tf.Tensor, resized: tf.Tensor, part: Window) -> tf.Tensor:
    """Returns a part of one image after resizing, uint8 `[size, size, 3]`."""
    arguments = [image, resized, part.corner, part.size, part.mirrored]
    found = tf.numpy_function(_cut_by_pillow, arguments, tf.uint8, stateful=False)
    return tf.ensure_shape(found, [part.size, part.size, 3])


def _cut_by_pillow(
    image: np.ndarray, resized: np.ndarray, corner: np.ndarray, size: np.int32, mirrored: np.bool_
) -> np.ndarray:
    height, width = resized.tolist()
    top, left = corner.tolist()
    return pillow_squares.cut(image, (height, width), (top, left), int(size), bool(mirrored))


def _part_by_tensorflow(image: tf.Tensor, resized: tf.Tensor, part: Window) -> tf.Tensor:
    """Returns a part of an image or a batch after resizing; nothing else is computed of it."""
    images = image if image.shape.rank == 4 else image[None]
    steps = tf.range(part.size)
    across = tf.where(part.mirrored, steps[::-1], steps)
    rows = _resampled(images, 2, resized[1], across + part.corner[1])
    parts = _resampled(rows, 1, resized[0], steps + part.corner[0])
    parts = tf.ensure_shape(parts, [images.shape[0], part.size, part.size, 3])
    return parts if image.shape.rank == 4 else parts[0]


def _resampled(images: tf.Tensor, axis: int, resized: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Resizes one axis of a batch as Pillow does, in whole numbers, to the last bit.

    Pillow rounds the weights of pixels to multiples of 2^-22, and the result after each axis.
    Without that, one pixel in six is different by 1, which changes the order of the likeliest
    classes of every fourth photograph.

    Args:
        images: uint8 `[batch, height, width, 3]`.
        axis: 1 or 2.
        resized: size of the whole axis after resizing.
        wanted: int32 `[size]`, which of its pixels to compute.
    """
    side = tf.shape(images)[axis]
    scale = tf.cast(side, tf.float64) / tf.cast(resized, tf.float64)
    reach = tf.maximum(scale, 1)  # of the triangle on each side
    centers = (tf.cast(wanted, tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centers - reach + 0.5, tf.int32), 0)
    end = tf.minimum(tf.cast(centers + reach + 0.5, tf.int32), side)
    places = first + tf.range(tf.reduce_max(end - first))[:, None]
    distances = tf.abs((tf.cast(places, tf.float64) - centers + 0.5) * (1 / reach))
    weights = tf.where(places < end, tf.maximum(1 - distances, 0), 0)
    weights = tf.cast(weights / tf.reduce_sum(weights, 0) * 2**_BITS + 0.5, tf.int32)
    places = tf.minimum(places, side - 1)
    shape = tf.unstack(tf.shape(images))
    shape[axis] = tf.size(wanted)
    flat = [shape[0], shape[1], 3 * shape[2]]  # multiplied several times as fast as four axes
    weights = tf.repeat(weights, 3, 1)[:, None] if axis == 2 else weights[..., None]

    def weighted(neighbor: tf.Tensor | int) -> tf.Tensor:
        pixels = tf.reshape(tf.gather(images, places[neighbor], axis=axis), flat)
        return tf.cast(pixels, tf.int32) * weights[neighbor]

    # One neighbor after the other, because all together need a lot of memory.
    _, total = tf.while_loop(
        lambda neighbor, _: neighbor < tf.shape(places)[0],
        lambda neighbor, total: (neighbor + 1, total + weighted(neighbor)),
        (tf.constant(1), weighted(0) + 2 ** (_BITS - 1)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None] * 3)),
        parallel_iterations=1,
    )
    return tf.reshape(tf.cast(tf.bitwise.right_shift(total, _BITS), tf.uint8), shape)
