"""preprocess_input and decode_predictions: images and scores as in keras.applications."""

from typing import Any

import keras
import numpy as np

from keras_alexnet.errors import UsageError, first_line, whole_number
from keras_alexnet.utils.imagenet_classes import imagenet_labels


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Returns images as the networks take them: RGB pixels 0-255, which they standardize.

    It exists because `keras.applications` has one for each model. Arrays and tensors are returned
    unchanged, whatever their type.

    Args:
        x: `[height, width, 3]` or `[batch, height, width, 3]`: an array, a tensor, or lists of
            numbers, of which an array is made; or an image of Pillow, or a list of such images of
            the same size, which become arrays of uint8.
        data_format: None or "channels_last".

    Raises:
        UsageError: the channels come first, are not three, or `x` is not an image.

    Example:
        >>> preprocess_input([[[255, 0, 0]]]).shape
        (1, 1, 3)
    """
    if data_format not in (None, "channels_last", "channels_first"):
        raise UsageError(
            f"data_format must be 'channels_last', or None for the same. Received: {data_format!r}."
        )
    if data_format == "channels_first":
        raise UsageError(
            "The networks take images with the channels last, on every device. Turn them with "
            "np.moveaxis(x, -3, -1), and leave data_format out. Received: "
            "data_format='channels_first'."
        )
    if not hasattr(x, "shape"):
        x = _array_of(x)
    shape = tuple(x.shape)
    if len(shape) not in (3, 4) or shape[-1] not in (3, None):
        first = len(shape) in (3, 4) and shape[-3] == 3
        raise UsageError(
            "Images must be RGB, of shape (height, width, 3) or (batch, height, width, 3). "
            f"Received: {shape}."
            + (
                " Turn them with np.moveaxis(x, -3, -1): their channels come first."
                if first
                else ""
            )
        )
    return x


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Names the highest scores of predictions over the 1000 ImageNet classes.

    Args:
        preds: `[batch, 1000]`, probabilities or logits, sorted by the WordNet ids of ILSVRC-2012
            (as in Keras and PyTorch).
        top: number of classes to name.

    Returns:
        For each image `top` tuples (WordNet id, name, score), highest score first.

    Raises:
        UsageError: `preds` has a different shape, or `top` is not a positive whole number.

    Example:
        >>> decode_predictions(np.eye(1000)[[1]], top=1)
        [[('n01443537', 'goldfish', 1.0)]]
    """
    scores = keras.ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise UsageError(
            "decode_predictions names the 1000 ImageNet classes and needs scores of shape "
            f"(images, 1000). Received: {scores.shape}."
        )
    top = whole_number("top", top, least=1)
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    labels = imagenet_labels()
    return [
        [(*labels[index], image[index].item()) for index in indices]
        for image, indices in zip(scores, highest, strict=True)
    ]


def _array_of(images: Any) -> np.ndarray:
    """Returns images of Pillow, or lists of numbers, as an array."""

    def pixels(each: Any) -> Any:
        return np.asarray(each.convert("RGB")) if hasattr(each, "convert") else each

    several = isinstance(images, (list, tuple))
    try:
        array = np.asarray([pixels(each) for each in images] if several else pixels(images))
    except ValueError as error:
        raise UsageError(
            "Images in a list must have the same size: resize them first, or pass them one by "
            f"one. {first_line(error)}"
        ) from error
    if array.dtype.kind not in "uif":
        raise UsageError(
            f"Images must be arrays, tensors, lists of numbers or images of Pillow. Received: "
            f"{type(images).__name__}."
        )
    return array
