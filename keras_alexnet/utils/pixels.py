"""The scale of pixels: 0–255 is wanted, and 0–1 or standardized values are noticed."""

from typing import Any, TypeVar

import numpy as np

from keras_alexnet.errors import UsageError

_Data = TypeVar("_Data")

_ADVICE = "The networks standardize pixels themselves: leave out what divides or shifts them."
_MOST_STANDARDIZED = 5.0  # deviations that a standardized pixel may be from the mean


def wrong_scale(pixels: Any) -> str | None:
    """Returns what is wrong with pixels that are not on the scale 0–255; None if nothing seems so.

    Only floats are looked at: those that are all from -1 to 1, or on both sides of 0 and small, as
    standardized pixels are. An image that is all 0 is black on every scale.

    Example:
        >>> wrong_scale(np.float32([[0, 0.25], [0.5, 1]]))
        'float32 [2, 2] with values from 0 to 1'
        >>> wrong_scale(np.float32([0, 254.5])), wrong_scale(np.uint8([0, 1]))
        (None, None)
    """
    array = np.asarray(pixels)
    if array.dtype.kind != "f" or not array.size:
        return None
    low, high = float(array.min()), float(array.max())
    is_unit = -1 <= low and 0 < max(high, -low) and high <= 1
    is_standardized = -_MOST_STANDARDIZED < low < 0 < high < _MOST_STANDARDIZED
    return _described(array) if is_unit or is_standardized else None


def message(name: str, received: str) -> str:
    """Returns what to say about pixels of another scale.

    Example:
        >>> message("images", "float32 [2, 2] with values from 0 to 1")[:72]
        'images must be pixels 0–255. Received: float32 [2, 2] with values from 0'
    """
    return f"{name} must be pixels 0–255. Received: {received}. {_ADVICE}"


def as_uint8(pixels: np.ndarray, name: str) -> np.ndarray:
    """Returns pixels 0–255 of any number type as uint8, rounded to the nearest.

    Args:
        pixels: whole numbers or floats.
        name: what the message calls them.

    Raises:
        UsageError: they are not 0–255, or NaN, or all in 0–1.

    Example:
        >>> as_uint8(np.array([0, 254.6]), "image")
        array([  0, 255], dtype=uint8)
    """
    if pixels.dtype == np.uint8:
        return pixels
    if not pixels.size:
        return pixels.astype(np.uint8)
    received = wrong_scale(pixels)
    if received is None and not (pixels.min() >= 0 and pixels.max() <= 255):  # NaN is neither
        received = _described(pixels)
    if received is not None:
        raise UsageError(message(name, received))
    return np.rint(pixels).astype(np.uint8)


def check_pixels(data: _Data) -> _Data:
    """Checks that images which a network is trained or evaluated on are pixels 0–255.

    `fit` and `predict` of Keras show a network its images only inside a compiled graph, where
    nothing can be said. Call this before; it costs a look at one batch:
    `model.fit(keras_alexnet.check_pixels(batches), epochs=2)`.

    Args:
        data: an array or tensor of images, a `tf.data.Dataset`, or another collection of batches,
            each of them images or a tuple that begins with them.

    Returns:
        The data, unchanged.

    Raises:
        UsageError: the images of the first batch (or all of an array) are floats in 0–1, or
            standardized; or the data are an iterator, whose first batch would be lost.

    Example:
        >>> _ = check_pixels(np.full([2, 32, 32, 3], 128, "uint8"))
        >>> check_pixels(np.full([2, 32, 32, 3], 0.5))
        Traceback (most recent call last):
        ...
        keras_alexnet.errors.UsageError: images must be pixels 0–255. Received: float64 \
[2, 32, 32, 3] with values from 0.5 to 0.5. The networks standardize pixels themselves: leave out \
what divides or shifts them.
    """
    batch: Any = data
    if not hasattr(data, "__array__"):
        batches = iter(data)  # type: ignore[call-overload]
        if batches is data:
            raise UsageError(
                "check_pixels looks at the first batch, which an iterator would lose. Give it the "
                f"data set or array itself. Received: {type(data).__name__}."
            )
        batch = next(batches, np.zeros(0))
    images = batch[0] if isinstance(batch, (tuple, list)) else batch
    if (received := wrong_scale(images)) is not None:
        raise UsageError(message("images", received))
    return data


def _described(array: np.ndarray) -> str:
    ends = f"{array.min():.3g} to {array.max():.3g}"
    return f"{array.dtype} {list(array.shape)} with values from {ends}"
