"""Straight lines through the points of the benchmark of scale, and what they are over."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

MEMORY, STEP = "memory in MB", "seconds a step"
CPU, FIRST = "CPU seconds a step", "seconds to the first step"

_STRAIGHT = 0.1  # a point may be off the line by this share of the largest


@dataclasses.dataclass(frozen=True)
class Axis:
    """What grows: a field of `Settings`, the field of a `Point`, and what a line is fitted to.

    Attributes:
        field: of `Point`.
        title: what pictures and sentences call it.
        unit: of `x`.
        x: value → what memory and seconds should be linear in.
    """

    field: str
    title: str
    unit: str
    x: Callable[[float], float] = float


AXES = {
    "batch_sizes": Axis("batch_size", "batch size", "image"),
    "image_sizes": Axis("image_size", "image size", "thousand pixels", lambda side: side**2 / 1000),
    "classes": Axis("classes", "number of classes", "class"),
    "images": Axis("listed", "number of listed images", "image"),
    "workers": Axis("workers", "number of workers", "worker"),
}


@dataclasses.dataclass(frozen=True)
class Line:
    """A straight line through points: y = start + slope * x.

    `deviation` is the largest distance of a point from it, over the largest y.
    """

    start: float
    slope: float
    deviation: float

    @classmethod
    def through(cls, x: Sequence[float], y: Sequence[float]) -> "Line":
        """Fits a line by least squares.

        Example:
            >>> Line.through([1, 2, 3], [3, 5, 7]).deviation < 1e-9
            True
        """
        slope, start = np.polyfit(x, y, 1).tolist()
        distances = np.abs(np.array(y) - start - slope * np.array(x))
        return cls(start, slope, float(distances.max() / np.max(y)))

    @property
    def is_straight(self) -> bool:
        """Whether the points are near it."""
        return self.deviation <= _STRAIGHT


def line_of(rows: Sequence[Mapping[str, Any]], axis: Axis, column: str) -> Line | None:
    """Returns the line through the points of one network on one axis; None for fewer than 3."""
    points = [(axis.x(row["value"]), row[column]) for row in rows if row[column] is not None]
    if len({x for x, _ in points}) < 3:
        return None
    return Line.through(*zip(*points, strict=True))
