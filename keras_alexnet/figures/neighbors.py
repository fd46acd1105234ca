"""The training images nearest to test images in the last hidden layer: Figure 4, right."""

import os

import keras
import numpy as np

from keras_alexnet.data import failures, pipeline
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError
from keras_alexnet.figures import subjects
from keras_alexnet.figures.canvas import (
    BLACK,
    GRAY,
    MARGIN,
    RED,
    Canvas,
    canvas_lines,
    check_png,
    fitted,
    height_of,
)
from keras_alexnet.utils.arguments import whole_number
from keras_alexnet.utils.terminal import Progress

_CELL, _GAP, _TEST_GAP, _SIZE = 128, 10, 30, 13


def neighbors(
    where: str | os.PathLike | keras.Model,
    out: str | os.PathLike,
    dataset: str | None = None,
    *,
    data_dir: str | os.PathLike | None = None,
    dataset_name: str | None = None,
    neighbors: int = 6,
    images: int = 10,
    indices: tuple[int, ...] | None = None,
    train_images: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
    skip_corrupt: bool = False,
    variant: str | None = None,
    data: str | os.PathLike | None = None,
) -> list[dict]:
    """Draws test images and the training images nearest to each, in rows, to a PNG.

    Nearest is by the Euclidean distance of what the classifier reads, the last hidden layer.

    Args:
        where: a run's folder, a `.keras` file, or a model that `build` made.
        out: the picture.
        dataset, data_dir, dataset_name: as in `load_dataset`; by default what the run was
            trained on.
        neighbors: training images in a row.
        images: test images, chosen by `seed` from all classes in proportion.
        indices: numbers of test images to show instead, from 0.
        train_images: search only so many training images, chosen by `seed` from all classes.
        seed: of the choices.
        batch_size: images in one step.
        skip_corrupt: leave out images that cannot be decoded.
        variant: the network, where neither a config.json nor the model's name tells it.
        data: a .csv or .json file for the rows; by default the picture's name with .csv.

    Returns:
        One dict a neighbor: test_image, test_label, rank from 1, train_image, train_label,
        distance.

    Raises:
        UsageError: for an argument that cannot be used.
        UserError: if network or data cannot be had, or an image cannot be read.

    Example:
        >>> neighbors("runs/mine", "nearest.png", images=10)  # doctest: +SKIP
    """
    out = check_png(out)
    table = subjects.table_path(out, data)
    neighbors = whole_number("neighbors", neighbors, 1)
    batch_size = whole_number("batch_size", batch_size, 1)
    looked = subjects.network(where, variant)
    source = subjects.data_for(
        looked, dataset, data_dir=data_dir, dataset_name=dataset_name, skip_corrupt=skip_corrupt
    )
    train = _searched(subjects.training_images(looked, source), train_images, seed)
    if neighbors > len(train):
        raise UsageError(f"{len(train)} training images have not {neighbors} neighbors.")
    test = source.test.subset(subjects.chosen(source.test, images, indices, seed))
    shown = subjects.views(test, range(len(test)), looked.plan)
    features = subjects.compiled(looked.model, looked.model.get_layer("logits").input)
    batches = failures.explained(
        pipeline.eval_batches(train, looked.plan, batch_size=batch_size), train
    )
    wanted = np.concatenate(
        [features(shown[i : i + batch_size]) for i in range(0, len(shown), batch_size)]
    )
    with Progress(len(train), "searching training images") as progress:
        parts = _features_of(batches, features, progress)
        found, distances = nearest(wanted, parts, neighbors)
    rows = _rows(test, train, found, distances, source.class_names)
    title = (
        f"{looked.model.name} on {source.name}: test images, and the nearest of {len(train):,} "
        "training images by the distance in the last hidden layer"
    )
    _draw(out, shown, rows, [subjects.views(train, row, looked.plan) for row in found], title)
    subjects.write_table(table, rows)
    return rows


def nearest(wanted: np.ndarray, parts, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest vectors by Euclidean distance, of equally near ones the first.

    Args:
        wanted: float `[n, size]`.
        parts: an iterable of float `[m, size]`, one after the other all that are searched.
        count: how many to find.

    Returns:
        (int64 `[n, count]`, the places in all parts, nearest first; float64 `[n, count]`, the
        distances).

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
        # Not |a|^2 + |b|^2 - 2ab, which makes no exact 0 of an image that is there twice.
        found = np.stack([np.square(part - vector).sum(axis=1) for vector in wanted])
        squares = np.concatenate([squares, found], axis=1)
        here = np.broadcast_to(np.arange(seen, seen + len(part)), found.shape)
        places = np.concatenate([places, here], axis=1)
        order = np.argsort(squares, axis=1, kind="stable")[:, :count]
        squares, places = (np.take_along_axis(kept, order, 1) for kept in (squares, places))
        seen += len(part)
    return places, np.sqrt(squares)


def _searched(train: Split, train_images: int | None, seed: int) -> Split:
    if train_images is None:
        return train
    return train.subset(subjects.chosen(train, train_images, None, seed))


def _features_of(batches, features, progress):
    for pixels, _ in batches:
        yield features(pixels).reshape(len(pixels), -1)
        progress.advance(len(pixels))


def _rows(test: Split, train: Split, found, distances, class_names) -> list[dict]:
    return [
        {
            "test_image": test.name(row),
            "test_label": class_names[test.labels[row]],
            "rank": rank + 1,
            "train_image": train.name(index),
            "train_label": class_names[train.labels[index]],
            "distance": float(distances[row, rank]),
        }
        for row in range(len(test))
        for rank, index in enumerate(found[row])
    ]


def _draw(out, shown: np.ndarray, rows: list[dict], nearby: list[np.ndarray], title: str) -> None:
    columns = len(nearby[0])
    drawn = [fitted(image, _CELL) for image in shown]
    cell = drawn[0].shape[0]
    across = max(_CELL, cell)  # room for the labels
    width = (columns + 1) * (across + _GAP) - _GAP + _TEST_GAP
    titles = canvas_lines(title, width, _SIZE, most=4, bold=True)
    note = "Numbers are distances; labels of another class than the test image's are red."
    note += subjects.enlargement(shown[0], drawn[0])
    notes = canvas_lines(note, width, _SIZE - 2, most=4)
    labels = {row[key] for row in rows for key in ("test_label", "train_label")}
    lines = {label: canvas_lines(subjects.caption(label), across, _SIZE) for label in labels}
    label_height = height_of(max(map(len, lines.values())), _SIZE)
    row_height = cell + 4 + label_height + height_of(1, _SIZE - 2) + 10
    above = MARGIN + height_of(len(titles), _SIZE) + 10
    below = above + len(shown) * row_height
    canvas = Canvas(width + 2 * MARGIN, below + height_of(len(notes), _SIZE - 2) + MARGIN)
    canvas.text(MARGIN, MARGIN, titles, _SIZE, bold=True)
    for number, image in enumerate(drawn):
        top = above + number * row_height
        of_row = rows[number * columns : (number + 1) * columns]
        label = of_row[0]["test_label"]
        canvas.image(MARGIN, top, image)
        canvas.text(MARGIN, top + cell + 4, lines[label], _SIZE)
        for column, (row, near) in enumerate(zip(of_row, nearby[number], strict=True)):
            left = MARGIN + _TEST_GAP + (column + 1) * (across + _GAP)
            canvas.image(left, top, fitted(near, _CELL))
            color = BLACK if row["train_label"] == label else RED
            under = top + cell + 4
            under += canvas.text(left, under, lines[row["train_label"]], _SIZE, color=color)
            canvas.text(left, under, [f"{row['distance']:.3g}"], _SIZE - 2, color=GRAY)
    left = MARGIN + across + _GAP + _TEST_GAP // 2 - 1
    canvas.rectangle(left, above, 1, below - above - 10, GRAY)
    canvas.text(MARGIN, below, notes, _SIZE - 2, color=GRAY)
    canvas.save(out)
