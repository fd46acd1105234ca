"""What a layer makes of an image: a grid of its maps, or its units as bars or as heat."""

import math
import os

import keras
import matplotlib
import numpy as np

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.figures import plots, subjects
from keras_alexnet.figures.canvas import (
    GRAY,
    MARGIN,
    Canvas,
    canvas_lines,
    check_png,
    fitted,
    height_of,
    text_width,
)

SCALES = ("each", "joint")


_IMAGE, _GAP, _SIZE = 192, 3, 13


_CELL, _SMALL_CELL, _MANY_MAPS = 72, 56, 128


_HEAT_SIDE, _LARGEST_HEAT_CELL = 640, 24


_MOST_BARS = 40


_BACKGROUND = (225, 225, 225)  # neither end of a scale, so that maps are told from what is between


def activations(
    where: str | os.PathLike | keras.Model,
    out: str | os.PathLike,
    image,
    layer: str,
    *,
    scale: str = "each",
    variant: str | None = None,
) -> np.ndarray:
    """Draws an image and the activations of a layer for it to a PNG.

    Maps stand in a grid in the order of the channels; up to 40 units are drawn as bars, more as
    a square of heat, row by row. Values below 0 are blue and values above 0 red, where there are
    both; else black is 0 and white the largest.

    Args:
        where: a run's folder, a `.keras` file, or a model that `build` made.
        out: the picture.
        image: the path of an image, encoded bytes, or uint8 pixels `[H, W, 3]`.
        layer: the name of a layer.
        scale: "each": each map on a scale of its own, up to its largest value; "joint": all maps
            on one scale.
        variant: the network, where neither a config.json nor the model's name tells it.

    Returns:
        The activations, float32 `[height, width, channels]` or `[units]`.

    Raises:
        UsageError: for an unknown layer, with the names of all, or an argument that cannot be
            used.
        UserError: if there is no such network, or the image cannot be read.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", seed=0)
        >>> activations(model, "conv2.png", np.zeros([40, 50, 3], np.uint8), "conv2").shape
        (9, 9, 64)
    """
    out = check_png(out)
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    looked = subjects.network(where, variant)
    names = [each.name for each in looked.model.layers]
    if layer not in names:
        raise unknown_name("layer", layer, names)
    name, pixels = subjects.view_of(image, looked.plan)
    output = looked.model.get_layer(layer).output
    [values] = subjects.compiled(looked.model, output)(pixels[None])
    title = f"{looked.model.name}, {layer}, of {os.path.basename(name)}"
    if values.ndim == 3:
        height, width, maps = values.shape
        title += f": {maps} maps of {height} × {width}"
        cell = _CELL if maps <= _MANY_MAPS else _SMALL_CELL
        cells = [fitted(picture, cell) for picture in colored(values, scale)]
        _draw(out, pixels, cells, values, title, scale)
    elif values.ndim != 1:
        raise UsageError(f"{layer} has neither maps nor units: its output is {values.shape}.")
    elif len(values) <= _MOST_BARS:
        _draw_bars(out, pixels, values, looked.labels if layer == "logits" else None, title)
    else:
        cells = _heat(values)
        _draw(out, pixels, cells, values, f"{title}: {len(values):,} units, row by row", "joint")
    return values


def colored(values: np.ndarray, scale: str) -> np.ndarray:
    """Maps `[height, width, channels]` → pictures, uint8 `[channels, height, width, 3]`.

    Example:
        >>> colored(np.float32([[[0.0, 1.0]]]), "joint").ravel()
        array([  0,   0,   0, 255, 255, 255], dtype=uint8)
    """
    maps = np.moveaxis(values, -1, 0)
    axes = (1, 2) if scale == "each" else None
    largest = np.abs(maps).max(axis=axes, keepdims=True)
    shares = maps / np.where(largest > 0, largest, 1)
    if _signed(values):
        shares = (shares + 1) / 2
    elif values.min() < 0:
        shares = -shares
    return matplotlib.colormaps[_colors(values)](shares, bytes=True)[..., :3]


def _signed(values: np.ndarray) -> bool:
    return values.min() < 0 < values.max()


def _colors(values: np.ndarray) -> str:
    return "RdBu_r" if _signed(values) else "gray"


def _heat(values: np.ndarray) -> list[np.ndarray]:
    """Units → one cell of as many squares, the rest of its last row in the background's gray."""
    columns = math.ceil(math.sqrt(len(values)))
    rows = math.ceil(len(values) / columns)
    picture = np.full([rows * columns, 3], _BACKGROUND, np.uint8)
    picture[: len(values)] = colored(values[:, None, None], "joint")[0, :, 0]
    return [
        fitted(picture.reshape(rows, columns, 3), min(_HEAT_SIDE, columns * _LARGEST_HEAT_CELL))
    ]


def _draw(out, pixels, cells: list[np.ndarray], values, title: str, scale: str) -> None:
    height, width = cells[0].shape[:2]
    columns = min(len(cells), 16 if len(cells) > 32 else 8)
    rows = math.ceil(len(cells) / columns)
    grid = columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP
    titles = canvas_lines(title, _IMAGE + 2 * MARGIN + grid[0], _SIZE, bold=True)
    above = MARGIN + height_of(len(titles), _SIZE) + 8
    aside = fitted(pixels, _IMAGE)
    scale_top = above + aside.shape[0] + 16
    total = max(above + grid[1], scale_top + 50) + MARGIN
    canvas = Canvas(_IMAGE + 3 * MARGIN + grid[0], total)
    canvas.text(MARGIN, MARGIN, titles, _SIZE, bold=True)
    canvas.image(MARGIN, above, aside)
    _draw_scale(canvas, scale_top, values, scale)
    left = _IMAGE + 2 * MARGIN
    canvas.rectangle(left, above, *grid, _BACKGROUND)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        canvas.image(
            left + _GAP + column * (width + _GAP), above + _GAP + row * (height + _GAP), cell
        )
    canvas.save(out)


def _draw_scale(canvas: Canvas, top: int, values: np.ndarray, scale: str) -> None:
    strip = matplotlib.colormaps[_colors(values)](np.linspace(0, 1, _IMAGE), bytes=True)[:, :3]
    canvas.image(MARGIN, top, np.broadcast_to(strip, [14, _IMAGE, 3]))
    largest = float(values.flat[np.abs(values).argmax()])
    ends = ("0", f"{largest:.3g}")
    if _signed(values):
        ends = (f"{-abs(largest):.3g}", f"{abs(largest):.3g}")
    if scale == "each":
        ends = ("− largest" if _signed(values) else "0", "largest of the map")
    canvas.text(MARGIN, top + 18, [ends[0]], _SIZE - 2, color=GRAY)
    right = MARGIN + _IMAGE - text_width(ends[1], _SIZE - 2)
    canvas.text(right, top + 18, [ends[1]], _SIZE - 2, color=GRAY)


def _draw_bars(out, pixels, values: np.ndarray, labels, title: str) -> None:
    figure, (picture, bars) = plots.subplots(9, max(3, 1 + 0.25 * len(values)), columns=2)
    picture.imshow(pixels, interpolation="nearest")
    picture.set(xticks=[], yticks=[])
    names = labels or [str(unit) for unit in range(len(values))]
    places = range(len(values))
    drawn = bars.barh(places, values, color=np.where(values < 0, "tab:blue", "tab:red"))
    bars.set_yticks(
        places,
        ["\n".join(canvas_lines(subjects.caption(name), 170, _SIZE, most=1)) for name in names],
    )
    for label in bars.get_yticklabels():
        label.set_parse_math(False)
    bars.bar_label(drawn, fmt="%.3g", padding=2)
    bars.margins(x=0.25)
    bars.axvline(0, color="black", lw=0.8)
    bars.invert_yaxis()
    bars.set(xlabel="activation")
    figure.suptitle(title, parse_math=False)
    plots.save(figure, out)
