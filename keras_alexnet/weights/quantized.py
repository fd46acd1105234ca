"""Weights stored in fewer bits: float16, or int8 with one scale for each output channel."""

from collections.abc import Mapping

import numpy as np

from keras_alexnet.errors import unknown_name

_SCALE = "_scale"  # after the name of an int8 kernel: the name of its scales
_LARGEST = 127
_FORMS = ("int8", "float16")


def pack(tensors: Mapping[str, np.ndarray], form: str) -> dict[str, np.ndarray]:
    """Returns tensors to store in place of float32 ones.

    An int8 kernel is `round(kernel / scale)`, from -127 to 127, with a float32 scale for each
    output: the largest absolute weight of its window divided by 127. So no weight changes by more
    than half its scale. A locally connected layer has outputs at each position.

    Args:
        tensors: name → float32 kernel in Keras's layout, `[..., inputs, outputs]`, or bias.
        form: "int8" or "float16", for the kernels. Biases stay float32.

    Raises:
        UsageError: the form is unknown.

    Example:
        >>> stored = pack({"conv1/kernel": np.float32([[[[0.5, 2]]]])}, "int8")
        >>> stored["conv1/kernel"].tolist(), stored["conv1/kernel_scale"].shape
        ([[[[127, 127]]]], (1, 1, 1, 2))
    """
    if form not in _FORMS:
        raise unknown_name("form", form, _FORMS)
    stored = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 1:
            stored[name] = tensor
        elif form == "float16":
            stored[name] = tensor.astype(np.float16)
        else:
            scale = _scales(tensor)
            stored[name] = np.rint(tensor / scale).astype(np.int8)
            stored[name + _SCALE] = scale
    return stored


def unpack(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the float32 tensors of what `pack` returned; those stored as float32 are not copied.

    Example:
        >>> stored = pack({"conv1/kernel": np.float32([[[[0.5, -2]]]])}, "int8")
        >>> unpack(stored)["conv1/kernel"].tolist()
        [[[[0.5, -2.0]]]]
    """
    tensors = {}
    for name, tensor in stored.items():
        if name.endswith(_SCALE):
            continue
        tensors[name] = tensor.astype(np.float32, copy=False)
        if tensor.dtype == np.int8:
            tensors[name] *= stored[name + _SCALE]
    return tensors


def _scales(kernel: np.ndarray) -> np.ndarray:
    # The axes of a window: height, width and inputs; of a dense kernel, its inputs.
    window = tuple(range(max(0, kernel.ndim - 4), kernel.ndim - 1))
    largest = np.abs(kernel).max(axis=window, keepdims=True)
    return np.where(largest > 0, largest / _LARGEST, 1).astype(np.float32)
