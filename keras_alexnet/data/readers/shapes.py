"""The built-in data set "shapes", drawn by `keras_alexnet.data.drawings`."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from keras_alexnet.data.readers import Reader, register

if TYPE_CHECKING:
    from keras_alexnet.data.dataset import Arrays


def read(place: pathlib.Path | None) -> Arrays:
    """Draws the data set; it is always the same one."""
    from keras_alexnet.data import drawings
    from keras_alexnet.data.dataset import Arrays

    return Arrays(drawings.CLASSES, *drawings.make())


register(Reader(dataset="shapes", read=read))
