"""Test images with their nearest training images: the paper's Figure 4, right."""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from keras_alexnet.data import failures, pipeline
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed.precision_choice import AUTO
from keras_alexnet.errors import UsageError, whole_number
from keras_alexnet.figures import drawing, subjects
from keras_alexnet.figures.captions import caption, wrapped
from keras_alexnet.utils.limits import BATCH
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.terminal import Progress
from keras_alexnet.utils.values import one_of

_WIDTH, _GAP, _SEPARATOR = 1.0, 0.08, 0.15  # inches
_OTHER_CLASS = "#b01010"


@reported
def neighbors(
    model: subjects.Model,
    out: str | os.PathLike,
    *,
    data: DataSpec | None = None,
    images: int = 10,
    indices: Sequence[int] | None = None,
    seed: int = 0,
    neighbors: int = 6,
    train_images: int | None = None,
    batch_size: int = 256,
    precision: str = AUTO,
    variant: str | None = None,
    table: str | os.PathLike | None = None,
    verbose: int = 1,
) -> list[dict]:
    """Draws test images and the training images nearest to each, in rows, to a PNG.

    The distance of two images is the Euclidean distance of their activations in the last hidden
    layer.

    Args:
        model: a run's folder, a `.keras` file, the name of weights or of their network,
            or a model that `build` made.
        out: the picture to write.
        data: the data; by default, those that the run was trained on.
        images: number of test images, chosen by `seed` from all classes in proportion.
        indices: indices of the test images to show instead, from 0.
        seed: the seed of the choices.
        neighbors: number of training images in a row.
        train_images: number of training images to search, chosen by `seed` from all classes; by
            default all.
        batch_size: number of images in one step of the search.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16".
        variant: name of the network, if neither config.json nor the model's name says it.
        table: a .csv or .json file for the rows; by default the picture's name with .csv.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        One dict for each neighbor: test_image, test_label, rank from 1, train_image, train_label,
        distance.

    Raises:
        UsageError: for an argument that cannot be used.
        UserError: if network or data cannot be loaded, or an image cannot be read.

    Example:
        >>> neighbors("runs/mine", "nearest.png", images=10)  # doctest: +SKIP
    """
    out = subjects.png_path(out)
    table = subjects.table_path(out, table)
    neighbors = whole_number("neighbors", neighbors, 1)
    batch_size = one_of("batch_size", batch_size, int, BATCH)
    network = subjects.network(model, variant, precision)
    shown = subjects.test_images(network, data, images=images, indices=indices, seed=seed)
    dataset = shown.dataset
    train = subjects.training_images(network, dataset)
    if train_images is not None:
        train = train.subset(subjects.chosen(train, train_images, None, seed))
    if neighbors > len(train):
        raise UsageError(
            f"neighbors must be at most the {len(train)} training images that are searched. "
            f"Received: {neighbors}."
        )
    features = subjects.compiled(network.model, network.features.output)
    searched = [shown.pixels[i : i + batch_size] for i in range(0, len(shown.pixels), batch_size)]
    wanted = np.concatenate([features(pixels) for pixels in searched])
    batches = pipeline.eval_batches(train, network.plan, batch_size=batch_size)
    with Progress(len(train), "searching training images") as progress:
        parts = _features_of(failures.explained(batches, train), features, progress)
        found, distances = nearest(wanted, parts, neighbors)
    rows = _rows(shown, train, found, distances)
    title = (
        f"{network.model.name} on {dataset.name}: test images, and the nearest of {len(train):,} "
        "training images by the distance in the last hidden layer"
    )
    nearby = [subjects.views(train, places, network.plan) for places in found]
    _draw(out, shown, nearby, rows, title)
    subjects.write_table(table, rows)
    return rows


def nearest(
    wanted: np.ndarray, parts: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest vectors by Euclidean distance; of equally near ones, the first.

    Args:
        wanted: float `[n, size]`.
        parts: the vectors to search, in parts `[m, size]`.
        count: how many to find.

    Returns:
        The indices over all parts, int64 `[n, count]`, nearest first, and the distances, float64
        `[n, count]`.

    Example:
        >>> nearest(np.zeros([1, 2]), [np.eye(2), np.full([1, 2], 0.1)], 2)[0]
        array([[2, 0]])
    """
    wanted = np.asarray(wanted, np.float64)
    places = np.zeros((len(wanted), 0), np.int64)
    squares = np.zeros((len(wanted), 0))
    seen = 0
    for part in parts:
        part = np.asarray(part, np.float64)
        # |a|^2 + |b|^2 - 2ab would not be exactly 0 for two equal images.
        found = np.stack([np.square(part - vector).sum(axis=1) for vector in wanted])
        squares = np.concatenate([squares, found], axis=1)
        here = np.broadcast_to(np.arange(seen, seen + len(part)), found.shape)
        places = np.concatenate([places, here], axis=1)
        order = np.argsort(squares, axis=1, kind="stable")[:, :count]
        squares = np.take_along_axis(squares, order, axis=1)
        places = np.take_along_axis(places, order, axis=1)
        seen += len(part)
    return places, np.sqrt(squares)


def _features_of(
    batches: Iterable, features: Callable[[np.ndarray], np.ndarray], progress: Progress
) -> Iterator[np.ndarray]:
    for pixels, _ in batches:
        yield features(pixels).reshape(len(pixels), -1)
        progress.advance(len(pixels))


def _rows(
    shown: subjects.ShownImages, train: Split, found: np.ndarray, distances: np.ndarray
) -> list[dict]:
    return [
        {
            "test_image": shown.split.name(number),
            "test_label": shown.labels[number],
            "rank": rank + 1,
            "train_image": train.name(index),
            "train_label": shown.dataset.class_names[train.labels[index]],
            "distance": float(distances[number, rank]),
        }
        for number in range(len(found))
        for rank, index in enumerate(found[number])
    ]


@drawing.style()
def _draw(
    out: pathlib.Path,
    shown: subjects.ShownImages,
    nearby: list[np.ndarray],
    rows: list[dict],
    title: str,
) -> None:
    columns = len(nearby[0])
    size, enlarged = drawing.thumbnail(shown.pixels.shape[1])
    labels = {row["train_label"] for row in rows} | set(shown.labels)
    # Bold text is the widest.
    texts = {name: wrapped(caption(name), _WIDTH, drawing.SMALL, bold=True) for name in labels}
    lines = max(text.count("\n") + 1 for text in texts.values())
    below = drawing.line_height(lines + 1) + 0.16
    widths = [_WIDTH, _SEPARATOR] + [_WIDTH] * columns
    figure, axes = drawing.grid(widths, [size] * len(nearby), gaps=(_GAP, below))
    for number, (pixels, label) in enumerate(zip(shown.pixels, shown.labels, strict=True)):
        drawing.show(axes[number, 0], pixels)
        _write_below(axes[number, 0], texts[label])
        for column, near in enumerate(nearby[number]):
            row, cell = rows[number * columns + column], axes[number, column + 2]
            drawing.show(cell, near)
            same = row["train_label"] == label
            _write_below(cell, texts[row["train_label"]], f"{row['distance']:.3g}", same)
    middle = axes[0, 1].get_position()
    middle = (middle.x0 + middle.x1) / 2
    figure.add_artist(Line2D([middle, middle], [0, 1], color=drawing.GRAY, lw=0.8))
    note = (
        "Numbers are distances. Labels that differ from the test image's are bold and red. "
        f"{enlarged}"
    )
    drawing.heading(figure, title, note, below=below)
    drawing.save(figure, out)


def _write_below(axes: Axes, label: str, distance: str = "", same: bool = True) -> None:
    color, weight = ("black", "normal") if same else (_OTHER_CLASS, "bold")
    style: dict[str, Any] = {"size": drawing.SMALL, "va": "top", "textcoords": "offset points"}
    written = axes.annotate(
        label, (0, 0), xytext=(0, -4), xycoords="axes fraction", color=color, weight=weight, **style
    )
    axes.annotate(distance, (0, 0), xytext=(0, -3), xycoords=written, color=drawing.GRAY, **style)
