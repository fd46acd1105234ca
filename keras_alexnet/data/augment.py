"""Image operations of training and evaluation.

Each is pure, works on a whole batch, takes its random draws as arguments and gives the same
result eagerly and inside a `tf.data` pipeline. `draws_of_epoch` makes an epoch's draws from
(seed, epoch) and the image's index alone, never from batch size, order or parallel calls.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_alexnet.networks.image_plan import ImagePlan

COLOR_NOISE_FORMS = ("paper", "2012")


# One number per kind of draw, so that no two share a random stream.
_ORDER, _FLIP, _OFFSET, _COLOR = range(4)


class PixelStatistics(NamedTuple):
    """Mean `[3]` and covariance `[3, 3]` of RGB pixels on 0–255, over `images` images.

    `sampled` says that the images are a seeded sample of the training set.
    """

    mean: np.ndarray
    covariance: np.ndarray
    images: int
    sampled: bool


class RandomDraws(NamedTuple):
    """One epoch's random draws, one row an image."""

    flips: tf.Tensor  # bool [n]
    offsets: tf.Tensor  # int32 [n, 2]: top, left in 0 … max_offset inclusive
    colors: tf.Tensor  # float32 [n, 3], N(0, 1)


def _key(seed: int, epoch, kind: int) -> tf.Tensor:
    key = tf.constant([seed, kind], tf.int64)
    return tf.random.experimental.stateless_fold_in(key, tf.cast(epoch, tf.int64), alg="philox")


def order_of_epoch(seed: int, epoch, images: int) -> tf.Tensor:
    """int64 `[images]`: the order in which an epoch visits the images, from (seed, epoch)."""
    return tf.random.experimental.stateless_shuffle(
        tf.range(images, dtype=tf.int64), _key(seed, epoch, _ORDER), alg="philox"
    )


def draws_of_epoch(seed: int, epoch, images: int, max_offset: int) -> RandomDraws:
    """All of an epoch's draws at once; row i belongs to image i.

    Args:
        seed: the run's seed.
        epoch: integer or integer scalar tensor.
        images: n, the images of the training split.
        max_offset: greatest crop offset, inclusive.

    Returns:
        `Draws` with n rows.

    Example:
        >>> draws_of_epoch(0, epoch=3, images=50, max_offset=8).offsets.shape
        TensorShape([50, 2])
    """
    philox = {"alg": "philox"}  # named, so that every device draws the same
    uniform, normal = tf.random.stateless_uniform, tf.random.stateless_normal
    return RandomDraws(
        flips=uniform([images], _key(seed, epoch, _FLIP), **philox) < 0.5,
        offsets=uniform(
            [images, 2], _key(seed, epoch, _OFFSET), 0, max_offset + 1, tf.int32, **philox
        ),
        colors=normal([images, 3], _key(seed, epoch, _COLOR), **philox),
    )


def flip_horizontal(images: tf.Tensor, flips: tf.Tensor) -> tf.Tensor:
    """Mirrors those images `[batch, height, width, 3]` for which bool `[batch]` flips is true.

    Example:
        >>> flip_horizontal(tf.zeros([2, 4, 4, 3], tf.uint8), tf.constant([True, False])).shape
        TensorShape([2, 4, 4, 3])
    """
    last = images.shape[2] - 1
    columns = tf.where(flips[:, None], tf.range(last, -1, -1), tf.range(last + 1))
    return tf.gather(
        images, columns, axis=2, batch_dims=1
    )  # measured 2 to 8 times tf.where's speed


def pad(images: tf.Tensor, padding: int) -> tf.Tensor:
    """Adds `padding` zeros on each side: `[batch, h, w, 3]` → `[batch, h + 2p, w + 2p, 3]`."""
    if padding == 0:
        return images
    return tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])


def crop(images: tf.Tensor, offsets: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts a square out of each image at an offset of its own.

    Args:
        images: `[batch, height, width, 3]`, any dtype.
        offsets: int32 `[batch, 2]`, top and left, each from 0 to side − size inclusive.
        size: side of the squares.

    Returns:
        `[batch, size, size, 3]` of the same dtype.

    Example:
        >>> crop(tf.zeros([2, 40, 40, 3], tf.uint8), tf.constant([[0, 8], [4, 4]]), 32).shape
        TensorShape([2, 32, 32, 3])
    """
    steps = tf.range(size)
    rows = tf.gather(images, offsets[:, :1] + steps, axis=1, batch_dims=1)
    return tf.gather(rows, offsets[:, 1:] + steps, axis=2, batch_dims=1)


def center_crop(images: tf.Tensor, size: int) -> tf.Tensor:
    """Cuts the center `size` × `size` out of `[batch, height, width, 3]`."""
    top, left = (images.shape[1] - size) // 2, (images.shape[2] - size) // 2
    return images[:, top : top + size, left : left + size]


def five_crops(images: tf.Tensor, size: int) -> tf.Tensor:
    """The center and the four corners: top left, top right, bottom left, bottom right.

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
    """`[batch, v, h, w, 3]` → `[batch, 2v, h, w, 3]`: the views, then their mirror images."""
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
    """`enlarge` for `[batch, v, h, w, 3]` → `[batch, v, size, size, 3]`."""
    count, (height, width) = views.shape[1], views.shape[2:4]
    enlarged = enlarge(tf.reshape(views, [-1, height, width, 3]), size)
    return tf.reshape(enlarged, [-1, count, size, size, 3])


def center_view(squares: tf.Tensor, plan: ImagePlan) -> tf.Tensor:
    """The one view that evaluation takes: the center crop, enlarged where the plan says so.

    uint8 `[batch, square_size, square_size, 3]` → uint8 `[batch, input_size, input_size, 3]`.
    """
    return enlarge(center_crop(squares, plan.crop_size), plan.input_size)


def color_noise(
    images: tf.Tensor, draws: tf.Tensor, statistics: PixelStatistics, form: str = "paper"
) -> tf.Tensor:
    """Adds one random color to each image, along the principal axes of the training pixels.

    With p and λ the eigenvectors and eigenvalues of the pixels' covariance and z ~ N(0, 1):
    "paper" adds p · (0.1 z λ), λ of pixels in [0, 1], the sum brought back to 0–255;
    "2012" (the paper's own program) adds p · (0.1 z √λ), λ of pixels in 0–255, and then divides
    what is left after subtracting the mean by 1.1. The mean is added again here, so that the
    model, which subtracts it, computes what the program computed.

    Args:
        images: uint8 or float `[batch, height, width, 3]` in 0–255.
        draws: float32 `[batch, 3]`, z.
        statistics: of the training set in use.
        form: "paper" or "2012".

    Returns:
        float32 `[batch, height, width, 3]`, not clipped.

    Example:
        >>> gray = PixelStatistics(np.full(3, 128.0), np.eye(3) * 4000, images=1, sampled=False)
        >>> color_noise(tf.zeros([2, 4, 4, 3]), tf.ones([2, 3]), gray).shape
        TensorShape([2, 4, 4, 3])
    """
    noise = tf.linalg.matmul(draws, _color_axes(statistics, form))[:, None, None, :]
    noisy = tf.cast(images, tf.float32) + noise
    if form == "paper":
        return noisy
    mean = tf.constant(statistics.mean, tf.float32)
    return mean + (noisy - mean) / 1.1


def _color_axes(statistics: PixelStatistics, form: str) -> tf.Tensor:
    """float32 `[3, 3]`: row i is what z_i = 1 adds to (R, G, B), in gray levels."""
    eigenvalues, eigenvectors = np.linalg.eigh(statistics.covariance)
    # An eigenvector's sign is arbitrary; fixed here, so that a seed means one color everywhere.
    largest = eigenvectors[np.abs(eigenvectors).argmax(axis=0), range(3)]
    eigenvectors = eigenvectors * np.sign(largest)
    eigenvalues = np.maximum(eigenvalues, 0)  # of gray data, two may be a rounding below zero
    strength = {"paper": eigenvalues / 255**2 * 255, "2012": np.sqrt(eigenvalues)}[form]
    return tf.constant((eigenvectors * (0.1 * strength)).T, tf.float32)
