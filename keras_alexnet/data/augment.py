"""Random draws of an epoch, and the augmented batches made with them.

All draws of an epoch are made at once, one row an image, from the run's seed, the epoch and the
image's place in the split: never from batch size, order or parallel calls.
`keras_alexnet.data.augmentations` holds the augmentations themselves.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from keras_alexnet.data import augmentations, views
from keras_alexnet.data.augmentations import STAGES, Augmentation, Context
from keras_alexnet.errors import UsageError
from keras_alexnet.networks.image_plan import ImagePlan


class Scheduled(NamedTuple):
    """An augmentation, and the epochs after which it ends; 0 if it never does."""

    augmentation: Augmentation
    until: int = 0


def parse(entries: Sequence[str]) -> list[Scheduled]:
    """Reads the augmentations of a recipe.

    Args:
        entries: each a name, maybe with a parameter, the epochs after which it ends, or both in
            parentheses: "flip", "color_noise(paper)", "crop(until=5)".

    Raises:
        UsageError: for what is not such an entry, or a name that occurs twice.

    Example:
        >>> [(each.augmentation.name, each.until) for each in parse(["crop", "flip(until=5)"])]
        [('crop', 0), ('flip', 5)]
    """
    scheduled = [_parse_one(entry) for entry in entries]
    names = [each.augmentation.name for each in scheduled]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"Each augmentation can be named once. Received: {name} twice in "
                f"{','.join(entries)}."
            )
    return scheduled


def _parse_one(entry: str) -> Scheduled:
    found = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", entry)
    if found is None:
        raise UsageError(
            "An augmentation is a name, such as flip, or a name with a parameter, such as "
            f"color_noise(paper). Received: {entry!r}."
        )
    augmentation = augmentations.get(found[1])
    arguments = [part.strip() for part in (found[2] or "").split(",") if part.strip()]
    until = [argument for argument in arguments if re.match(r"until\s*=", argument)]
    others = [argument for argument in arguments if argument not in until]
    try:
        epochs = until[0].split("=")[1].strip() if until else "0"
        if until and (len(until) > 1 or not epochs.isdecimal() or int(epochs) < 1):
            raise ValueError("until must be one whole number of epochs from 1 up")
        return Scheduled(augmentation(", ".join(others) or None), int(epochs))
    except ValueError as error:
        raise UsageError(
            f"The augmentation {found[1]} cannot be used so: {error}. Received: {entry}."
        ) from error


def needs_statistics(entries: Sequence[str]) -> bool:
    """Whether one of a recipe's augmentations uses the statistics of the training pixels.

    Example:
        >>> needs_statistics(["crop", "flip"]), needs_statistics(["color_noise(paper)"])
        (False, True)
    """
    return any(each.augmentation.needs_statistics for each in parse(entries))


def key_of(seed: int, epoch: int | tf.Tensor, stream: int) -> tf.Tensor:
    """int64 `[2]`: the key of a random stream in an epoch."""
    key = tf.constant([seed, stream], tf.int64)
    return tf.random.experimental.stateless_fold_in(key, tf.cast(epoch, tf.int64), alg="philox")


def order_of_epoch(seed: int, epoch: int | tf.Tensor, images: int) -> tf.Tensor:
    """int64 `[images]`: the order in which an epoch visits the images, from (seed, epoch).

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
    """All of an epoch's draws at once, one element an augmentation; row i belongs to image i.

    Args:
        chosen: the augmentations that draw.
        seed: the run's seed.
        epoch: integer or integer scalar tensor.
        images: n, the images of the training split.
        plan: how an image becomes an input.

    Returns:
        A tuple of what each augmentation draws: tensors `[n, ...]`.

    Example:
        >>> plan = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)
        >>> draws_of_epoch([augmentations.Crop()], 0, epoch=3, images=50, plan=plan)[0].shape
        TensorShape([50, 2])
    """
    return tuple(
        augmentation.draw(key_of(seed, epoch, _stream(augmentation)), images, plan)
        for augmentation in chosen
    )


def _stream(augmentation: Augmentation) -> int:
    if augmentation.stream is not None:
        return augmentation.stream
    return int.from_bytes(hashlib.sha256(augmentation.name.encode()).digest()[:7], "big")


def augmented(
    squares: tf.Tensor, chosen: Sequence[Augmentation], draws: tuple, context: Context
) -> tf.Tensor:
    """Makes the inputs of a training step.

    Args:
        squares: uint8 `[batch, square_size, square_size, 3]` in 0–255.
        chosen: the augmentations; without one that crops, the center is cut out.
        draws: of each augmentation, for the images of the batch.
        context: the image plan, and the statistics of the training pixels.

    Returns:
        uint8 or float32 `[batch, input_size, input_size, 3]`.
    """
    images, plan = squares, context.plan
    for stage in STAGES:
        for augmentation, own in zip(chosen, draws, strict=True):
            if augmentation.stage == stage:
                images = augmentation.apply(images, own, context)
        if stage == "squares":
            images = views.center_crop(images, plan.crop_size)
        elif stage == "crops":
            images = views.enlarge(images, plan.input_size)
    return images
