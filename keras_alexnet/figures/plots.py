"""Pictures of a run: curves, confusion matrix, per-class accuracy, sheets of images."""

import math
import os
from collections.abc import Sequence

import numpy as np
from matplotlib.patheffects import withStroke

from keras_alexnet.figures import drawing
from keras_alexnet.figures.captions import caption, wrapped

# Names and numbers are written into a confusion matrix only where they can be read.
_MOST_NAMED, _MOST_NUMBERED = 40, 15
_MOST_BARS = 40
_NAME_WIDTH = 1.9  # inches of a class name beside a chart


@drawing.style()
def curves(
    path: str | os.PathLike, history: list[dict], title: str, kept_epoch: int | None = None
) -> None:
    """Draws training and validation loss and top-1 accuracy by epoch to a PNG.

    Args:
        path: the picture to write.
        history: rows with epoch, loss, top1 and, if images were held out, val_loss and val_top1.
        title: the title above the picture.
        kept_epoch: the epoch whose weights are kept, which a line marks.
    """
    epochs = [row["epoch"] for row in history]
    figure, (loss, top1) = drawing.subplots(10, 4, columns=2)
    for axes, name, scale, label in (
        (loss, "loss", 1, "cross-entropy, nats"),
        (top1, "top1", 100, "top-1 accuracy, %"),
    ):
        axes.plot(epochs, [scale * row[name] for row in history], label="training")
        if f"val_{name}" in history[0]:
            held_out = [scale * row[f"val_{name}"] for row in history]
            axes.plot(epochs, held_out, label="validation")
        if kept_epoch is not None:
            kept = f"kept: epoch {kept_epoch}"
            axes.axvline(kept_epoch, color=drawing.GRAY, ls="--", lw=1, label=kept)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid()
        axes.legend()
    figure.suptitle(title)
    drawing.save(figure, path)


@drawing.style()
def confusion(
    path: str | os.PathLike, counts: np.ndarray, class_names: Sequence[str], title: str
) -> None:
    """Draws a confusion matrix, `[true class, predicted class]`, as shares of rows to a PNG."""
    classes = len(class_names)
    side = 3.5 + 0.25 * classes if classes <= _MOST_NAMED else 9
    figure, (axes,) = drawing.subplots(side + 1, side)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    accuracy = 100 * np.trace(counts) / max(counts.sum(), 1)
    title += f"\n{accuracy:.2f} % of {counts.sum():,} images are right"
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.8)
    axes.set(
        xlabel="predicted class",
        ylabel="true class",
        title="\n".join(
            wrapped(line, side, drawing.NORMAL, bold=True) for line in title.split("\n")
        ),
    )
    if classes <= _MOST_NAMED:
        names = [_beside(name) for name in class_names]
        axes.set_xticks(range(classes), names, rotation=60, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(classes), names)
    if classes <= _MOST_NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            color = "white" if share > 50 else "black"
            axes.text(
                column,
                row,
                f"{share:.0f}",
                ha="center",
                va="center",
                size=drawing.SMALL,
                color=color,
            )
    drawing.save(figure, path)


@drawing.style()
def per_class(path: str | os.PathLike, accuracy: dict[str, float | None], title: str) -> None:
    """Draws the accuracies of the (at most 40) worst classes as bars, worst first, to a PNG."""
    known = [(value, name) for name, value in accuracy.items() if value is not None]
    worst = sorted(known)[:_MOST_BARS]
    figure, (axes,) = drawing.subplots(7, 1.2 + 0.24 * len(worst))
    places = range(len(worst))
    bars = axes.barh(places, [100 * value for value, _ in worst])
    axes.set_yticks(places, [_beside(name) for _, name in worst])
    halo = [withStroke(linewidth=3, foreground="white")]  # over the line of the mean
    axes.bar_label(bars, fmt="%.1f", padding=2, size=drawing.SMALL, path_effects=halo)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    if known:
        mean = 100 * float(np.mean([value for value, _ in known]))
        axes.axvline(mean, color=drawing.GRAY, ls="--", lw=1, zorder=0)
        title += f"\nmean of the classes: {mean:.2f} %"
    if len(known) > len(worst):
        title += f"\nthe {len(worst)} worst of {len(known)} classes"
    axes.set(xlim=(0, 108), xlabel="accuracy, %", title=title)
    drawing.save(figure, path)


@drawing.style()
def sheet(
    path: str | os.PathLike, images: np.ndarray, captions: Sequence[Sequence[str]], title: str
) -> None:
    """Draws images in rows of eight, each with lines of text below it, to a PNG.

    Args:
        path: the picture to write.
        images: `[N, H, W, 3]`, RGB, 0–255.
        captions: the lines below each image; a line that is too long ends in "…".
        title: the title above the picture.
    """
    columns = min(8, len(images))
    rows = math.ceil(len(images) / columns)
    size, _ = drawing.thumbnail(images.shape[1])
    gaps = 0.25, 0.2 + drawing.line_height(max(map(len, captions)))
    figure, axes = drawing.grid([size] * columns, [size] * rows, gaps=gaps)
    for cell in axes.flat[len(images) :]:
        cell.remove()
    for each, image, lines in zip(axes.flat, images, captions, strict=False):
        drawing.show(each, np.asarray(image, np.uint8))
        fitted = [wrapped(line, size + 0.2, drawing.SMALL, lines=1) for line in lines]
        each.set_xlabel("\n".join(fitted), size=drawing.SMALL)
    drawing.heading(figure, title)
    drawing.save(figure, path)


def _beside(class_name: str) -> str:
    return wrapped(caption(class_name), _NAME_WIDTH, drawing.SMALL, lines=1)
