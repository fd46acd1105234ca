"""The picture of a study: errors of all versions, and differences beside the paper's."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from keras_alexnet.ablation.paper import CLAIMS, TEN_VIEWS
from keras_alexnet.ablation.runs import MANY_VIEWS
from keras_alexnet.ablation.table import ONE_VIEW
from keras_alexnet.ablation.versions import Version
from keras_alexnet.figures import drawing
from keras_alexnet.figures.captions import wrapped

_MANY = f"_{MANY_VIEWS}_views"
_VIEWS = {"": ("one view", -0.14), _MANY: (f"{MANY_VIEWS} views", 0.14)}
_NAME_WIDTH = 1.9  # inches of a version's name
_ROW_HEIGHT = 0.42  # inches


@drawing.style()
def draw(
    out: str | os.PathLike,
    rows: Sequence[Mapping[str, Any]],
    versions: Sequence[Version],
    outcomes: Mapping[str, Sequence[Mapping[str, Any]]],
    title: str,
) -> None:
    """Draws the table of a study to a PNG.

    Args:
        out: the picture to write.
        rows: what `table.rows_of` returned.
        versions: the versions.
        outcomes: name of a version → the outcomes of its runs, which are drawn as dots.
        title: the title above the picture.
    """
    figure, (errors, differences) = drawing.subplots(9, 1.6 + _ROW_HEIGHT * len(rows), columns=2)
    places = {row["version"]: place for place, row in enumerate(rows)}
    for color, (ending, (label, shift)) in enumerate(_VIEWS.items()):
        _draw_errors(errors, rows, outcomes, ending, label, shift, f"C{color}")
        _draw_differences(differences, rows, ending, label, shift, f"C{color}")
    claims = {version.name: version.claim for version in versions} | {ONE_VIEW: CLAIMS[TEN_VIEWS]}
    said = [
        (points, place)
        for name, place in places.items()
        if (claim := claims.get(name)) is not None
        for points in claim.points
    ]
    if said:
        style: dict[str, Any] = {"ls": "", "marker": "D", "ms": 7, "mfc": "none", "mec": "black"}
        differences.plot(*zip(*said, strict=True), label="the paper", **style)
    names = [wrapped(name, _NAME_WIDTH, drawing.SMALL, lines=2) for name in places]
    for axes in (errors, differences):
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid()
    differences.tick_params(labelleft=False)
    differences.axvline(0, color="black", lw=1)
    errors.set(xlabel="top-1 error, %: mean ± standard deviation")
    differences.set(xlabel="difference to the whole, points: mean ± standard error")
    handles, labels = differences.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=drawing.SMALL
    )
    figure.suptitle(wrapped(title, 8, drawing.NORMAL, bold=True))
    drawing.save(figure, out)


def _draw_errors(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    outcomes: Mapping[str, Sequence[Mapping[str, Any]]],
    ending: str,
    label: str,
    shift: float,
    color: str,
) -> None:
    for place, row in enumerate(rows):
        runs = [100 * (1 - each[f"top1{ending}"]) for each in outcomes.get(row["version"], ())]
        dots: dict[str, Any] = {"ls": "", "marker": ".", "color": color, "alpha": 0.4}
        axes.plot(runs, [place + 1.8 * shift] * len(runs), **dots)
    _draw_means(axes, rows, f"top1{ending}_error", "deviation", label, shift, color)


def _draw_differences(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    ending: str,
    label: str,
    shift: float,
    color: str,
) -> None:
    _draw_means(axes, rows, f"top1{ending}_difference", "error", label, shift, color)


def _draw_means(
    axes: Axes,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    spread: str,
    label: str,
    shift: float,
    color: str,
) -> None:
    found = [
        (place + shift, row[name], row[f"{name}_{spread}"] or 0.0)
        for place, row in enumerate(rows)
        if row[name] is not None
    ]
    heights, means, spreads = zip(*found, strict=True) if found else ((), (), ())
    axes.errorbar(
        means, heights, xerr=spreads, ls="", marker="o", capsize=3, color=color, label=label
    )
