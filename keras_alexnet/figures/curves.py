"""Training curves of several runs on one picture: the paper's Figure 1, ReLU against tanh."""

import csv
import math
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.figures import plots, subjects
from keras_alexnet.figures.canvas import check_png

_DASHES = ("-", "--", ":", "-.")  # told apart without colors too


_VALIDATION = ", validation"


# A legend of more, or of longer labels, would hide the curves: it stands below them.
_MOST_INSIDE, _LONGEST_INSIDE = 4, 40


_LEGEND_LETTERS = 84  # in the width of the picture


_UNNAMED = "data without a name"  # of older runs


class Curve(NamedTuple):
    """The errors of one run by epoch, in per cent.

    Attributes:
        label: what the picture calls the run.
        dataset: the name of its data.
        epochs: from 1.
        training: the mean over each epoch, while the weights moved and images were augmented.
        validation: at each epoch's end; NaN where nothing was held out.
    """

    label: str
    dataset: str
    epochs: tuple[int, ...]
    training: tuple[float, ...]
    validation: tuple[float, ...]

    def epochs_to(self, error: float) -> int | None:
        """The first epoch whose training error is at most `error`, None if there is none.

        Example:
            >>> Curve("relu", "shapes", (1, 2), (40.0, 20.0), (math.nan, math.nan)).epochs_to(25)
            2
        """
        reached = zip(self.epochs, self.training, strict=True)
        return next((epoch for epoch, value in reached if value <= error), None)


def curves(
    workdirs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    error: float = 25.0,
    data: str | os.PathLike | None = None,
) -> dict[str, int | None]:
    """Draws training errors (and validation errors, where there are) by epoch to a PNG.

    Args:
        workdirs: the runs' folders, or their metrics.csv files. A run need not have ended.
        out: the picture.
        labels: what to call the runs; by default their folders' names.
        error: a training error in per cent, drawn as a dashed line; the paper's is 25.
        data: a .csv or .json file for the errors; by default the picture's name with .csv.

    Returns:
        Label → the first epoch whose training error is at most `error`, None where it was not
        reached.

    Raises:
        UsageError: if there are no runs, or not as many labels, or two alike.
        UserError: if a metrics.csv is missing or damaged.

    Example:
        >>> curves(["runs/relu", "runs/tanh"], "relu.png")  # doctest: +SKIP
        {'relu': 6, 'tanh': 7}
    """
    out = check_png(out)
    table = subjects.table_path(out, data)
    if not 0 <= error <= 100:
        raise UsageError(f"error must be from 0 to 100 per cent. Received: {error}.")
    found = [
        _read(pathlib.Path(where), label)
        for where, label in zip(workdirs, _labels(workdirs, labels), strict=True)
    ]
    _draw(out, found, error)
    rows = [
        {
            "run": curve.label,
            "dataset": curve.dataset,
            "epoch": epoch,
            "training_error_percent": training,
            "validation_error_percent": None if math.isnan(validation) else validation,
            "error_to_reach_percent": error,
            "epochs_to_reach_it": curve.epochs_to(error),
        }
        for curve in found
        for epoch, training, validation in zip(*curve[2:], strict=True)
    ]
    subjects.write_table(table, rows)
    return {curve.label: curve.epochs_to(error) for curve in found}


def in_words(reached: dict[str, int | None], error: float) -> list[str]:
    """One line a run of what `curves` returns.

    Example:
        >>> in_words({"tanh": None}, 25.0)
        ['tanh: no epoch reached a training error of 25 %']
    """
    return [
        f"{label}: a training error of {error:g} % in epoch {epoch}"
        if epoch is not None
        else f"{label}: no epoch reached a training error of {error:g} %"
        for label, epoch in reached.items()
    ]


def _labels(workdirs, labels: Sequence[str] | None) -> list[str]:
    if not workdirs:
        raise UsageError("Runs are needed: their folders, or their metrics.csv files.")
    if not labels:
        folders = [pathlib.Path(where).absolute() for where in workdirs]
        labels = [path.parent.name if path.is_file() else path.name for path in folders]
    if len(labels) != len(workdirs):
        raise UsageError(f"{len(workdirs)} runs need as many labels. Received: {len(labels)}.")
    twice = [label for label in labels if list(labels).count(label) > 1]
    if twice:
        raise UsageError(f"Two runs are called {twice[0]!r}. Give each a label of its own.")
    return list(labels)


def _read(where: pathlib.Path, label: str) -> Curve:
    path = where / run_folder.METRICS if where.is_dir() else where
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise ValueError("it has no rows")
        return Curve(
            label,
            rows[0].get("dataset") or _UNNAMED,
            tuple(int(row["epoch"]) for row in rows),
            tuple(_error(row["top1"]) for row in rows),
            tuple(_error(row.get("val_top1") or "nan") for row in rows),
        )
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}. Give folders of scripts/train.py."
        ) from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path} is not what a run wrote: {error!r}.") from error


def _error(top1: str) -> float:
    return 100 * (1 - float(top1))


def _draw(out, found: list[Curve], error: float) -> None:
    datasets = list(dict.fromkeys(curve.dataset for curve in found))
    labels = [
        curve.label if len(datasets) == 1 else f"{curve.label} ({curve.dataset})" for curve in found
    ]
    labels = [label if len(label) <= 60 else label[:59] + "…" for label in labels]
    longest = max(map(len, labels)) + len(_VALIDATION)
    columns = max(1, _LEGEND_LETTERS // longest)
    inside = len(found) <= _MOST_INSIDE and longest <= _LONGEST_INSIDE
    below = 0 if inside else 0.22 * math.ceil(2 * len(found) / columns)
    figure, (axes,) = plots.subplots(7.5, 4.8 + below)
    for number, (curve, label) in enumerate(zip(found, labels, strict=True)):
        _plot(axes, curve, label, f"C{number % 10}", _DASHES[number // 10 % len(_DASHES)])
    axes.axhline(error, color="black", ls="--", lw=1, label=f"{error:g} %")
    title = f"Training error on {datasets[0]}" if len(datasets) == 1 else "Training error"
    axes.set_title(title, parse_math=False)
    axes.set(xlabel="epoch", ylabel="error, %", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    legend = axes.legend() if inside else figure.legend(loc="outside lower center", ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    plots.save(figure, out)


def _plot(axes, curve: Curve, label: str, color: str, dashes: str) -> None:
    marker = "o" if len(curve.epochs) < 40 else None
    axes.plot(curve.epochs, curve.training, dashes, marker=marker, ms=4, color=color, label=label)
    if not all(map(math.isnan, curve.validation)):
        line = {"lw": 1, "alpha": 0.5, "color": color, "label": label + _VALIDATION}
        axes.plot(curve.epochs, curve.validation, dashes, **line)
