"""Squares of resized images by Pillow, which computes of them little more than is wanted."""

import math
from typing import NamedTuple

import numpy as np

LONGEST = 4  # times the short side: of longer images, Pillow would compute much that is cut off

_EXACT = 2**24  # whole numbers up to here are float32, as Pillow's boxes are


class _Axis(NamedTuple):
    """What Pillow is to compute of one axis.

    Attributes:
        first, end: the pixels of the image that are read.
        low, high: what is resized, counted from `first`.
        computed: the number of pixels that it becomes.
        skipped: those of them that are before the wanted ones.
    """

    first: int
    end: int
    low: float
    high: float
    computed: int
    skipped: int


def cut(
    image: np.ndarray,
    resized: tuple[int, int],
    corner: tuple[int, int],
    size: int,
    mirrored: bool = False,
) -> np.ndarray:
    """Resizes an image by Pillow's bilinear filter, and cuts a square out of the result.

    Args:
        image: uint8 `[height, width, 3]`.
        resized: height and width of the whole image after resizing.
        corner: top and left of the square in it.
        size: side of the square.
        mirrored: whether the square is mirrored.

    Returns:
        uint8 `[size, size, 3]`, the same as of the whole resized image to the last bit.

    Example:
        >>> cut(np.zeros([40, 50, 3], np.uint8), (32, 40), (0, 4), 32).shape
        (32, 32, 3)
    """
    from PIL import Image  # not every network needs it

    rows, columns = (
        _axis(*sides, size) for sides in zip(image.shape[:2], resized, corner, strict=True)
    )
    picture = Image.fromarray(image[rows.first : rows.end])
    # One axis after the other, as Pillow does, so that nothing is computed of other columns.
    across = columns.first + columns.low, 0, columns.first + columns.high, picture.height
    picture = picture.resize((columns.computed, picture.height), Image.Resampling.BILINEAR, across)
    if columns.computed != size:
        picture = picture.crop((columns.skipped, 0, columns.skipped + size, picture.height))
    down = 0, rows.low, size, rows.high
    picture = picture.resize((size, rows.computed), Image.Resampling.BILINEAR, down)
    if rows.computed != size:
        picture = picture.crop((0, rows.skipped, size, rows.skipped + size))
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(picture)


def _axis(side: int, resized: int, start: int, size: int) -> _Axis:
    """Returns what to compute for pixels `start` to `start + size` of an axis after resizing.

    Pillow takes the places of its pixels from the edges of its box. If these are whole multiples
    of a power of two, the places in a part of the image are those in the whole, without rounding.
    """
    steps = resized // math.gcd(side, resized)
    if steps & (steps - 1) or side * steps >= _EXACT:
        return _Axis(0, side, 0, side, resized, start)
    scale = side / resized
    reach = max(scale, 1) + 0.5
    first = max(0, int((start + 0.5) * scale - reach))
    end = min(side, math.ceil((start + size - 0.5) * scale + reach))
    return _Axis(first, end, start * scale - first, (start + size) * scale - first, size, 0)
