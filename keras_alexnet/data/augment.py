"""Random draws of an epoch, and the augmented batches made with them.

All draws of an epoch are made at once, one row per image. They depend on the run's seed, the epoch
and the image's place in the split, and not on batch size, order or parallel calls.
`keras_alexnet.data.augmentations` holds the augmentations themselves.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from keras_alexnet.data import views
from keras_alexnet.data.augmentation import STAGES, Augmentation, Context
from keras_alexnet.data.augmentations import Crop, Flip
from keras_alexnet.data.batching import Crops
from keras_alexnet.networks.image_plan import ImagePlan


def key_of(seed: int, epoch: int | tf.Tensor, stream: int) -> tf.Tensor:
    """Returns the key of a random stream in an epoch, int64 `[2]`."""
    key = tf.constant([seed, stream], tf.int64)
    return tf.random.experimental.stateless_fold_in(key, tf.cast(epoch, tf.int64), alg="philox")


def order_of_epoch(seed: int, epoch: int | tf.Tensor, images: int) -> tf.Tensor:
    """Returns the order in which an epoch visits the images, int64 `[images]`.

    Example:
        >>> order_of_epoch(0, epoch=3, images=50).shape
        TensorShape([50])
    """
    # No augmentation has the stream 0.
    return tf.random.experimental.stateless_shuffle(
        tf.range(images, dtype=tf.int64), key_of(seed, epoch, 0), alg="philox"
    )


def draws_of_epoch(
    chosen: Sequence[Augmentation],
    seed: int,
    epoch: int | tf.Tensor,
    images: int,
    plan: ImagePlan,
) -> tuple:
    """Makes all draws of an epoch.

    Args:
        chosen: the augmentations.
        seed: the run's seed.
        epoch: integer or integer scalar tensor.
        images: n, the images of the training split.
        plan: how an image becomes an input.

    Returns:
        A tuple of what each augmentation draws: tensors `[n, ...]`. Row i belongs to image i.

    Example:
        >>> plan = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)
        >>> from keras_alexnet.data.augmentations import Crop
        >>> draws_of_epoch([Crop()], 0, epoch=3, images=50, plan=plan)[0].shape
        TensorShape([50, 2])
    """
    epoch = tf.cast(epoch, tf.int64)

    def draw(augmentation: Augmentation) -> Any:
        stream = _stream(augmentation)

        def drawn() -> Any:
            return augmentation.draw_of_epoch(
                lambda epoch: key_of(seed, epoch, stream), epoch, images, plan
            )

        return _convertible(augmentation, drawn)()

    return tuple(draw(augmentation) for augmentation in chosen)


def _convertible(augmentation: Augmentation, function: Callable) -> Callable:
    """Lets AutoGraph convert what is not of this package, and may have `if` for tensors."""
    if type(augmentation).__module__.startswith("keras_alexnet."):
        return function
    return tf.function(lambda *images: function(*images))


def _stream(augmentation: Augmentation) -> int:
    if augmentation.stream is not None:
        return augmentation.stream
    return int.from_bytes(hashlib.sha256(augmentation.name.encode()).digest()[:7], "big")


def crops_first(chosen: Sequence[Augmentation], plan: ImagePlan) -> tuple[Crops, list[int]] | None:
    """Says what may be cut out of the squares, and mirrored, before anything else is done.

    Args:
        chosen: the augmentations.
        plan: how an image becomes an input.

    Returns:
        A function of the indices and draws of a batch, see `batching.batches`, and the places in
        `chosen` of what remains to be done; or None if the squares themselves are needed.
    """
    squares, crops = (
        [place for place, each in enumerate(chosen) if each.stage == stage] for stage in STAGES[:2]
    )
    if plan.crop_padding or len(squares) > 1 or any(type(chosen[i]) is not Crop for i in squares):
        return None
    flips = [place for place in crops[:1] if type(chosen[place]) is Flip]

    def crops_of(indices: tf.Tensor, draws: Sequence[Any]) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.size(indices)
        center = (plan.square_size - plan.crop_size) // 2
        corners = draws[squares[0]] if squares else tf.fill([count, 2], center)
        return corners, draws[flips[0]] if flips else tf.fill([count], False)

    done = {*squares, *flips}
    return crops_of, [place for place in range(len(chosen)) if place not in done]


def augmented(
    squares: tf.Tensor, chosen: Sequence[Augmentation], draws: tuple, context: Context
) -> tf.Tensor:
    """Makes the inputs of a training step.

    Args:
        squares: uint8 `[batch, square_size, square_size, 3]` in 0–255, or the crops of them.
        chosen: the augmentations; without one that crops, the center is cut out.
        draws: what each augmentation drew for the images of the batch.
        context: the image plan, and the statistics of the training pixels.

    Returns:
        uint8 or float32 `[batch, input_size, input_size, 3]`.
    """
    images, plan = squares, context.plan
    changes = _changes(chosen, draws, context)
    for stage in STAGES:
        for own_stage, change in changes:
            if own_stage == stage:
                images = change(images)
        if stage == "squares":
            images = views.center_crop(images, plan.crop_size)
        elif stage == "crops":
            images = views.enlarge(images, plan.input_size)
    return images


def _changes(
    chosen: Sequence[Augmentation], draws: tuple, context: Context
) -> list[tuple[str, Callable[[tf.Tensor], tf.Tensor]]]:
    """Returns (stage, function of a batch) in order; a crop and the flip after it are one."""
    waiting = sorted(zip(chosen, draws, strict=True), key=lambda pair: STAGES.index(pair[0].stage))
    changes: list[tuple[str, Callable[[tf.Tensor], tf.Tensor]]] = []
    while waiting:
        augmentation, own = waiting.pop(0)
        if type(augmentation) is Crop and waiting and type(waiting[0][0]) is Flip:
            change: Callable[[tf.Tensor], tf.Tensor] = functools.partial(
                augmentation.cut, draws=own, context=context, flips=waiting.pop(0)[1]
            )
        else:
            apply = functools.partial(augmentation.apply, draws=own, context=context)
            change = _convertible(augmentation, apply)
        changes.append((augmentation.stage, change))
    return changes
