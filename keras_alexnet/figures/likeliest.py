"""Test images with their likeliest labels as bars: the paper's Figure 4, left."""

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes

from keras_alexnet.data.config import DataSpec
from keras_alexnet.distributed.precision_choice import AUTO
from keras_alexnet.errors import whole_number
from keras_alexnet.figures import drawing, subjects
from keras_alexnet.figures.captions import caption, wrapped
from keras_alexnet.predicting.predictor import TopClasses, top_classes

_COLUMNS = 5
_WIDTH, _GAP, _BAR = 1.5, 0.2, 0.19  # inches: of a cell, between cells, from bar to bar
_LONGEST = 1.13  # inches of a bar of 100 %; the number is written beside it

# Light, because the labels are written across them.
_TRACK, _OTHERS, _CORRECT = "#f3f3f3", "#b2ceee", "#fab060"


def likeliest(
    model: subjects.Model,
    out: str | os.PathLike,
    *,
    data: DataSpec | None = None,
    images: int = 10,
    indices: Sequence[int] | None = None,
    seed: int = 0,
    top: int = 5,
    precision: str = AUTO,
    variant: str | None = None,
    table: str | os.PathLike | None = None,
) -> list[dict]:
    """Draws test images with bars for the probabilities of their likeliest classes to a PNG.

    The correct label is below the image; its bar has a different color.

    Args:
        model: a run's folder, a `.keras` file, the name of weights or of their network,
            or a model that `build` made.
        out: the picture to write.
        data: the data; by default, those that the run was trained on.
        images: number of test images, chosen by `seed` from all classes in proportion.
        indices: indices of the test images to show instead, from 0.
        seed: the seed of the choice.
        top: number of bars for each image; all classes if the network has fewer.
        precision: "auto", "float32", "mixed_bfloat16" or "mixed_float16".
        variant: name of the network, if neither config.json nor the model's name says it.
        table: a .csv or .json file for the rows; by default the picture's name with .csv.

    Returns:
        One dict for each bar: image, label (the correct one), rank from 1, class, probability
        0–1.

    Raises:
        UsageError: for an argument that cannot be used.
        UserError: if network or data cannot be loaded, or an image cannot be read.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", seed=0)
        >>> data = keras_alexnet.DataSpec("shapes")
        >>> rows = likeliest(model, "likeliest.png", data=data, images=3, top=2)
        >>> len(rows), list(rows[0])
        (6, ['image', 'label', 'rank', 'class', 'probability'])
    """
    out = subjects.png_path(out)
    table = subjects.table_path(out, table)
    top = whole_number("top", top, 1)
    network = subjects.network(model, variant, precision)
    shown = subjects.test_images(network, data, images=images, indices=indices, seed=seed)
    logits = subjects.compiled(network.model, network.model.output)
    # One by one: a hundred images at once would fill the memory with a large network's maps.
    probabilities = np.concatenate(
        [tf.nn.softmax(logits(image[None])).numpy() for image in shown.pixels]
    )
    found = top_classes(probabilities, shown.dataset.class_names, top)
    rows = [
        {
            "image": shown.split.name(number),
            "label": shown.labels[number],
            "rank": rank + 1,
            "class": name,
            "probability": score,
        }
        for number, classes in enumerate(found)
        for rank, (name, score) in enumerate(zip(*classes, strict=True))
    ]
    title = f"{network.model.name} on {shown.dataset.name}: test images and their likeliest labels"
    _draw(out, shown, found, title)
    subjects.write_table(table, rows)
    return rows


@drawing.style()
def _draw(
    out: pathlib.Path, shown: subjects.ShownImages, found: list[TopClasses], title: str
) -> None:
    columns = min(_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    size, enlarged = drawing.thumbnail(shown.pixels.shape[1])
    labels = [
        wrapped(caption(label), _WIDTH, drawing.SMALL + 1, bold=True) for label in shown.labels
    ]
    lines = max(label.count("\n") + 1 for label in labels)
    heights = [
        size,
        drawing.line_height(lines, drawing.SMALL + 1) + 0.1,
        _BAR * len(found[0].classes),
        _GAP,
    ]
    figure, axes = drawing.grid([_WIDTH] * columns, heights * rows, gaps=(_GAP, 0))
    cells = axes.reshape(rows, len(heights), columns).swapaxes(1, 2).reshape(-1, len(heights))
    for number, (image, label, bars, _) in enumerate(cells[: len(found)]):
        drawing.show(image, shown.pixels[number], anchor="N")
        style = {"ha": "center", "va": "center", "size": drawing.SMALL + 1, "weight": "bold"}
        label.text(0.5, 0.5, labels[number], **style)
        _draw_bars(bars, found[number], shown.labels[number])
    note = f"Below each image is its correct label, whose bar is orange and bold. {enlarged}"
    drawing.heading(figure, title, note, below=0)
    drawing.save(figure, out)


def _draw_bars(axes: Axes, found: TopClasses, correct: str) -> None:
    places = range(len(found.classes))
    colors = [_CORRECT if name == correct else _OTHERS for name in found.classes]
    axes.barh(places, 1, height=0.86, color=_TRACK)
    axes.barh(places, found.scores, height=0.86, color=colors)
    end = _WIDTH / _LONGEST
    for place, (name, score) in enumerate(zip(*found, strict=True)):
        bold = name == correct
        label = wrapped(caption(name), _LONGEST - 0.05, drawing.SMALL, lines=1, bold=bold)
        weight = "bold" if bold else "normal"
        axes.text(0.02, place, label, va="center", size=drawing.SMALL, weight=weight)
        share = f"{100 * score:.0f} %" if score >= 0.01 else "< 1 %"
        axes.text(
            end, place, share, ha="right", va="center", size=drawing.SMALL, color=drawing.GRAY
        )
    axes.set(xlim=(0, end), ylim=(len(places) - 0.5, -0.5))
