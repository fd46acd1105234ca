"""Reads the pickles of CIFAR's python version without Python's unpickler."""

import pickle
from typing import Any

import numpy as np

from keras_alexnet.utils.pickled_arrays import ArrayMachine, to_numpy


def load(contents: bytes) -> dict:
    """Reads a batch, or the names of the classes.

    Args:
        contents: the bytes of the file.

    Returns:
        A dictionary; keys and strings are bytes if Python 2 wrote them. `pixels` reads its array.

    Raises:
        Exception: of many kinds, if the file is damaged or is not from CIFAR.

    Example:
        >>> load(pickle.dumps({b"labels": [3, 1]}))
        {b'labels': [3, 1]}
    """
    loaded = ArrayMachine().load(contents)
    if not isinstance(loaded, dict):
        raise pickle.UnpicklingError("it does not hold a dictionary")
    return loaded


def pixels(pickled: Any) -> np.ndarray:
    """Returns the array in a batch: uint8 `[images, 3072]`.

    Raises:
        ValueError: if it is not such an array.
    """
    found = to_numpy(pickled)
    if found.dtype != np.uint8 or found.ndim != 2:
        raise ValueError("its images are not an array of bytes")
    return found
