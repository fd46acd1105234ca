"""Errors of reading images, said with the file's name and without waiting deaf for them."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UserError
from keras_alexnet.images import EncodedImages
from keras_alexnet.splits import Split
from keras_alexnet.watchdog import Probe, Supply

# What a damaged or missing file may raise in a pipeline.
_READING_ERRORS = (
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.UnknownError,
)


def explained(batches: Iterable, split: Split) -> Iterator:
    """Yields what `batches` of `split` holds; an image that cannot be read raises a `UserError`.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").test
        >>> len(list(explained(ka.eval_batches(split, "cifar_v1", batch_size=500), split)))
        4
    """
    iterator = iter(batches)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise explain(split, error) from error
        yield batch


def supplied(batches: Iterable, split: Split, check: Callable[[], None] = lambda: None) -> Supply:
    """Like `explained`, for whoever must not wait deaf: see `keras_alexnet.watchdog.Supply`.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").test
        >>> len(list(supplied(ka.eval_batches(split, "cifar_v1", batch_size=500), split)))
        4
    """
    return Supply(explained(batches, split), check, Probe(split.pixels).report)


def explain(split: Split, error: Exception) -> UserError:
    """Turns an error that came out of a pipeline into one that names the file.

    The files that were asked for last are tried first, then all of the split.

    Example:
        >>> import keras_alexnet as ka
        >>> split = ka.load_dataset("shapes").train
        >>> type(explain(split, RuntimeError("out of memory"))).__name__
        'UserError'
    """
    if isinstance(split.pixels, EncodedImages) and isinstance(error, _READING_ERRORS):
        recent = list(split.pixels.recent)
        for rows in (np.unique(np.concatenate(recent)) if recent else split.rows[:0], split.rows):
            damaged = split.pixels.damaged(rows)
            if damaged:
                return split.pixels.damage_error(damaged)
    return UserError(f"Reading the images failed: {getattr(error, 'message', error)}")
