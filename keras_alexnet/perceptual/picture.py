"""A picture of two images and of where they differ."""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet.figures import drawing

_WIDTH, _HEIGHT = 10.0, 3.4  # inches


@drawing.style()
def save_map(
    path: str | os.PathLike,
    images: Sequence[tf.Tensor],
    names: Sequence[str],
    values: np.ndarray,
    distance: float,
) -> None:
    """Draws two images and the map of their distance side by side, with the map's scale.

    Args:
        path: PNG file to write.
        images: two images, uint8 `[height, width, 3]`.
        names: their names.
        values: the map, `[height, width]`, of the size of the first image.
        distance: the distance of the images.

    Example:
        >>> images = [tf.zeros([40, 50, 3], tf.uint8)] * 2
        >>> save_map("map.png", images, ("a.png", "b.png"), np.zeros([40, 50]), 0.0)
    """
    figure, axes = drawing.subplots(_WIDTH, _HEIGHT, columns=3)
    for axis, image, name in zip(axes, images, names, strict=False):
        drawing.show(axis, np.asarray(image), anchor="C")
        axis.set_title(os.path.basename(name))
    # A map of zeros has a scale, too.
    shown = drawing.show(
        axes[2], values, anchor="C", cmap="magma", vmin=0, vmax=max(values.max(), 1e-6)
    )
    axes[2].set_title(f"perceptual distance {distance:.4f}")
    figure.colorbar(shown, ax=axes[2], shrink=0.8)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    drawing.save(figure, path)
