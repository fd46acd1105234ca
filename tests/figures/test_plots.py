"""The pictures of a run: curves, confusion matrix, per-class accuracy, sheets of images."""

import numpy as np
import pytest
from matplotlib.text import Text

from keras_alexnet.figures import plots
from keras_alexnet.utils.text import is_printable, printable
from support.pictures import read_png, texts_of

LONG = "a very long name of a class that no picture has room for"


def test_curves_of_a_run(drawn, tmp_path):
    history = [
        {"epoch": 1, "loss": 2.0, "top1": 0.3, "val_loss": 1.8, "val_top1": 0.35},
        {"epoch": 2, "loss": 1.5, "top1": 0.5, "val_loss": 1.6, "val_top1": 0.45},
    ]
    plots.curves(tmp_path / "curves.png", history, "network on data")
    loss, top1 = drawn[0].axes
    assert [list(line.get_ydata()) for line in loss.get_lines()] == [[2, 1.5], [1.8, 1.6]]
    assert [list(line.get_ydata()) for line in top1.get_lines()] == [[30, 50], [35, 45]]
    assert {"training", "validation", "epoch", "network on data"} <= set(texts_of(drawn[0]))
    plots.curves(tmp_path / "curves.png", [{"epoch": 1, "loss": 1.0, "top1": 0.1}], "one epoch")
    assert [len(axes.get_lines()) for axes in drawn[1].axes] == [1, 1]
    plots.curves(tmp_path / "curves.png", history, "kept", kept_epoch=2)
    for axes in drawn[2].axes:
        line = axes.get_lines()[-1]
        assert line.get_label() == "kept: epoch 2" and set(line.get_xdata()) == {2}
    assert read_png(tmp_path / "curves.png").size


def test_confusion_of_few_classes(drawn, tmp_path):
    counts = np.array([[3, 1, 0], [0, 0, 0], [5, 0, 5]])
    plots.confusion(tmp_path / "confusion.png", counts, ["n02099601", "x$_2$", LONG], "title")
    axes = drawn[0].axes[0]
    expected = [[75, 25, 0], [0, 0, 0], [50, 0, 50]]
    np.testing.assert_array_equal(axes.images[0].get_array(), expected)
    assert axes.get_title() == "title\n57.14 % of 14 images are right"
    assert [int(text.get_text()) for text in axes.texts] == np.ravel(expected).tolist()
    first, second, third = [label.get_text() for label in axes.get_yticklabels()]
    assert (first, second) == ("golden retriever", "x$_2$")
    assert LONG.startswith(third[:-1]) and third.endswith("…")


def test_confusion_of_many_classes_has_no_names(drawn, tmp_path):
    names = [f"class {number}" for number in range(200)]
    plots.confusion(tmp_path / "confusion.png", np.eye(200, dtype=int), names, "title")
    assert not any(text.startswith("class 1") for text in texts_of(drawn[0]))
    assert max(read_png(tmp_path / "confusion.png").shape) < 1500


@pytest.mark.parametrize("classes", [2, 1000])
def test_worst_classes_come_first(classes, drawn, tmp_path):
    accuracy = {f"{LONG} {number}": (number + 1) / 1000 for number in range(classes)}
    plots.per_class(tmp_path / "per_class.png", {"none": None, **accuracy}, "title")
    [axes] = drawn[0].axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.1, 0.2] if classes == 2 else np.arange(1, 41) / 10)
    mean = {2: "0.15", 1000: "50.05"}[classes]  # of all of them, also those without a bar
    assert f"mean of the classes: {mean} %" in axes.get_title()
    assert list(axes.get_lines()[0].get_xdata()) == pytest.approx([float(mean)] * 2)
    assert ("the 40 worst of 1000 classes" in axes.get_title()) == (classes == 1000)
    assert read_png(tmp_path / "per_class.png").shape[0] < 1800


@pytest.mark.parametrize("number", [1, 11])
def test_sheet_of_images(number, drawn, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, [number, 8, 8, 3])
    captions = [(f"{i} % {LONG}", "is cat") for i in range(number)]
    plots.sheet(tmp_path / "sheet.png", images, captions, "title")
    shown = [axes for axes in drawn[0].axes if axes.images]
    assert len(shown) == number
    for i, axes in enumerate(shown):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[i])
        first, second = axes.get_xlabel().split("\n")
        assert first.startswith(f"{i} % a very") and first.endswith("…") and second == "is cat"


@pytest.mark.parametrize(
    "name", ["two\nlines", "caf\udce9", "\x1b[31m", "$\\frac$", "a\tb", "\u202eb"]
)
def test_every_name_can_be_drawn(drawn, tmp_path, name):
    rows = [{"epoch": epoch, "loss": 1.0, "top1": 0.5} for epoch in (1, 2)]
    plots.curves(tmp_path / "a.png", rows, title=f"cifar_v2 on {name}")
    plots.per_class(tmp_path / "b.png", {name: 0.5}, f"cifar_v2 on {name}")
    texts = [text.get_text() for figure in drawn for text in figure.findobj(Text)]
    first = printable(name.split("\n")[0])
    assert sum(first in text for text in texts) >= 3
    assert all(is_printable(line) for text in texts for line in text.split("\n"))
