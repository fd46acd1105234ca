"""Decoded images in memory, as array and as tensor."""

import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError
from keras_alexnet.utils.pixels import message, wrong_scale


class ImageArray:
    """Decoded images in memory: uint8 `[n, height, width, 3]`, as array and as tensor.

    Raises:
        UsageError: they are not uint8.
    """

    def __init__(self, images: np.ndarray):
        if images.dtype != np.uint8:
            received = wrong_scale(images) or f"{images.dtype} {list(images.shape)}"
            raise UsageError(message("The images of a data set, uint8,", received))
        with tf.device("/CPU:0"):  # a GPU must not hold the data set
            self.tensor = tf.identity(images)  # tf.constant would hold the pixels twice
        self.images = np.asarray(memoryview(self.tensor))  # and .numpy() would copy them

    def __len__(self) -> int:
        return len(self.images)

    def name(self, row: int) -> str:
        return f"image {row}"
