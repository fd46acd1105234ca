"""Pictures of the benchmark of scale: memory and seconds over what grows, with straight lines."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from keras_alexnet.benchmarks.scale_lines import MEMORY, STEP, Axis, line_of
from keras_alexnet.figures import drawing


@drawing.style()
def draw(path: str | os.PathLike, axis: Axis, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draws the points of one axis to a PNG.

    Args:
        path: the picture to write.
        axis: what grows.
        rows: the rows of the benchmark's table on this axis, of all networks.
    """
    figure, plots = drawing.subplots(9, 3.5, columns=2)
    for axes, column in zip(plots, (MEMORY, STEP), strict=True):
        for color, network in enumerate(dict.fromkeys(row["network"] for row in rows)):
            points = [row for row in rows if row["network"] == network]
            _draw_points(axes, axis, column, points, network, f"C{color}")
        # Margins are of the range of the points, which is small above 0.
        axes.set(xlabel=axis.title, ylabel=column, ylim=(0, 1.05 * axes.get_ylim()[1]))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
        for each in (axes.xaxis, axes.yaxis):
            each.set_major_formatter(ticker.StrMethodFormatter("{x:,.10g}"))
        _mark_failed(axes, [row["value"] for row in rows if row["note"]])
        axes.grid()
    plots[0].legend(loc="lower right")
    figure.suptitle(f"Training over {axis.title}: measured points, fitted lines")
    drawing.save(figure, path)


def _mark_failed(axes: Axes, values: Sequence[int]) -> None:
    """Marks the places of points that could not be measured, with a cross on the axis."""
    if values:
        label = "could not be measured"
        axes.plot(values, [0] * len(values), "x", color="0.4", label=label, clip_on=False)


def _draw_points(
    axes: Axes,
    axis: Axis,
    column: str,
    rows: Sequence[Mapping[str, Any]],
    label: str,
    color: str,
) -> None:
    known = [row for row in rows if row[column] is not None]
    values = [row["value"] for row in known]
    axes.plot(values, [row[column] for row in known], ls="", color=color, label=label)
    line = line_of(rows, axis, column)
    if line is not None:
        along = np.linspace(min(values), max(values), 100)
        axes.plot(
            along, [line.start + line.slope * axis.x(v) for v in along], "-", marker="", color=color
        )
