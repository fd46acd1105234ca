"""Crops, mirror images and enlarged views, for batches of images.

Each function is pure, works on a whole batch and gives the same result eagerly and inside a
`tf.data` pipeline.
"""

import numpy as np
import tensorflow as tf

from keras_alexnet.networks.spec import ImagePlan


def pad(images: tf.Tensor, padding: int, *, reflect: bool = False) -> tf.Tensor:
    """Adds `padding` pixels on each side: `[batch, h, w, 3]` → `[batch, h + 2p, w + 2p, 3]`.

    They are zeros, or the image mirrored at its border, whose pixels are not repeated.

    Example:
        >>> pad(tf.zeros([2, 32, 32, 3], tf.uint8), 4).shape
        TensorShape([2, 40, 40, 3])
    """
    if padding == 0:
        return images
    if not reflect:
        return tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width = images.shape[1:3]
    places = np.pad(np.arange(height * width).reshape(height, width), padding, "reflect")
    # Gathering is several times as fast as tf.pad, which computes each place for each image.
    padded = tf.gather(tf.reshape(images, [-1, height * width, 3]), places.reshape(-1), axis=1)
    return tf.reshape(padded, [-1, *places.shape, 3])


def crop_at(
    images: tf.Tensor, offsets: tf.Tensor, size: int, flips: tf.Tensor | None = None
) -> tf.Tensor:
    """Cuts a square out of each image, each at its own offset.

    Args:
        images: `[batch, height, width, 3]`, any dtype.
        offsets: int32 `[batch, 2]`, top and left, each from 0 to side − size inclusive.
        size: side of the squares.
        flips: bool `[batch]`, which of the squares to mirror; None mirrors none.

    Returns:
        `[batch, size, size, 3]` of the same dtype.

    Example:
        >>> crop_at(tf.zeros([2, 40, 40, 3], tf.uint8), tf.constant([[0, 8], [4, 4]]), 32).shape
        TensorShape([2, 32, 32, 3])
    """
    rows = tf.gather(images, offsets[:, :1] + tf.range(size), axis=1, batch_dims=1)
    return _columns_at(rows, offsets[:, 1], size, flips)


def crop_reflected_at(
    images: tf.Tensor,
    padding: int,
    offsets: tf.Tensor,
    size: int,
    flips: tf.Tensor | None = None,
) -> tf.Tensor:
    """Does what `crop_at` does of `pad(images, padding, reflect=True)`, with less copying.

    Example:
        >>> images, corners = tf.zeros([2, 32, 32, 3], tf.uint8), tf.constant([[0, 8], [4, 4]])
        >>> crop_reflected_at(images, 4, corners, 32).shape
        TensorShape([2, 32, 32, 3])
    """
    height, width = images.shape[1:3]
    if not 0 < padding < width:
        return crop_at(pad(images, padding, reflect=True), offsets, size, flips)
    places = tf.gather(
        np.pad(np.arange(height), padding, "reflect"), offsets[:, :1] + tf.range(size)
    )
    rows = tf.gather(images, places, axis=1, batch_dims=1)
    outside = np.pad(np.arange(width), padding, "reflect")[[*range(padding), *range(-padding, 0)]]
    borders = tf.gather(rows, outside, axis=2)
    rows = tf.concat([borders[:, :, :padding], rows, borders[:, :, padding:]], axis=2)
    return _columns_at(rows, offsets[:, 1], size, flips)


def _columns_at(rows: tf.Tensor, left: tf.Tensor, size: int, flips: tf.Tensor | None) -> tf.Tensor:
    """Cuts columns out of `[batch, size, width, 3]`, for each image from its own place on."""
    if rows.shape[2] - size < _FEW_PLACES:
        return _columns_by_place(rows, left, size, flips)
    steps = tf.range(size)
    columns = steps if flips is None else tf.where(flips[:, None], steps[::-1], steps)
    return tf.gather(rows, left[:, None] + columns, axis=2, batch_dims=1)


_FEW_PLACES = 17  # up to so many, images that are cut at the same place are cut together


def _columns_by_place(
    rows: tf.Tensor, left: tf.Tensor, size: int, flips: tf.Tensor | None
) -> tf.Tensor:
    """Cuts columns, for all images of one place at once: twice as fast as pixel by pixel."""
    ways = (False,) if flips is None else (False, True)
    groups = [(start, mirrored) for start in range(rows.shape[2] - size + 1) for mirrored in ways]
    own = left if flips is None else 2 * left + tf.cast(flips, left.dtype)
    members = tf.dynamic_partition(tf.range(tf.shape(rows)[0]), own, len(groups))
    cut = []
    for (start, mirrored), images in zip(groups, members, strict=True):
        part = tf.gather(rows, images)[:, :, start : start + size]
        cut.append(tf.reverse(part, [2]) if mirrored else part)
    return tf.ensure_shape(tf.dynamic_stitch(members, cut), [*rows.shape[:2], size, 3])


def flip_horizontal(images: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Mirrors those images `[batch, height, width, 3]` for which bool `[batch]` flips is true.

    Example:
        >>> flip_horizontal(tf.zeros([2, 4, 4, 3], tf.uint8), tf.constant([True, False])).shape
        TensorShape([2, 4, 4, 3])
    """
    left = tf.zeros(tf.shape(flips), tf.int32)
    return _columns_by_place(images, left, images.shape[2], flips)


def rectangles(images: tf.Tensor, corners: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Returns which pixels of each image are in its rectangle, bool `[batch, height, width, 1]`.

    Args:
        images: `[batch, height, width, 3]`.
        corners: int32 `[batch, 2]`, top and left; a part of a rectangle may be outside.
        sides: int32 `[batch, 2]` or `[1, 2]`, height and width.

    Example:
        >>> images, corner = tf.zeros([1, 4, 4, 3]), tf.constant([[1, 2]])
        >>> inside = rectangles(images, corner, tf.constant([[2, 5]]))
        >>> int(tf.reduce_sum(tf.cast(inside, tf.int32)))
        4
    """
    inside = []
    for axis in (0, 1):
        places, start = tf.range(images.shape[axis + 1]), corners[:, axis : axis + 1]
        inside.append((places >= start) & (places < start + sides[:, axis : axis + 1]))
    return inside[0][:, :, None, None] & inside[1][:, None, :, None]


def center_crop(images: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the center `size` × `size` out of `[batch, height, width, 3]`.

    Example:
        >>> center_crop(tf.zeros([2, 256, 256, 3], tf.uint8), 224).shape
        TensorShape([2, 224, 224, 3])
    """
    top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
    return images[:, top : top + size, left : left + size]


def five_crops(images: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts out the center and the corners: top left, top right, bottom left, bottom right.

    Args:
        images: `[batch, height, width, 3]`, any dtype.
        size: side of the crops.

    Returns:
        `[batch, 5, size, size, 3]`.

    Example:
        >>> five_crops(tf.zeros([2, 256, 256, 3], tf.uint8), 224).shape
        TensorShape([2, 5, 224, 224, 3])
    """
    top, bottom = images[:, :size], images[:, images.shape[1] - size :]
    right = images.shape[2] - size
    corners = [top[:, :, :size], top[:, :, right:], bottom[:, :, :size], bottom[:, :, right:]]
    return tf.stack([center_crop(images, size), *corners], axis=1)


def with_mirrors(views: tf.Tensor) -> tf.Tensor:
    """Adds mirror images after the views: `[batch, v, h, w, 3]` → `[batch, 2v, h, w, 3]`.

    Example:
        >>> with_mirrors(tf.zeros([2, 5, 32, 32, 3], tf.uint8)).shape
        TensorShape([2, 10, 32, 32, 3])
    """
    return tf.concat([views, tf.reverse(views, axis=[3])], axis=1)


def enlarge(images: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes `[batch, h, w, 3]` to `size` × `size`: bilinear, half-pixel centers.

    uint8 stays uint8, rounded to the nearest; any other dtype becomes float32.

    Example:
        >>> enlarge(tf.zeros([2, 32, 32, 3], tf.uint8), 227).shape
        TensorShape([2, 227, 227, 3])
    """
    if images.shape[1] == size and images.shape[2] == size:
        return images
    resized = tf.image.resize(images, [size, size], "bilinear")
    return tf.cast(tf.round(resized), tf.uint8) if images.dtype == tf.uint8 else resized


def enlarge_views(views: tf.Tensor, size: int) -> tf.Tensor:
    """Does the same as `enlarge` for views: `[batch, v, h, w, 3]` → `[batch, v, size, size, 3]`.

    Example:
        >>> enlarge_views(tf.zeros([2, 10, 32, 32, 3], tf.uint8), 227).shape
        TensorShape([2, 10, 227, 227, 3])
    """
    count, (height, width) = views.shape[1], views.shape[2:4]
    enlarged = enlarge(tf.reshape(views, [-1, height, width, 3]), size)
    return tf.reshape(enlarged, [-1, count, size, size, 3])


def center_view(squares: tf.Tensor, plan: ImagePlan) -> tf.Tensor:
    """Returns the single view for evaluation: the center crop, enlarged if the plan says so.

    Args:
        squares: uint8 `[batch, square_size, square_size, 3]` in 0–255.
        plan: how an image becomes an input.

    Returns:
        uint8 `[batch, input_size, input_size, 3]` in 0–255.

    Example:
        >>> plan = ImagePlan(square_size=256, crop_size=224, crop_padding=0, input_size=224)
        >>> center_view(tf.zeros([2, 256, 256, 3], tf.uint8), plan).shape
        TensorShape([2, 224, 224, 3])
    """
    return enlarge(center_crop(squares, plan.crop_size), plan.input_size)


def evaluation_views(squares: tf.Tensor, plan: ImagePlan, views: int) -> tf.Tensor:
    """Returns the views of each image that an evaluation averages over.

    Args:
        squares: uint8 `[batch, square_size, square_size, 3]` in 0–255.
        plan: how an image becomes an input.
        views: 1 for the center crop; 2 for it and its mirror image; 10 for the center and the four
            corners, then their mirror images. If the square is no larger than the crop, the
            corners are those of the square with half of the plan's padding, which mirrors the image
            at its border.

    Returns:
        uint8 `[batch, input_size, input_size, 3]` in 0–255, for more than one view
        `[batch, views, input_size, input_size, 3]`.

    Example:
        >>> plan = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)
        >>> evaluation_views(tf.zeros([2, 32, 32, 3], tf.uint8), plan, views=10).shape
        TensorShape([2, 10, 32, 32, 3])
    """
    if views == 1:
        return center_view(squares, plan)
    if views == 2:
        crops = center_crop(squares, plan.crop_size)[:, None]
    else:
        # All of the padding, which random crops seldom see, is worse than the mirror image alone:
        # 80.2 % for cifar_v2 on held-out images of cifar10-jpeg, and 81.1 % with half of it.
        padding = -(-plan.crop_padding // 2) if plan.square_size <= plan.crop_size else 0
        crops = five_crops(pad(squares, padding, reflect=True), plan.crop_size)
    return enlarge_views(with_mirrors(crops), plan.input_size)
