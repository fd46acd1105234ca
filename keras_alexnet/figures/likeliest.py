"""Test images with their likeliest labels as bars: the paper's Figure 4, left."""

import math
import os

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.figures import subjects
from keras_alexnet.figures.canvas import (
    GRAY,
    MARGIN,
    Canvas,
    canvas_lines,
    check_png,
    fitted,
    height_of,
    text_width,
)
from keras_alexnet.predicting.predictor import TopClasses, top_classes
from keras_alexnet.utils.arguments import whole_number

_CELL, _IMAGE, _GAP, _SIZE = 176, 128, 22, 13


_BAR, _BAR_GAP = 18, 3


_LONGEST_BAR = 134  # what stands for 100 %; the number is written beside it


# Light, since the labels are written across them; told apart by those who see no red or green too.
_TRACK, _OTHERS, _CORRECT = (243, 243, 243), (178, 206, 238), (250, 176, 96)


_COLUMNS = 5


def likeliest(
    where: str | os.PathLike | keras.Model,
    out: str | os.PathLike,
    dataset: str | None = None,
    *,
    data_dir: str | os.PathLike | None = None,
    dataset_name: str | None = None,
    images: int = 10,
    indices: tuple[int, ...] | None = None,
    top: int = 5,
    seed: int = 0,
    skip_corrupt: bool = False,
    variant: str | None = None,
    data: str | os.PathLike | None = None,
) -> list[dict]:
    """Draws test images with the probabilities of their likeliest classes as bars, to a PNG.

    The correct label stands below the image, and its bar has another color.

    Args:
        where: a run's folder, a `.keras` file, or a model that `build` made.
        out: the picture.
        dataset, data_dir, dataset_name: as in `load_dataset`; by default what the run was
            trained on.
        images: test images, chosen by `seed` from all classes in proportion.
        indices: numbers of test images to show instead, from 0.
        top: bars of an image; all classes, if the network has fewer.
        seed: of the choice.
        skip_corrupt: leave out images that cannot be decoded.
        variant: the network, where neither a config.json nor the model's name tells it.
        data: a .csv or .json file for the rows; by default the picture's name with .csv.

    Returns:
        One dict a bar: image, label (the correct one), rank from 1, class, probability 0–1.

    Raises:
        UsageError: for an argument that cannot be used.
        UserError: if network or data cannot be had, or an image cannot be read.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", seed=0)
        >>> rows = likeliest(model, "likeliest.png", "shapes", images=3, top=2)
        >>> len(rows), list(rows[0])
        (6, ['image', 'label', 'rank', 'class', 'probability'])
    """
    out = check_png(out)
    table = subjects.table_path(out, data)
    top = whole_number("top", top, 1)
    looked = subjects.network(where, variant)
    source = subjects.data_for(
        looked, dataset, data_dir=data_dir, dataset_name=dataset_name, skip_corrupt=skip_corrupt
    )
    test = source.test.subset(subjects.chosen(source.test, images, indices, seed))
    shown = subjects.views(test, range(len(test)), looked.plan)
    logits = subjects.compiled(looked.model, looked.model.output)
    # One by one: of a large network a hundred at once would fill the memory.
    probabilities = np.concatenate([tf.nn.softmax(logits(image[None])).numpy() for image in shown])
    tops = top_classes(probabilities, source.class_names, top)
    correct = [source.class_names[label] for label in test.labels]
    rows = [
        {
            "image": test.name(number),
            "label": correct[number],
            "rank": rank + 1,
            "class": name,
            "probability": score,
        }
        for number, found in enumerate(tops)
        for rank, (name, score) in enumerate(zip(*found, strict=True))
    ]
    title = f"{looked.model.name} on {source.name}: test images and their likeliest labels"
    _draw(out, shown, correct, tops, title)
    subjects.write_table(table, rows)
    return rows


def _draw(out, shown: np.ndarray, correct: list[str], tops: list[TopClasses], title: str) -> None:
    columns = min(_COLUMNS, len(shown))
    width = columns * (_CELL + _GAP) - _GAP
    titles = canvas_lines(title, width, _SIZE, most=3, bold=True)
    drawn = [fitted(image, _IMAGE) for image in shown]
    note = "Below each image stands its correct label, whose bar is orange."
    note += subjects.enlargement(shown[0], drawn[0])
    notes = canvas_lines(note, width, _SIZE - 2, most=4)
    labels = [canvas_lines(subjects.caption(label), _CELL, _SIZE, bold=True) for label in correct]
    image_height = drawn[0].shape[0]
    label_height = height_of(max(map(len, labels)), _SIZE)
    bars_height = max(len(found.classes) for found in tops) * (_BAR + _BAR_GAP)
    cell_height = image_height + 4 + label_height + 4 + bars_height
    above = MARGIN + height_of(len(titles), _SIZE) + 10
    below = above + math.ceil(len(shown) / columns) * (cell_height + _GAP) - _GAP + 10
    canvas = Canvas(width + 2 * MARGIN, below + height_of(len(notes), _SIZE - 2) + MARGIN)
    canvas.text(MARGIN, MARGIN, titles, _SIZE, bold=True)
    for number, pixels in enumerate(drawn):
        row, column = divmod(number, columns)
        left, top = MARGIN + column * (_CELL + _GAP), above + row * (cell_height + _GAP)
        canvas.image(left + (_CELL - pixels.shape[1]) // 2, top, pixels)
        top += image_height + 4
        for line_number, line in enumerate(labels[number]):
            center = left + (_CELL - text_width(line, _SIZE, bold=True)) // 2
            canvas.text(center, top + height_of(line_number, _SIZE), [line], _SIZE, bold=True)
        _draw_bars(canvas, left, top + label_height + 4, tops[number], correct[number])
    canvas.text(MARGIN, below, notes, _SIZE - 2, color=GRAY)
    canvas.save(out)


def _draw_bars(canvas: Canvas, left: int, top: int, found: TopClasses, correct: str) -> None:
    for name, score in zip(*found, strict=True):
        canvas.rectangle(left, top, _LONGEST_BAR, _BAR, _TRACK)
        color = _CORRECT if name == correct else _OTHERS
        canvas.rectangle(left, top, round(_LONGEST_BAR * score), _BAR, color)
        written = canvas_lines(subjects.caption(name), _LONGEST_BAR - 6, _SIZE - 1, most=1)
        canvas.text(left + 3, top + 1, written, _SIZE - 1)
        share = f"{100 * score:.0f} %" if score >= 0.01 else "< 1 %"
        right = left + _CELL - text_width(share, _SIZE - 2)
        canvas.text(right, top + 2, [share], _SIZE - 2, color=GRAY)
        top += _BAR + _BAR_GAP
