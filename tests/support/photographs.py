"""Drawn images that resemble photographs more than noise does."""

import numpy as np
import tensorflow as tf


def photographs(count, size, seed=0):
    """Draws soft colors, edges and grain: uint8 `[count, size, size, 3]`."""
    generator = np.random.default_rng(seed)
    soft = generator.uniform(0, 255, (count, 5, 5, 3)).astype("float32")
    images = tf.image.resize(soft, [size, size], "bicubic").numpy()
    for image in images:
        for _ in range(6):
            top, left = generator.integers(0, size, 2)
            height, width = generator.integers(size // 8 + 1, size // 2 + 1, 2)
            image[top : top + height, left : left + width] += generator.uniform(-90, 90, 3)
    grain = generator.normal(0, 6, images.shape)
    return np.clip(images + grain, 0, 255).astype("uint8")


def top5(logits):
    return np.argsort(-np.asarray(logits), axis=-1, kind="stable")[:, :5].tolist()
