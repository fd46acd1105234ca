"""The filters of the first convolution as pictures: the paper's Figure 3."""

import os
import pathlib

import keras
import numpy as np

from keras_alexnet.errors import UserError, unknown_name
from keras_alexnet.figures import drawing, subjects
from keras_alexnet.utils import finite
from keras_alexnet.weights.model_files import read_keras

SCALES = {
    "each": "each filter scaled by its own largest weight",
    "joint": "all filters scaled by the largest weight of all",
}

_CELL, _GAP = 44, 4  # pixels


def filters(model: subjects.Model, out: str | os.PathLike, *, scale: str = "each") -> np.ndarray:
    """Draws the filters of a network's first convolution to a PNG; the weight 0 is gray.

    If later convolutions have groups, the network's towers are drawn one below the other.

    Args:
        model: a run's folder, a `.keras` file, the name of weights or of their network,
            or a model.
        out: the picture to write.
        scale: "each" scales each filter by its own largest absolute weight; "joint" scales all of
            them by the largest of all.

    Returns:
        The filters as RGB, also for networks whose first convolution reads BGR: uint8
        `[filters, height, width, 3]`, `round(127.5 + 127.5 * weight / largest)`.

    Raises:
        UsageError: for an unknown scale, or a picture that is not a PNG.
        UserError: if there is no such network, or its first convolution does not read colors.

    Example:
        >>> filters(keras_alexnet.build("alexnet_two_tower", seed=0), "filters.png").shape
        (96, 11, 11, 3)
    """
    out = subjects.png_path(out)
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    if not isinstance(model, keras.Model):
        model = read_keras(model)
    layer = _first_convolution(model)
    kernel = rgb_kernel(model, layer)
    finite.check_weights(model.name, [(f"{layer.name}/kernel", kernel)])
    pictures = scaled(kernel, scale)
    count, height, width, _ = pictures.shape
    title = f"{model.name}, {layer.name}: {count} filters of {height} × {width}"
    _draw(out, pictures, _towers(model, count), title, f"Gray is 0; {SCALES[scale]}.")
    return pictures


def rgb_kernel(model: keras.Model, layer: keras.layers.Layer) -> np.ndarray:
    """Returns the kernel of a layer that reads pixels, with its input channels in RGB order.

    Returns:
        float32 `[height, width, 3, filters]`.

    Raises:
        UserError: if the layers before it mix the colors.
    """
    before = keras.Model(model.inputs[0], layer.input)
    shape = [size or 1 for size in model.inputs[0].shape[1:]]
    colors = np.concatenate([np.zeros([1, 3]), np.eye(3)])[:, None, None, :]
    # Running the network shows which channel belongs to which color, whatever reorders them.
    answers = np.asarray(before(np.float32(255 * colors * np.ones([4, *shape])), training=False))
    changes = np.abs(answers[1:] - answers[:1]).max(axis=(1, 2)) > 0
    if not np.array_equal(np.sort(changes.argmax(axis=1)), [0, 1, 2]) or changes.sum() != 3:
        raise UserError(f"{layer.name} does not read red, green and blue in one channel each.")
    return keras.ops.convert_to_numpy(layer.kernel)[:, :, changes.argmax(axis=1), :]


def scaled(kernel: np.ndarray, scale: str) -> np.ndarray:
    """Returns weights as colors.

    Args:
        kernel: float `[height, width, 3, filters]`.
        scale: as in `filters`.

    Returns:
        uint8 `[filters, height, width, 3]`.

    Example:
        >>> scaled(np.full([1, 1, 3, 2], [1.0, -2.0]), "joint").ravel()
        array([191, 191, 191,   0,   0,   0], dtype=uint8)
    """
    weights = np.moveaxis(np.asarray(kernel, np.float64), -1, 0)
    axes = (1, 2, 3) if scale == "each" else None
    largest = np.abs(weights).max(axis=axes, keepdims=True)
    return np.round(127.5 + 127.5 * weights / np.where(largest > 0, largest, 1)).astype(np.uint8)


def _first_convolution(model: keras.Model) -> keras.layers.Layer:
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel.shape[2] == 3:
            return layer
    raise UserError(
        "The network has no convolution that reads three colors. Its layers: "
        f"{', '.join(layer.name for layer in model.layers)}."
    )


def _towers(model: keras.Model, count: int) -> int:
    groups = [layer.groups for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    return next((number for number in groups if number > 1 and count % number == 0), 1)


@drawing.style()
def _draw(out: pathlib.Path, pictures: np.ndarray, towers: int, title: str, note: str) -> None:
    in_tower = len(pictures) // towers
    columns = min(in_tower, 16 if in_tower > 32 else 8)
    factor = drawing.enlargement(max(pictures.shape[1:3]), _CELL)
    sheets = [
        drawing.mosaic(of_tower, columns, factor=factor, gap=_GAP, fill=255)
        for of_tower in np.split(pictures, towers)
    ]
    height, width, _ = sheets[0].shape
    figure, axes = drawing.grid(
        [width / drawing.DPI], [height / drawing.DPI] * towers, gaps=(0, 0.3)
    )
    for number, sheet in enumerate(sheets):
        drawing.show(axes[number, 0], sheet)
        if towers > 1:
            axes[number, 0].set_title(
                f"tower {number + 1}", loc="left", size=drawing.SMALL, weight="normal"
            )
    drawing.heading(figure, title, note, above=0.3 if towers > 1 else 0.1)
    drawing.save(figure, out)
