"""Drawing with matplotlib: style, layouts of charts and images, and saving."""

import contextlib
import logging as std_logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import matplotlib.style
import numpy as np
from absl import logging
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from keras_alexnet.figures.captions import wrapped
from keras_alexnet.figures.fonts import advice, fonts, fonts_for, not_shown
from keras_alexnet.utils import files
from keras_alexnet.utils.text import is_printable, printable

DPI = 128  # a power of two, so that lengths in inches are exact in pixels
SMALL, NORMAL = 8, 10  # sizes of text in points
GRAY = "dimgray"  # for what is less important

_advised: set[str] = set()  # the fonts that a warning has named
_MARGIN = 0.1  # inches around everything
_NARROWEST = 4.5  # inches of a title's line

# The palette of Okabe and Ito, whose colors people with color blindness can tell apart; markers and
# dashes differ too.
_COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
_MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
_DASHES = ["-", "--", ":", "-."]


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Sets a style that is the same on every machine and never reads text as a formula.

    It is used as a decorator of functions that draw; the user's matplotlib settings are restored.
    """
    own = {
        "axes.prop_cycle": cycler(linestyle=_DASHES)
        * (cycler(color=_COLORS) + cycler(marker=_MARKERS)),
        "axes.titlesize": NORMAL,
        "axes.titleweight": "bold",
        "figure.titlesize": NORMAL,
        "figure.titleweight": "bold",
        "font.family": fonts(),
        "grid.alpha": 0.3,
        "font.size": SMALL + 1,
        "lines.markersize": 4,
        "text.parse_math": False,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
    }
    # matplotlib's own lines say that a font has no bold, and which glyphs are missing: `save` names
    # the texts.
    font_log = std_logging.getLogger("matplotlib.font_manager")
    level = font_log.level
    with warnings.catch_warnings(), matplotlib.style.context(["default", own]):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        font_log.setLevel(std_logging.ERROR)
        try:
            yield
        finally:
            font_log.setLevel(level)


def subplots(
    width: float, height: float, rows: int = 1, columns: int = 1
) -> tuple[Figure, np.ndarray]:
    """Makes a figure for charts with matplotlib's constrained layout.

    Args:
        width: width of the figure, in inches.
        height: height of the figure, in inches.
        rows: number of rows of axes.
        columns: number of columns of axes.

    Returns:
        The figure, and its axes, row by row in an array `[n]`.
    """
    figure = _figure(width, height, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def grid(
    widths: Sequence[float], heights: Sequence[float], gaps: tuple[float, float] = (0, 0)
) -> tuple[Figure, np.ndarray]:
    """Makes a figure for images, with axes of exactly these sizes, without frames and ticks.

    Titles and captions are placed around the axes, and `save` makes room for them. An image that
    is enlarged by a whole factor is drawn without resampling.

    Args:
        widths: widths of the columns, in inches.
        heights: heights of the rows, in inches.
        gaps: gaps between columns and between rows, in inches.

    Returns:
        The figure and its axes, `[rows, columns]`.
    """
    columns, rows = len(widths), len(heights)
    figure = _figure(
        sum(widths) + gaps[0] * (columns - 1), sum(heights) + gaps[1] * (rows - 1), layout=None
    )
    whole = {"left": 0, "right": 1, "bottom": 0, "top": 1}
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        width_ratios=widths,
        height_ratios=heights,
        gridspec_kw={
            **whole,
            "wspace": gaps[0] * columns / sum(widths),  # in units of the mean width
            "hspace": gaps[1] * rows / sum(heights),
        },
    )
    for each in axes.flat:
        each.set(xticks=[], yticks=[], frame_on=False)
    return figure, axes


def heading(
    figure: Figure, title: str, note: str = "", *, above: float = 0.1, below: float = 0.1
) -> None:
    """Writes a title above a `grid` and a note below it, at these distances in inches."""
    width, height = figure.get_size_inches()
    line = max(width, _NARROWEST)
    title = wrapped(title, line, NORMAL, lines=4, bold=True)
    figure.suptitle(title, x=0, y=1 + above / height, ha="left", va="bottom")
    if note:
        note = wrapped(note, line, SMALL, lines=4)
        figure.text(0, -below / height, note, va="top", size=SMALL, color=GRAY)


def line_height(lines: int = 1, size: float = SMALL) -> float:
    """Returns the height of lines of text in inches.

    Example:
        >>> line_height(3, 10)
        0.5
    """
    return 1.2 * size * lines / 72


def enlargement(side: int, room: int) -> int:
    """Returns the largest whole factor, at least 1, with which `side` fits into `room` pixels.

    Example:
        >>> enlargement(32, 128), enlargement(227, 128)
        (4, 1)
    """
    return max(1, room // side)


def thumbnail(side: int) -> tuple[float, str]:
    """Returns the size at which a square image of `side` pixels is drawn.

    Returns:
        The size in inches, at most 1, and a sentence on the enlargement, if there is one.

    Example:
        >>> thumbnail(64), thumbnail(227)
        ((1.0, 'Every pixel is drawn 2 × 2.'), (1.0, ''))
    """
    factor = enlargement(side, DPI)
    sentence = f"Every pixel is drawn {factor} × {factor}." if factor > 1 else ""
    return min(side * factor, DPI) / DPI, sentence


def show(axes: Axes, pixels: np.ndarray, *, anchor: str = "NW", **options: Any) -> AxesImage:
    """Shows an image at the top left of the axes, with sharp pixels if it is enlarged."""
    axes.set_anchor(anchor)
    # matplotlib's "antialiased" repeats pixels to enlarge by a whole factor or by more than 3.
    return axes.imshow(pixels, interpolation="antialiased", **options)


def mosaic(cells: np.ndarray, columns: int, *, factor: int, gap: int, fill: float) -> np.ndarray:
    """Arranges images in a grid, row by row.

    Args:
        cells: `[n, height, width, ...]`.
        columns: number of images in a row.
        factor: how often each pixel is repeated in both directions.
        gap: number of pixels between two images.
        fill: the value of gaps, and of empty places in the last row.

    Returns:
        One image, `[height, width, ...]`.

    Example:
        >>> mosaic(np.ones([3, 1, 1], int), 2, factor=1, gap=1, fill=0)
        array([[1, 0, 1],
               [0, 0, 0],
               [1, 0, 0]])
    """
    cells = cells.repeat(factor, axis=1).repeat(factor, axis=2)
    number, height, width, *rest = cells.shape
    rows = math.ceil(number / columns)
    sheet = np.full([rows * columns, height + gap, width + gap, *rest], fill, cells.dtype)
    sheet[:number, :height, :width] = cells
    sheet = sheet.reshape(rows, columns, *sheet.shape[1:]).swapaxes(1, 2)
    whole = sheet.reshape(rows * (height + gap), columns * (width + gap), *rest)
    return whole[: whole.shape[0] - gap, : whole.shape[1] - gap]


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Writes a figure, with everything around its axes, to a PNG, completely or not at all.

    Control characters, and bytes that are not UTF-8, are drawn escaped: matplotlib would fail. One
    warning for each kind of font that lacks lists the texts that no installed font can show.
    """
    for text in figure.findobj(Text):
        lines = text.get_text().split("\n")
        if not all(map(is_printable, lines)):
            text.set_text("\n".join(map(printable, lines)))
        if (family := fonts_for(text.get_text())) != fonts():
            text.set_fontfamily(family)
    figure.draw_without_rendering()  # computes the layout, and with it the size of everything
    box = figure.get_tightbbox().padded(_MARGIN)
    whole_pixels = Bbox(np.round(box.get_points() * DPI) / DPI)
    with files.atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=DPI, bbox_inches=whole_pixels)
    texts = dict.fromkeys(text.get_text() for text in figure.findobj(Text))
    missing = not_shown(texts)
    if not _advised.issuperset(advised := advice(missing)):
        _advised.update(advised)  # a run draws the same names in several pictures
        logging.warning(
            "%s: no installed font has all characters of: %s. Install %s, and draw the picture "
            "again.",
            *(path, "; ".join(text.replace("\n", " ") for text in missing), " and ".join(advised)),
        )


def _figure(width: float, height: float, layout: Literal["constrained"] | None) -> Figure:
    # Made without pyplot, which would keep every figure and choose a window system.
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure
