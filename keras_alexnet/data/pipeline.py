"""Batches for training and evaluation: train_batches and eval_batches.

Which images a batch holds and how they are augmented depends only on (seed, epoch, index).
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet.data import batching, failures, mixing
from keras_alexnet.data.augment import augmented, crops_first, draws_of_epoch, order_of_epoch
from keras_alexnet.data.augment_list import Scheduled, parse
from keras_alexnet.data.augmentation import Augmentation, Context, PixelStatistics
from keras_alexnet.data.splits import Split
from keras_alexnet.data.views import evaluation_views
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import VIEWS, ImagePlan

# AutoGraph, which these functions do not need, would take seconds to convert them.
unconverted = tf.autograph.experimental.do_not_convert

STATISTICS_IMAGES = 10_000  # sampled when the decoded images do not fit in memory


def train_batches(
    split: Split,
    plan: ImagePlan | str,
    *,
    global_batch_size: int,
    seed: int,
    augment: Sequence[str] = ("crop", "flip"),
    statistics: PixelStatistics | None = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    num_classes: int | None = None,
    start_epoch: int = 0,
    start_step: int = 0,
    drop_remainder: bool = False,
    shard_index: int = 0,
    shard_count: int = 1,
) -> tf.data.Dataset:
    """Returns batches for training, epoch after epoch without end, each image once per epoch.

    Args:
        split: the training images.
        plan: how an image becomes an input; or the name of a variant, for its default plan.
        global_batch_size: images in one step over all devices. The last batch of an epoch holds
            what remains.
        seed: together with the epoch fixes the order, and with the image's index its draws.
        augment: names of augmentations, see `keras_alexnet.data.augmentations`, such as "crop",
            "flip" and "color_noise(paper)". Without "crop" the center is cut out. With `until` an
            augmentation ends after that many epochs: "color_noise(paper, until=60)".
        statistics: statistics of the training pixels, which color noise needs.
        mixup: parameter of the Beta distribution from which the shares of two mixed images are
            drawn; 0 does not mix. See `keras_alexnet.data.mixing`.
        cutmix: the same for rectangles of one image in another; with both, each image has one.
        num_classes: number of classes, which mixing needs.
        start_epoch: the epoch to begin with.
        start_step: the step of `start_epoch` to begin with. The batches are the same as if the
            dataset had been iterated to this step, but no image is read to get there.
        drop_remainder: leave the last batch of an epoch out if it is not full.
        shard_index: which part of every batch to read, of several workers that train together.
        shard_count: the number of parts. All of them, one after the other, are the batch that one
            worker would read. The last parts of an epoch's last batch may be short, or empty.

    Returns:
        An infinite dataset of (images, labels): uint8 `[batch, s, s, 3]` in 0–255, int32
        `[batch]`, or with mixup or CutMix float32 `[batch, num_classes]`, as Keras's
        `CategoricalCrossentropy` expects. With color noise the images are float32 and not clipped,
        in all epochs, even after it has ended.

    Raises:
        UsageError: if an argument is out of range.
        UserError: if images that are to be kept in memory cannot be decoded. For images that are
            decoded later, the iterator raises errors: see `failures.explain`.

    Example:
        >>> import keras_alexnet as ka
        >>> data = ka.load_dataset("shapes")
        >>> batches = train_batches(data.train, "cifar_v1", global_batch_size=128, seed=0)
        >>> images, labels = next(iter(batches))
        >>> images.shape, images.dtype
        (TensorShape([128, 32, 32, 3]), tf.uint8)
    """
    plan = _plan(plan)
    scheduled = parse(augment)
    _check_statistics(scheduled, statistics)
    steps = steps_per_epoch(split, global_batch_size, drop_remainder=drop_remainder)
    shard_size = _shard_size(global_batch_size, shard_index, shard_count)
    first_epoch = start_epoch + start_step // steps
    mixes = _mixing(mixup, cutmix, num_classes, shard_size, shard_count)

    def batches_of(
        epochs: tf.data.Dataset, chosen: list[Augmentation], dtype: tf.DType | None
    ) -> tf.data.Dataset:
        def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
            order = order_of_epoch(seed, epoch, len(split))
            draws = (
                draws_of_epoch(chosen, seed, epoch, len(split), plan),
                () if mixes is None else mixing.draws_of_epoch(mixes, seed, epoch, len(split)),
            )
            first = tf.where(epoch == first_epoch, start_step % steps, 0)

            def batch(step: tf.Tensor) -> tuple[tf.Tensor, tuple]:
                start = step * global_batch_size + shard_index * shard_size
                indices = order[start : start + shard_size]
                if drop_remainder:
                    indices = tf.ensure_shape(indices, [shard_size])
                return indices, tf.nest.map_structure(lambda rows: tf.gather(rows, indices), draws)

            return tf.data.Dataset.range(tf.cast(first, tf.int64), steps).map(unconverted(batch))

        first_cut = crops_first(chosen, plan) if batching.is_encoded(split, plan) else None
        crops = None if first_cut is None else lambda index, draws: first_cut[0](index, draws[0])
        places = range(len(chosen)) if first_cut is None else first_cut[1]

        def finish(squares: tf.Tensor, labels: tf.Tensor, draws: tuple) -> tuple:
            rest = [chosen[place] for place in places]
            own = tuple(draws[0][place] for place in places)
            images = augmented(squares, rest, own, Context(plan, statistics))
            images = images if dtype is None else tf.cast(images, dtype)
            if mixes is None:
                return images, labels
            return mixing.mixed(images, labels, draws[1], mixes)

        indices = epochs.flat_map(unconverted(epoch_batches))
        return batching.batches(indices, split, plan, shard_size, finish, crops)

    return _until_they_end(batches_of, scheduled, first_epoch)


def _until_they_end(
    batches_of: Callable, scheduled: list[Scheduled], first_epoch: int
) -> tf.data.Dataset:
    """Returns the batches of all epochs, with each augmentation in the epochs before its end."""
    batches = dtype = None
    for end in (*sorted({each.until for each in scheduled if each.until}), None):
        chosen = [
            each.augmentation
            for each in scheduled
            if not each.until or (end is not None and each.until >= end)
        ]
        epochs = tf.data.Dataset.counter(first_epoch)
        if end is not None:
            epochs = tf.data.Dataset.range(first_epoch, max(first_epoch, end))
            first_epoch = max(first_epoch, end)
        found = batches_of(epochs, chosen, dtype)
        # One dtype in all epochs, so that the training step is compiled once.
        dtype = found.element_spec[0].dtype
        batches = found if batches is None else batches.concatenate(found)
    return batches


def eval_batches(
    split: Split, plan: ImagePlan | str, *, batch_size: int, views: int = 1
) -> tf.data.Dataset:
    """Returns batches for evaluation: every image once, in the order of the split.

    Args:
        split: the images.
        plan: how an image becomes an input; or the name of a variant, for its default plan.
        batch_size: images (not views) in a batch; the last batch holds what remains.
        views: number of views of each image: 1, 2 or 10, see `views.evaluation_views`.

    Returns:
        A dataset of (images, labels): uint8 `[batch, s, s, 3]` in 0–255, for more than one view
        `[batch, views, s, s, 3]`; int32 `[batch]`.

    Raises:
        UsageError, UserError: as in `train_batches`.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").test
        >>> batches = eval_batches(split, "cifar_v1", batch_size=100, views=10)
        >>> next(iter(batches))[0].shape
        TensorShape([100, 10, 32, 32, 3])
    """
    plan = _plan(plan)
    if views not in VIEWS:
        raise UsageError(f"views must be 1, 2 or 10. Received: {views}.")
    _check_batch_size(batch_size)
    indices = _in_order(split, batch_size)

    first_cut = None
    if views < 10 and batching.is_encoded(split, plan):  # ten views need the corners
        first_cut = crops_first((), dataclasses.replace(plan, crop_padding=0))

    def finish(squares: tf.Tensor, labels: tf.Tensor, _: tuple) -> tuple[tf.Tensor, tf.Tensor]:
        return evaluation_views(squares, plan, views), labels

    crops = None if first_cut is None else first_cut[0]
    return batching.batches(indices, split, plan, batch_size, finish, crops)


def steps_per_epoch(split: Split, global_batch_size: int, *, drop_remainder: bool = False) -> int:
    """Returns the number of batches in one epoch of `train_batches`.

    Example:
        >>> import keras_alexnet as ka
        >>> steps_per_epoch(ka.load_dataset("shapes").train, 128)
        79
    """
    _check_batch_size(global_batch_size)
    whole, rest = divmod(len(split), global_batch_size)
    steps = whole if drop_remainder else whole + (rest > 0)
    if steps == 0:
        raise UsageError(
            f"A global batch of {global_batch_size} images cannot be filled from {len(split)} "
            "training images. Choose a smaller global_batch_size."
        )
    return steps


def pixel_statistics(split: Split, plan: ImagePlan | str) -> PixelStatistics:
    """Computes mean and covariance of the RGB pixels of a split's squares.

    Exact over all images if their squares are in memory, or else over a fixed sample of 10,000.

    Raises:
        UserError: with the file's name, if an image cannot be read.

    Example:
        >>> import keras_alexnet as ka
        >>> pixel_statistics(ka.load_dataset("shapes").train, "cifar_v1").mean.shape
        (3,)
    """
    plan = _plan(plan)
    sampled = batching.is_encoded(split, plan) and len(split) > STATISTICS_IMAGES
    if sampled:
        chosen = np.random.Generator(np.random.PCG64(0)).random(len(split)).argsort()
        split = split.subset(np.sort(chosen[:STATISTICS_IMAGES]))
    indices = _in_order(split, 64)
    squares = batching.batches(
        indices, split, plan, 64, lambda squares, labels, _: (squares, labels)
    )
    # Sums of whole numbers below 2**53 are exact in float64, whatever the order and the threads.
    pixels, sums, products = 0, np.zeros(3), np.zeros((3, 3))
    for batch, _ in failures.explained(squares, split):
        values = batch.numpy().reshape(-1, 3).astype(np.float64)
        pixels += len(values)
        sums += values.sum(axis=0)
        products += values.T @ values
    mean = sums / pixels
    return PixelStatistics(mean, products / pixels - np.outer(mean, mean), len(split), sampled)


def _in_order(split: Split, batch_size: int) -> tf.data.Dataset:
    indices = tf.data.Dataset.range(len(split)).batch(batch_size)
    return indices.map(unconverted(lambda index: (index, ())))


def _plan(plan: ImagePlan | str) -> ImagePlan:
    return variants.get(plan).image_plan_for() if isinstance(plan, str) else plan


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"The batch size must be at least 1. Received: {batch_size}.")


def _mixing(
    mixup: float, cutmix: float, num_classes: int | None, shard_size: int, shard_count: int
) -> mixing.Mixing | None:
    if not mixup and not cutmix:
        return None
    if num_classes is None:
        raise UsageError("mixup and cutmix need num_classes, for their targets. Received: None.")
    if shard_count > 1 and shard_size % 2:
        raise UsageError(
            "mixup and cutmix mix images in pairs, so each worker must have an even number of the "
            f"images of a batch. Received: {shard_size} of {shard_size * shard_count} images on "
            f"each of {shard_count} workers. Choose a different global_batch_size."
        )
    return mixing.Mixing(mixup, cutmix, num_classes)


def _shard_size(global_batch_size: int, index: int, count: int) -> int:
    if not 0 <= index < count or global_batch_size % count:
        raise UsageError(
            f"shard_count must divide the {global_batch_size} images of a batch, and shard_index "
            f"must be from 0 to shard_count - 1. Received: shard_index={index}, "
            f"shard_count={count}."
        )
    return global_batch_size // count


def _check_statistics(scheduled: list[Scheduled], statistics: PixelStatistics | None) -> None:
    for augmentation, _ in scheduled:
        if augmentation.needs_statistics and statistics is None:
            raise UsageError(
                f"The augmentation {augmentation.name} needs the training pixels' statistics. "
                "Received: statistics=None. Pass statistics=pixel_statistics(split, plan)."
            )
