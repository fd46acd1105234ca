"""Training curves of several runs in one picture: the paper's Figure 1."""

import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.figures import drawing, subjects
from keras_alexnet.figures.captions import wrapped
from keras_alexnet.utils import files
from keras_alexnet.utils.values import Range, number, path_text

_WIDTH, _HEIGHT = 7.5, 4.8  # inches, without a legend below
_LABEL_WIDTH = 2.6  # inches of a run's name in the legend
# A larger legend would hide the curves, so it is placed below them.
_MOST_INSIDE = 4
_VALIDATION = ", validation"
_UNNAMED = "data without a name"  # of older runs


class Curve(NamedTuple):
    """The errors of one run by epoch, in percent.

    Attributes:
        label: the name of the run in the picture.
        dataset: the name of its data.
        epochs: the epochs, from 1.
        training: the mean error over each epoch, of augmented images while the weights changed.
        validation: the error at the end of each epoch; NaN without validation images.
    """

    label: str
    dataset: str
    epochs: tuple[int, ...]
    training: tuple[float, ...]
    validation: tuple[float, ...]

    def epochs_to(self, error: float) -> int | None:
        """Returns the first epoch with a training error of at most `error`, or None.

        Example:
            >>> Curve("relu", "shapes", (1, 2), (40.0, 20.0), (math.nan, math.nan)).epochs_to(25)
            2
        """
        reached = zip(self.epochs, self.training, strict=True)
        return next((epoch for epoch, value in reached if value <= error), None)


def curves(
    runs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    error: float = 25.0,
    table: str | os.PathLike | None = None,
) -> dict[str, int | None]:
    """Draws the training errors of runs, and validation errors if there are any, to a PNG.

    Args:
        runs: the runs' folders, or their metrics.csv files. A run need not have ended.
        out: the picture to write.
        labels: the names of the runs; by default those of their folders.
        error: a training error in percent, 0–100, drawn as a dashed line; the paper's is 25.
        table: a .csv or .json file for the errors; by default the picture's name with .csv.

    Returns:
        A dict: label → the first epoch with a training error of at most `error`, or None.

    Raises:
        UsageError: if there are no runs, a different number of labels, or two equal labels.
        UserError: if a metrics.csv is missing or damaged.

    Example:
        >>> curves(["runs/relu", "runs/tanh"], "relu.png")  # doctest: +SKIP
        {'relu': 6, 'tanh': 7}
    """
    out = subjects.png_path(out)
    table = subjects.table_path(out, table)
    error = number("error", error, Range(0, 100))
    runs = [path_text("runs", run) for run in runs]
    found = [
        _read(pathlib.Path(run), label)
        for run, label in zip(runs, _labels(runs, labels), strict=True)
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
    """Returns a sentence on each run in what `curves` returned.

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


def _labels(runs: Sequence[str | os.PathLike], labels: Sequence[str] | None) -> list[str]:
    if not runs:
        raise UsageError("Runs are needed: their folders, or their metrics.csv files.")
    if not labels:
        folders = [pathlib.Path(run).absolute() for run in runs]
        labels = [path.parent.name if path.is_file() else path.name for path in folders]
    if len(labels) != len(runs):
        raise UsageError(
            f"One label is needed for each of {len(runs)} run(s). Received: {len(labels)}."
        )
    twice = [label for label in labels if list(labels).count(label) > 1]
    if twice:
        raise UsageError(f"Two runs are called {twice[0]!r}. Give each a label of its own.")
    return list(labels)


def _read(run: pathlib.Path, label: str) -> Curve:
    path = run / run_folder.METRICS if run.is_dir() else run
    try:
        _, rows = files.read_csv(path)
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
            f"{path} cannot be read: {error.strerror}. Pass the folders of runs."
        ) from error
    except (ValueError, KeyError) as error:
        raise UserError(f"{path} is not the metrics.csv of a run: {error!r}.") from error


def _error(top1: str) -> float:
    return 100 * (1 - float(top1))


@drawing.style()
def _draw(out: pathlib.Path, found: list[Curve], error: float) -> None:
    datasets = list(dict.fromkeys(curve.dataset for curve in found))
    title = f"Training error on {datasets[0]}" if len(datasets) == 1 else "Training error"
    inside = len(found) <= _MOST_INSIDE
    lines = len(found) * (1 if all(math.isnan(v) for c in found for v in c.validation) else 2) + 1
    below = 0 if inside else drawing.line_height(math.ceil(lines / 2), 1.3 * drawing.SMALL)
    figure, (axes,) = drawing.subplots(_WIDTH, _HEIGHT + below)
    for curve in found:
        name = curve.label if len(datasets) == 1 else f"{curve.label} ({curve.dataset})"
        _plot(axes, curve, wrapped(name, _LABEL_WIDTH, drawing.SMALL, lines=1))
    axes.axhline(error, color="black", ls="--", lw=1, label=f"{error:g} %")
    axes.set_title(wrapped(title, _WIDTH - 1, drawing.NORMAL, bold=True))
    axes.set(xlabel="epoch", ylabel="error, %", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid()
    if inside:
        axes.legend(fontsize=drawing.SMALL)
    else:
        figure.legend(loc="outside lower center", ncols=2, fontsize=drawing.SMALL)
    drawing.save(figure, out)


def _plot(axes: Axes, curve: Curve, label: str) -> None:
    markers = max(1, len(curve.epochs) // 20)
    [line] = axes.plot(curve.epochs, curve.training, markevery=markers, label=label)
    if not all(map(math.isnan, curve.validation)):
        style: dict[str, Any] = {
            "color": line.get_color(),
            "ls": line.get_linestyle(),
            "marker": "" if len(curve.epochs) > 1 else line.get_marker(),
        }
        label += _VALIDATION
        axes.plot(curve.epochs, curve.validation, lw=1, alpha=0.6, label=label, **style)
