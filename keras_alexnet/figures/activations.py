"""A layer's activations for an image: maps in a grid, or units as bars or squares."""

import math
import os
import pathlib
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from keras_alexnet.distributed.precision_choice import AUTO
from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.figures import drawing, subjects
from keras_alexnet.figures.captions import caption, wrapped

SCALES = ("each", "joint")

_IMAGE, _GAP = 192, 3  # pixels
_CELLS = {8: 144, 128: 72, math.inf: 56}  # largest number of maps: pixels of each
_WIDEST = 1200  # pixels of all maps in a row
_SQUARES, _LARGEST_SQUARE = 640, 24  # pixels of all units together, and of one
_MOST_BARS = 40
_BACKGROUND = "#e1e1e1"  # not at the end of a scale, so that maps differ from it


def activations(
    model: subjects.Model,
    image: object,
    layer: str,
    out: str | os.PathLike,
    *,
    scale: str = "each",
    precision: str = AUTO,
    variant: str | None = None,
) -> np.ndarray:
    """Draws an image and the activations of a layer for it to a PNG.

    Maps are drawn in a grid in the order of the channels; up to 40 units are drawn as bars, and
    more as squares, row by row. If there are both signs, values below 0 are blue and values above
    0 are red; if not, black is 0 and white is the largest value.

    Args:
        model: a run's folder, a `.keras` file, the name of weights or of their network,
            or a model that `build` made.
        image: the path of an image, encoded bytes, or uint8 pixels `[H, W, 3]`.
        layer: the name of a layer.
        out: the picture to write.
        scale: "each" draws each map on its own scale, up to its largest value; "joint" draws all
            maps on one scale.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16".
        variant: name of the network, if neither config.json nor the model's name says it.

    Returns:
        The activations, float32 `[height, width, channels]` or `[units]`.

    Raises:
        UsageError: for an unknown layer, or another argument that cannot be used.
        UserError: if there is no such network, or the image cannot be read.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", seed=0)
        >>> activations(model, np.zeros([40, 50, 3], np.uint8), "conv2", "conv2.png").shape
        (9, 9, 64)
    """
    out = subjects.png_path(out)
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    network = subjects.network(model, variant, precision)
    names = [each.name for each in network.model.layers]
    if layer not in names:
        raise unknown_name("layer", layer, names)
    name, pixels = subjects.view_of(image, network.plan)
    output = network.model.get_layer(layer).output
    [values] = subjects.compiled(network.model, output)(pixels[None])
    title = f"{network.model.name}, {layer}, of {os.path.basename(name)}"
    if values.ndim == 3:
        height, width, maps = values.shape
        title += f": {maps} maps of {height} × {width}"
        _draw_maps(out, pixels, values, scale, title)
    elif values.ndim != 1:
        raise UsageError(f"{layer} has neither maps nor units: its output is {values.shape}.")
    elif len(values) <= _MOST_BARS:
        labels = network.labels if layer == "logits" else [str(i) for i in range(len(values))]
        _draw_bars(out, pixels, values, labels, title)
    else:
        _draw_units(out, pixels, values, f"{title}: {len(values):,} units, row by row")
    return values


def scaled(values: np.ndarray, scale: str) -> tuple[np.ndarray, float, float]:
    """Puts maps on a scale.

    Args:
        values: float `[height, width, channels]`.
        scale: "each" divides each map by its largest absolute value.

    Returns:
        The maps, `[channels, height, width]`, and the ends of their scale: 0 and the value furthest
        from 0 or, if there are both signs, that value and its opposite.

    Example:
        >>> scaled(np.array([[[0.0, 4.0]], [[1.0, 2.0]]]), "each")[0].tolist()
        [[[0.0], [1.0]], [[1.0], [0.5]]]
    """
    maps = np.moveaxis(values, -1, 0)
    if scale == "each":
        largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
        maps = maps / np.where(largest > 0, largest, 1)
    low, high = min(float(maps.min()), 0.0), max(float(maps.max()), 0.0)
    if low < 0 < high:
        low, high = -max(-low, high), max(-low, high)
    return maps, low + 0.0, high if high > low else 1.0  # -0.0, of some ReLUs, is 0 too


def _draw_maps(
    out: pathlib.Path, pixels: np.ndarray, values: np.ndarray, scale: str, title: str
) -> None:
    maps, low, high = scaled(values, scale)
    number, *sides = maps.shape
    room = next(pixels for most, pixels in _CELLS.items() if number <= most)
    factor = drawing.enlargement(max(sides), room)
    columns = min(number, 16 if number > 32 else 8)
    columns = max(1, min(columns, _WIDEST // (sides[1] * factor + _GAP)))
    ends = [f"{low:.3g}", f"{high:.3g}"]
    if scale == "each":
        both = low < 0 < high
        ends = ["−largest" if low < 0 else "0", "largest" if both else "largest of the map"]
    sheet = drawing.mosaic(maps, columns, factor=factor, gap=_GAP, fill=np.nan)
    _draw_beside(out, pixels, sheet, (low, high), ends, title)


def _draw_units(out: pathlib.Path, pixels: np.ndarray, values: np.ndarray, title: str) -> None:
    units, low, high = scaled(values[None, None], "joint")
    columns = math.ceil(math.sqrt(len(values)))
    factor = min(drawing.enlargement(columns, _SQUARES), _LARGEST_SQUARE)
    sheet = drawing.mosaic(units, columns, factor=factor, gap=0, fill=np.nan)
    _draw_beside(out, pixels, sheet, (low, high), [f"{low:.3g}", f"{high:.3g}"], title)


@drawing.style()
def _draw_beside(
    out: pathlib.Path,
    pixels: np.ndarray,
    sheet: np.ndarray,
    limits: tuple[float, float],
    ends: Sequence[str],
    title: str,
) -> None:
    """Draws the image with the scale below it, and the activations beside it."""
    sheet = np.pad(sheet, _GAP, constant_values=np.nan)
    height, width = (side / drawing.DPI for side in sheet.shape)
    image = _IMAGE / drawing.DPI
    figure, axes = drawing.grid([image, width], [max(image, height)], gaps=(0.12, 0))
    drawing.show(axes[0, 0], pixels)
    low, high = limits
    colors = "RdBu_r" if low < 0 < high else "gray" if high > 0 else "gray_r"
    colored = matplotlib.colormaps[colors].with_extremes(bad=_BACKGROUND)
    shown = drawing.show(axes[0, 1], sheet, cmap=colored, vmin=low, vmax=high)
    _draw_scale(figure, axes[0, 0], shown, limits, ends)
    drawing.heading(figure, title)
    drawing.save(figure, out)


def _draw_scale(
    figure: Figure, image: Axes, shown: AxesImage, limits: Sequence[float], ends: Sequence[str]
) -> None:
    below = image.inset_axes((0, -0.17, 1, 0.08))
    bar = figure.colorbar(shown, cax=below, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.set_ticks(limits, labels=ends, color=drawing.GRAY)
    below.tick_params(length=0)
    first, last = below.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")


@drawing.style()
def _draw_bars(
    out: pathlib.Path, pixels: np.ndarray, values: np.ndarray, labels: Sequence[str], title: str
) -> None:
    figure, (picture, bars) = drawing.subplots(9, max(3, 1 + 0.25 * len(values)), columns=2)
    drawing.show(picture, pixels)
    picture.set(xticks=[], yticks=[], frame_on=False)
    places = range(len(values))
    drawn = bars.barh(places, values, color=np.where(values < 0, "#2166ac", "#b2182b"))
    names = [wrapped(caption(name), 1.5, drawing.SMALL, lines=1) for name in labels]
    bars.set_yticks(places, names)
    bars.bar_label(drawn, fmt="%.3g", padding=2, size=drawing.SMALL)
    bars.margins(x=0.25, y=0.02)
    bars.axvline(0, color="black", lw=0.8)
    bars.invert_yaxis()
    bars.set(xlabel="activation")
    figure.suptitle(wrapped(title, 9, drawing.NORMAL, bold=True))
    drawing.save(figure, out)
