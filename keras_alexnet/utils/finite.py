"""The check that weights are finite: ReLU and max pooling hide NaN from every output."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

if TYPE_CHECKING:
    import keras

_NAMES_IN_MESSAGE = 12


def check_weights(source: object, weights: Iterable[tuple[str, np.ndarray]]) -> None:
    """Checks the weights of a file or a model.

    Args:
        source: the file or the model, as the message calls it.
        weights: name and array of each; those of whole numbers are always finite.

    Raises:
        UserError: some are NaN or infinite. The message names them and says how many.

    Example:
        >>> check_weights("model.keras", [("conv1/bias", np.array([0.5, np.nan]))])
        Traceback (most recent call last):
        keras_alexnet.errors.UserError: model.keras holds weights that are NaN or infinite: ...
    """
    bad = [described for name, array in weights if (described := describe_non_finite(name, array))]
    if bad:
        raise UserError(
            f"{source} holds weights that are NaN or infinite: {_listing(bad)}. It was damaged, or "
            "its training had diverged: copy or download it again, or train again with a smaller "
            "learning rate."
        )


def weights_of(model: "keras.Model") -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and array of each weight of a Keras model."""
    for weight in model.weights:
        yield weight.path, np.asarray(weight)


def describe_non_finite(name: str, array: np.ndarray) -> str | None:
    """Returns the name of an array and how many of its numbers are not finite; None if all are.

    Example:
        >>> describe_non_finite("conv1/bias", np.array([0.5, np.nan]))
        'conv1/bias (1 of 2)'
    """
    if array.dtype.kind in "iub" or (finite := np.isfinite(array)).all():
        return None
    return f"{printable(name, 100)} ({array.size - np.count_nonzero(finite)} of {array.size})"


def _listing(bad: list[str]) -> str:
    more = len(bad) - _NAMES_IN_MESSAGE
    return ", ".join(bad[:_NAMES_IN_MESSAGE]) + (f" and {more} more" if more > 0 else "")
