"""Split + image plan → batches, for training and for evaluation.

Which images a batch holds and how they are augmented depends on (seed, epoch, index) alone.
"""

import functools

import numpy as np
import tensorflow as tf

from keras_alexnet.data import augment, batching, failures
from keras_alexnet.data.augment import PixelStatistics, RandomDraws
from keras_alexnet.data.images import EncodedImages
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed.cluster import WHOLE, Share
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import variants
from keras_alexnet.networks.image_plan import VIEWS, ImagePlan

STATISTICS_IMAGES = 10_000  # sampled when the decoded images do not fit in memory


def train_batches(
    split: Split,
    plan: ImagePlan | str,
    *,
    global_batch_size: int,
    seed: int,
    flip: bool = True,
    crop: bool = True,
    color_noise: str | None = None,
    color_noise_until_epoch: int = 0,
    statistics: PixelStatistics | None = None,
    start_epoch: int = 0,
    start_step: int = 0,
    drop_remainder: bool = False,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Batches for training, epoch after epoch without end, each image once an epoch.

    Args:
        split: the training images.
        plan: how an image becomes an input; or the name of a variant, for its default plan.
        global_batch_size: images in one step over all devices. The last batch of an epoch holds
            what remains.
        seed: together with the epoch fixes the order, and with the image's index its draws.
        flip: mirror each image with probability 1/2.
        crop: cut at a random place (after the plan's padding); otherwise in the center.
        color_noise: "paper" or "2012", see `augment.color_noise`; none when None.
        color_noise_until_epoch: epochs after which there is none, though the images stay
            float32; 0 for noise in all epochs.
        statistics: of the training pixels; needed for color noise.
        start_epoch: the epoch to begin with.
        start_step: the step of `start_epoch` to begin with. What follows is what would have
            followed had the dataset been iterated to this place; no image is read to get there.
        drop_remainder: leave the last batch of an epoch out if it is not full.
        share: which part of every batch to read, of workers that train together. The parts of
            all workers, one after the other, are the batch that one worker would read. The last
            parts of an epoch's last batch may be short, or of no image at all.

    Returns:
        An infinite dataset of (images, labels): uint8 `[batch, s, s, 3]` in 0–255 (float32 and
        not clipped with color noise), int32 `[batch]`.

    Raises:
        UsageError: for an argument out of range.
        UserError: if images that are to be kept in memory cannot be decoded. Errors of images
            decoded later come from the iterator: see `data_errors.explain`.

    Example:
        >>> import keras_alexnet as ka
        >>> data = ka.load_dataset("shapes")
        >>> batches = train_batches(data.train, "cifar_v1", global_batch_size=128, seed=0)
        >>> images, labels = next(iter(batches))
        >>> images.shape, images.dtype
        (TensorShape([128, 32, 32, 3]), tf.uint8)
    """
    plan = _plan(plan)
    _check_noise(color_noise, statistics)
    steps = steps_per_epoch(split, global_batch_size, drop_remainder=drop_remainder)
    part_size = _part_size(global_batch_size, share)
    max_offset = plan.square_size + 2 * plan.crop_padding - plan.crop_size
    first_epoch = start_epoch + start_step // steps

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        order = augment.order_of_epoch(seed, epoch, len(split))
        draws = augment.draws_of_epoch(seed, epoch, len(split), max_offset)
        first = tf.where(epoch == first_epoch, start_step % steps, 0)

        def batch(step):
            start = step * global_batch_size + share.index * part_size
            indices = order[start : start + part_size]
            if drop_remainder:
                indices = tf.ensure_shape(indices, [part_size])
            return indices, tf.nest.map_structure(lambda rows: tf.gather(rows, indices), draws)

        return tf.data.Dataset.range(tf.cast(first, tf.int64), steps).map(batch)

    def finish(noise: str | None, squares: tf.Tensor, draws: RandomDraws) -> tf.Tensor:
        images = squares
        if crop:
            images = augment.crop(
                augment.pad(images, plan.crop_padding), draws.offsets, plan.crop_size
            )
        else:
            images = augment.center_crop(images, plan.crop_size)
        if flip:
            images = augment.flip_horizontal(images, draws.flips)
        images = augment.enlarge(images, plan.input_size)
        if noise:
            return augment.color_noise(images, draws.colors, statistics, noise)
        # One dtype in all epochs, so that the training step is compiled once.
        return tf.cast(images, tf.float32) if color_noise else images

    def batches_of(epochs: tf.data.Dataset, noise: str | None) -> tf.data.Dataset:
        indices, finish_one = epochs.flat_map(epoch_batches), functools.partial(finish, noise)
        return batching.batches(indices, split, plan, part_size, finish_one)

    counter, last = tf.data.Dataset.counter, color_noise_until_epoch
    if not last:
        return batches_of(counter(first_epoch), color_noise)
    noisy = tf.data.Dataset.range(first_epoch, max(first_epoch, last))
    return batches_of(noisy, color_noise).concatenate(
        batches_of(counter(max(first_epoch, last)), None)
    )


def eval_batches(
    split: Split, plan: ImagePlan | str, *, batch_size: int, views: int = 1
) -> tf.data.Dataset:
    """Batches for evaluation: every image once, in the order of the split.

    Args:
        split: the images.
        plan: how an image becomes an input; or the name of a variant, for its default plan.
        batch_size: images (not views) in a batch; the last holds what remains.
        views: 1 the center crop; 2 that and its mirror image; 10 the center and the four corners,
            then their mirror images. Where the square is no larger than the crop, the corners are
            those of the square padded as in training.

    Returns:
        A dataset of (images, labels): uint8 `[batch, s, s, 3]` in 0–255, for more than one view
        `[batch, views, s, s, 3]`; int32 `[batch]`.

    Raises:
        UsageError, UserError: as `train_batches`.

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
    indices = tf.data.Dataset.range(len(split)).batch(batch_size).map(lambda index: (index, ()))

    def finish(squares: tf.Tensor, _) -> tf.Tensor:
        if views == 1:
            return augment.center_view(squares, plan)
        if views == 2:
            crops = augment.center_crop(squares, plan.crop_size)[:, None]
        else:
            padding = plan.crop_padding if plan.square_size <= plan.crop_size else 0
            crops = augment.five_crops(augment.pad(squares, padding), plan.crop_size)
        return augment.enlarge_views(augment.with_mirrors(crops), plan.input_size)

    return batching.batches(indices, split, plan, batch_size, finish)


def steps_per_epoch(split: Split, global_batch_size: int, *, drop_remainder: bool = False) -> int:
    """Batches in one epoch of `train_batches`.

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
    """Mean and covariance of the RGB pixels of a split's squares.

    Exact over all images when their squares are in memory, else over a fixed sample of 10,000.

    Raises:
        UserError: with the file's name, if an image cannot be read.

    Example:
        >>> import keras_alexnet as ka
        >>> pixel_statistics(ka.load_dataset("shapes").train, "cifar_v1").mean.shape
        (3,)
    """
    plan = _plan(plan)
    streamed = isinstance(batching.source_of(split, plan), EncodedImages)
    sampled = streamed and len(split) > STATISTICS_IMAGES
    if sampled:
        chosen = np.random.Generator(np.random.PCG64(0)).random(len(split)).argsort()
        split = split.subset(np.sort(chosen[:STATISTICS_IMAGES]))
    indices = tf.data.Dataset.range(len(split)).batch(64).map(lambda index: (index, ()))
    squares = batching.batches(indices, split, plan, 64, lambda squares, _: squares)
    # Sums of whole numbers below 2**53 are exact in float64, whatever the order and the threads.
    pixels, sums, products = 0, np.zeros(3), np.zeros((3, 3))
    for batch, _ in failures.explained(squares, split):
        values = batch.numpy().reshape(-1, 3).astype(np.float64)
        pixels += len(values)
        sums += values.sum(axis=0)
        products += values.T @ values
    mean = sums / pixels
    return PixelStatistics(mean, products / pixels - np.outer(mean, mean), len(split), sampled)


def _plan(plan: ImagePlan | str) -> ImagePlan:
    return variants.get(plan).image_plan_for() if isinstance(plan, str) else plan


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise UsageError(f"The batch size must be at least 1. Received: {batch_size}.")


def _part_size(global_batch_size: int, share: Share) -> int:
    if not 0 <= share.index < share.count or global_batch_size % share.count:
        raise UsageError(
            f"share must be one of equal parts of the {global_batch_size} images of a batch. "
            f"Received: part {share.index} of {share.count}."
        )
    return global_batch_size // share.count


def _check_noise(form: str | None, statistics: PixelStatistics | None) -> None:
    if form is None:
        return
    if form not in augment.COLOR_NOISE_FORMS:
        raise UsageError(f"color_noise must be 'paper', '2012' or None. Received: {form!r}.")
    if statistics is None:
        raise UsageError(
            "Color noise needs the training pixels' statistics. Received: statistics=None. Pass "
            "statistics=pixel_statistics(split, plan)."
        )
