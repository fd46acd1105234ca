"""Pictures put together pixel by pixel: images that are not resampled twice, text that fits."""

import functools
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from keras_alexnet.errors import UsageError
from keras_alexnet.utils import files

MARGIN = 12  # pixels around everything


BLACK, GRAY, RED = (0, 0, 0), (105, 105, 105), (190, 30, 30)


_LINE_HEIGHT = 1.3  # of the font's size


class Canvas:
    """A white picture to put images, bars and text on; places are (left, top) in pixels.

    Example:
        >>> canvas = Canvas(200, 50)
        >>> canvas.text(0, 0, canvas_lines("a very long name of a class", 80, 13, most=1), 13)
        17
        >>> canvas.save("picture.png")
    """

    def __init__(self, width: int, height: int):
        self._image = Image.new("RGB", (width, height), "white")
        self._draw = ImageDraw.Draw(self._image)

    def image(self, left: int, top: int, pixels: np.ndarray) -> None:
        """Puts uint8 `[height, width, 3]` there, pixel for pixel."""
        self._image.paste(Image.fromarray(np.ascontiguousarray(pixels)), (left, top))

    def rectangle(self, left: int, top: int, width: int, height: int, color) -> None:
        """Fills a rectangle; one without width is not seen."""
        if width > 0:
            self._draw.rectangle((left, top, left + width - 1, top + height - 1), fill=color)

    def text(
        self, left: int, top: int, lines: Sequence[str], size: int, *, color=BLACK, bold=False
    ) -> int:
        """Writes lines below one another, and returns how many pixels high they are."""
        for number, line in enumerate(lines):
            place = (left, top + round(number * size * _LINE_HEIGHT))
            self._draw.text(place, line, font=_font(size, bold), fill=color)
        return height_of(len(lines), size)

    def save(self, path: str | os.PathLike) -> None:
        """Writes a PNG, whole or not at all."""
        with files.atomic_write(path) as temporary:
            self._image.save(temporary, format="PNG", optimize=True)


def height_of(lines: int, size: int) -> int:
    """The height in pixels of so many lines of text.

    Example:
        >>> height_of(2, 10)
        26
    """
    return round(lines * size * _LINE_HEIGHT)


def text_width(text: str, size: int, bold: bool = False) -> int:
    """The width of a line in pixels."""
    return int(np.ceil(_font(size, bold).getlength(text)))


def canvas_lines(
    text: str, width: int, size: int, *, most: int = 2, bold: bool = False
) -> list[str]:
    """Breaks a text into lines of at most `width` pixels, and ends it by "…" after `most` of them.

    Example:
        >>> canvas_lines("golden retriever", 70, 13)
        ['golden', 'retriever']
    """
    lines, rest = [], " ".join(text.split())
    while rest and len(lines) < most:
        line, rest = _first_line(rest, width, size, bold, last=len(lines) == most - 1)
        lines.append(line)
    return lines


def _first_line(text: str, width: int, size: int, bold: bool, last: bool) -> tuple[str, str]:
    if text_width(text, size, bold) <= width:
        return text, ""
    tail = "…" if last else ""
    fitting = next(
        (
            n
            for n in range(len(text) - 1, 1, -1)
            if text_width(text[:n] + tail, size, bold) <= width
        ),
        1,
    )
    if last:
        return text[:fitting].rstrip(" ,") + tail, ""
    space = text.rfind(" ", 0, fitting + 1)
    # A word that is too long by itself is broken where the line ends.
    return (text[:space], text[space + 1 :]) if space > 0 else (text[:fitting], text[fitting:])


def fitted(pixels: np.ndarray, side: int) -> np.ndarray:
    """Enlarges an image by a whole factor, repeating pixels, or reduces it by the mean of areas.

    Args:
        pixels: uint8 `[height, width, 3]`.
        side: the longer side will not be longer than this, in pixels.

    Returns:
        uint8 `[h, w, 3]` in the same proportions.

    Example:
        >>> fitted(np.zeros([32, 24, 3], np.uint8), 100).shape
        (96, 72, 3)
    """
    height, width = pixels.shape[:2]
    factor = side // max(height, width)
    if factor >= 1:
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def check_png(path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of a picture that is to be written.

    Raises:
        UsageError: if its name does not end in .png.
    """
    if not path or pathlib.Path(path).suffix.lower() != ".png":
        raise UsageError(f"A picture is written to a file that ends in .png. Received: {path!r}.")
    return pathlib.Path(path)


@functools.cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    # matplotlib brings this font with it, so the pictures are the same on every machine.
    weight = "bold" if bold else "normal"
    found = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
    return ImageFont.truetype(found, size)
