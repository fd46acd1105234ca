"""Changes of the colors of batches of images, equal to Pillow's to the last bit.

Images are uint8 `[batch, height, width, 3]`, levels float32 `[batch]`.
"""

import tensorflow as tf


def brightness(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image with black: 0 is black, 1 the image, more than 1 brighter."""
    return _blended(tf.zeros_like(images), images, factor)


def color(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image with itself in gray: 0 is gray, 1 the image."""
    return _blended(_gray(images), images, factor)


def contrast(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image with the mean of its gray levels: 0 is that gray, 1 the image."""
    gray = tf.cast(_gray(images), tf.float64)
    mean = tf.floor(tf.reduce_mean(gray, axis=[1, 2, 3], keepdims=True) + 0.5)
    return _blended(tf.cast(mean, tf.uint8), images, factor)


def sharpness(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image with a smoothed one: 0 is smooth, 1 the image."""
    values = tf.cast(images, tf.int32)
    height, width = images.shape[1:3]
    around = sum(
        values[:, top : height - 2 + top, left : width - 2 + left]
        for top in range(3)
        for left in range(3)
    )
    # (the 9 pixels + 4 times the middle) / 13, rounded to the nearest.
    smooth = (2 * (around + 4 * values[:, 1:-1, 1:-1]) + 13) // 26
    edge = tf.pad(tf.ones([1, height - 2, width - 2, 1], tf.bool), [[0, 0], [1, 1], [1, 1], [0, 0]])
    padded = tf.pad(smooth, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return _blended(tf.cast(tf.where(edge, padded, values), tf.uint8), images, factor)


def posterize(images: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Keeps the highest `bits` (0–8) of each value."""
    dropped = tf.cast(8 - tf.cast(bits, tf.int32), tf.uint8)[:, None, None, None]
    # A shift by all 8 bits is not defined.
    kept = tf.bitwise.left_shift(tf.bitwise.right_shift(images, dropped % 8), dropped % 8)
    return tf.where(dropped == 8, tf.zeros_like(images), kept)


def solarize(images: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Inverts all values that are not below `threshold` (0–255)."""
    is_below = tf.cast(images, tf.float32) < threshold[:, None, None, None]
    return tf.where(is_below, images, 255 - images)


def autocontrast(images: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Stretches the values of each color to 0–255."""
    values = tf.cast(images, tf.float64)
    low = tf.reduce_min(values, axis=[1, 2], keepdims=True)
    high = tf.reduce_max(values, axis=[1, 2], keepdims=True)
    scale = 255.0 / tf.maximum(high - low, 1.0)
    stretched = tf.clip_by_value(values * scale + -low * scale, 0.0, 255.0)
    return tf.where(high > low, tf.cast(stretched, tf.uint8), images)


def equalize(images: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    """Maps the values of each color so that all are about equally frequent."""
    height, width = images.shape[1:3]
    planes = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [-1, height * width])
    planes = tf.cast(planes, tf.int32)
    histogram = _histogram(planes)
    last = tf.gather(histogram, tf.reduce_max(planes, axis=1), axis=1, batch_dims=1)
    step = (height * width - last) // 255
    safe = tf.maximum(step, 1)[:, None]
    table = (safe // 2 + tf.cumsum(histogram, axis=1, exclusive=True)) // safe
    mapped = tf.gather(tf.minimum(table, 255), planes, axis=1, batch_dims=1)
    found = tf.where(step[:, None] > 0, mapped, planes)
    found = tf.reshape(found, [-1, 3, height, width])
    return tf.cast(tf.transpose(found, [0, 2, 3, 1]), tf.uint8)


def _histogram(planes: tf.Tensor) -> tf.Tensor:
    """int32 `[planes, pixels]` in 0–255 → int32 `[planes, 256]`."""
    count = tf.shape(planes)[0]
    bins = tf.reshape(planes + 256 * tf.range(count)[:, None], [-1])
    sums = tf.math.unsorted_segment_sum(tf.ones_like(bins), bins, 256 * count)
    return tf.reshape(sums, [-1, 256])


def _gray(images: tf.Tensor) -> tf.Tensor:
    """Pillow's gray levels, uint8 `[batch, height, width, 1]`."""
    weighted = tf.cast(images, tf.int32) * tf.constant([19595, 38470, 7471])
    return tf.cast((tf.reduce_sum(weighted, axis=-1, keepdims=True) + 0x8000) // 0x10000, tf.uint8)


def _blended(first: tf.Tensor, second: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """first + factor · (second − first), kept in 0–255 and cut off to whole numbers."""
    first, second = tf.cast(first, tf.float32), tf.cast(second, tf.float32)
    blended = first + factor[:, None, None, None] * (second - first)
    return tf.cast(tf.clip_by_value(blended, 0.0, 255.0), tf.uint8)
