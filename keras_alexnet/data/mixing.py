"""Mixup and CutMix: training images and labels mixed in pairs.

A recipe's shares are drawn for each image (timm's mode "elem"), because draws are keyed by
(seed, epoch, index). The two images of a pair are neighbors in the order of the epoch, which is
shuffled: so a pair is the same for every number of replicas and workers.
"""

from typing import NamedTuple

import tensorflow as tf

from keras_alexnet.data import views
from keras_alexnet.data.augment import key_of

_SHARES, _CHOICES, _CENTERS, _TAILS = (
    5,
    6,
    7,
    10,
)  # random streams; augmentations have those up to 4


class Mixing(NamedTuple):
    """Which of the two to apply, and how strongly.

    Attributes:
        mixup: the share of an image is drawn from Beta(mixup, mixup); 0 does not mix.
        cutmix: the same for the area that an image keeps. With both, each image has one of the two,
            with equal probability.
        classes: number of classes.
    """

    mixup: float
    cutmix: float
    classes: int


class MixingDraws(NamedTuple):
    """What is drawn for each image of an epoch."""

    share: tf.Tensor  # float32 [n] in [0, 1]: of the image itself
    cuts: tf.Tensor  # bool [n]: CutMix, not mixup
    center: tf.Tensor  # float32 [n, 2] in [0, 1): of the rectangle of CutMix, (y, x)


def draws_of_epoch(mixing: Mixing, seed: int, epoch: int | tf.Tensor, images: int) -> MixingDraws:
    """Makes all draws of an epoch; row i belongs to image i.

    Example:
        >>> draws_of_epoch(Mixing(0.2, 0.0, classes=10), seed=0, epoch=3, images=50).share.shape
        TensorShape([50])
    """
    keys = [key_of(seed, epoch, stream) for stream in (_SHARES, _CHOICES, _CENTERS, _TAILS)]
    even = tf.random.stateless_uniform([images], keys[1], alg="philox") < 0.5
    cuts = even if mixing.mixup and mixing.cutmix else tf.fill([images], bool(mixing.cutmix))
    alpha = tf.where(cuts, tf.cast(mixing.cutmix, tf.float64), mixing.mixup)
    # Beta(α, α) from two gamma variables, in logarithms: for a small α both would be 0. A variable
    # of α is one of α + 1 times u^(1/α) (Marsaglia and Tsang, 2000).
    gamma = tf.random.stateless_gamma([2, images], keys[0], alpha + 1.0, dtype=tf.float64)
    uniform = tf.random.stateless_uniform(
        [2, images], keys[3], minval=1e-300, dtype=tf.float64, alg="philox"
    )
    logarithm = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    share = tf.sigmoid(logarithm[0] - logarithm[1])
    center = tf.random.stateless_uniform([images, 2], keys[2], alg="philox")
    return MixingDraws(tf.cast(share, tf.float32), cuts, center)


def mixed(
    images: tf.Tensor, labels: tf.Tensor, draws: MixingDraws, mixing: Mixing
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each image of a batch with its neighbor: the first with the second, and so on.

    Args:
        images: uint8 or float32 `[batch, height, width, 3]`.
        labels: int32 `[batch]`; -1 for an image that is left out, which nothing is mixed with.
        draws: the rows of these images.
        mixing: what `draws` were made for.

    Returns:
        images of the same dtype, uint8 rounded to the nearest; targets float32 `[batch, classes]`,
        with the sum 1, or 0 for an image that is left out. The last of an odd number of images is
        not mixed.

    Example:
        >>> draws = draws_of_epoch(Mixing(1.0, 0.0, classes=3), seed=0, epoch=0, images=4)
        >>> images, labels = tf.zeros([4, 8, 8, 3], tf.uint8), tf.constant([0, 1, 2, -1])
        >>> mixed(images, labels, draws, Mixing(1.0, 0.0, classes=3))[1].numpy().sum(axis=1)
        array([1., 1., 1., 0.], dtype=float32)
    """
    place = tf.range(tf.shape(labels)[0])
    neighbor = tf.minimum(tf.bitwise.bitwise_xor(place, 1), tf.size(labels) - 1)
    both = (labels >= 0) & (tf.gather(labels, neighbor) >= 0)
    partner = tf.where(both, neighbor, place)
    inside, rest = _rectangles(images, draws)
    share = tf.where(draws.cuts, rest, draws.share)
    others = tf.gather(images, partner)

    weight = tf.where(draws.cuts, 1.0, share)[:, None, None, None]
    blended = weight * tf.cast(images, tf.float32) + (1.0 - weight) * tf.cast(others, tf.float32)
    if images.dtype == tf.uint8:
        blended = tf.cast(tf.round(blended), tf.uint8)
    found = tf.where(inside & draws.cuts[:, None, None, None], others, blended)

    own, other = (tf.one_hot(each, mixing.classes) for each in (labels, tf.gather(labels, partner)))
    return found, share[:, None] * own + (1.0 - share[:, None]) * other


def _rectangles(images: tf.Tensor, draws: MixingDraws) -> tuple[tf.Tensor, tf.Tensor]:
    """CutMix's rectangles, bool `[batch, height, width, 1]`, and the share of what is outside.

    As in timm: sides √(1 − share) times the image's, cut off at its border; the share is then that
    of the pixels.
    """
    size = tf.constant([images.shape[1], images.shape[2]])
    sizes = tf.cast(size, tf.float32)
    half = tf.cast(sizes * tf.sqrt(1.0 - draws.share)[:, None], tf.int32) // 2
    middle = tf.cast(sizes * draws.center, tf.int32)
    first, last = tf.maximum(middle - half, 0), tf.minimum(middle + half, size)
    area = tf.cast(tf.reduce_prod(last - first, axis=1), tf.float32)
    return views.rectangles(images, first, last - first), 1.0 - area / tf.reduce_prod(sizes)
