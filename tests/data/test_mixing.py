"""Mixup and CutMix: pairs, shares and targets, on any number of workers."""

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.mixing import Mixing, MixingDraws, draws_of_epoch, mixed
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)


def _draws(share, cuts, center):
    return MixingDraws(
        tf.constant(share, tf.float32), tf.constant(cuts), tf.constant(center, tf.float32)
    )


def test_neighbors_are_mixed_by_their_own_shares():
    labels = tf.constant([0, 1, 2, -1, 1])
    draws = _draws([0.75, 0.4, 0.3, 0.2, 0.1], [False] * 5, np.zeros((5, 2)))
    images, targets = mixed(tf.constant(IMAGES), labels, draws, Mixing(1, 0, 3))
    values = IMAGES.astype(float)
    # The fourth is left out, and the fifth has no neighbor.
    expected = [0.75 * values[0] + 0.25 * values[1], 0.4 * values[1] + 0.6 * values[0], *values[2:]]
    assert images.dtype == tf.uint8
    assert np.abs(np.float64(images) - np.round(expected)).max() <= 1
    np.testing.assert_allclose(
        targets,
        [[0.75, 0.25, 0], [0.6, 0.4, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]],
        atol=1e-6,
    )


def test_cutmix_puts_a_rectangle_in_and_counts_its_pixels():
    # A share of 3/4 has sides of half the image: 4 pixels, here at the corner and in the middle.
    draws = _draws([0.75, 0.75], [True, True], [[0.0, 0.99], [0.5, 0.5]])
    images, targets = mixed(tf.constant(IMAGES[:2]), tf.constant([0, 1]), draws, Mixing(0, 1, 2))
    expected = IMAGES[:2].copy()
    expected[0, 0:2, 5:8] = IMAGES[1, 0:2, 5:8]
    expected[1, 2:6, 2:6] = IMAGES[0, 2:6, 2:6]
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_allclose(targets, [[1 - 6 / 64, 6 / 64], [16 / 64, 1 - 16 / 64]], atol=1e-6)


def test_shares_have_the_distributions_named():
    share, cuts, _ = (part.numpy() for part in draws_of_epoch(Mixing(0.2, 1.0, 9), 0, 1, 20_000))
    assert abs(cuts.mean() - 0.5) < 0.02
    for alpha, own in ((0.2, share[~cuts]), (1.0, share[cuts])):
        assert abs(own.mean() - 0.5) < 0.02
        assert abs(own.var() - 1 / (4 * (2 * alpha + 1))) < 0.005  # the variance of Beta(α, α)
    tiny = draws_of_epoch(Mixing(1e-3, 0, 9), 0, 1, 1000).share.numpy()
    assert abs(tiny.mean() - 0.5) < 0.1 and np.abs(tiny - 0.5).mean() > 0.49  # nearly all 0 or 1


@pytest.fixture(scope="module")
def split():
    pixels = RANDOM.integers(0, 256, (21, 32, 32, 3)).astype(np.uint8)
    return Split.of(ImageArray(pixels), RANDOM.integers(0, 3, 21))


def _take(split, count, **options):
    common = {"seed": 3, "mixup": 0.4, "cutmix": 1.0, "num_classes": 3, "global_batch_size": 8}
    dataset = ka.train_batches(split, "cifar_v1", **common | options)
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(count)]


def test_batches_are_the_same_on_workers_and_after_a_resume(split):
    whole = _take(split, 9)
    assert all(targets.sum() == pytest.approx(len(images)) for images, targets in whole)
    assert any(((targets > 0).sum(axis=1) == 2).any() for _, targets in whole)
    shares = [_take(split, 9, shard_index=index, shard_count=2) for index in (0, 1)]
    for batch, *parts in zip(whole, *shares, strict=True):
        for one, own in zip(batch, zip(*parts, strict=True), strict=True):
            np.testing.assert_array_equal(one, np.concatenate(own))
    resumed = _take(split, 4, start_epoch=1, start_step=2)
    for one, other in zip(whole[5:], resumed, strict=True):
        for before, after in zip(one, other, strict=True):
            np.testing.assert_array_equal(before, after)


def test_what_cannot_be_mixed_is_refused(split):
    with pytest.raises(UsageError, match="need num_classes"):
        _take(split, 1, num_classes=None)
    with pytest.raises(UsageError, match="even number"):
        _take(split, 1, global_batch_size=6, shard_count=2)
