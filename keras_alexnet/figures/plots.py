"""Pictures of results: curves, confusions, per-class accuracy, sheets of images."""

import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_alexnet.utils import files

# Names and numbers are written into a confusion matrix only where they can be read.
_LARGEST_LABELED = 40


_LARGEST_NUMBERED = 15


_BARS_SHOWN = 40


def curves(path, history: list[dict], title: str) -> None:
    """Draws loss and top-1 by epoch, training and validation, to a PNG.

    Args:
        path: where to.
        history: rows with epoch, loss, top1 and, where images were held out, val_loss, val_top1.
        title: above the picture.
    """
    epochs = [row["epoch"] for row in history]
    figure, (loss, top1) = subplots(10, 4, columns=2)
    for axes, name, scale, label in (
        (loss, "loss", 1, "cross-entropy, nats"),
        (top1, "top1", 100, "top-1 accuracy, %"),
    ):
        axes.plot(epochs, [scale * row[name] for row in history], "o-", ms=3, label="training")
        if f"val_{name}" in history[0]:
            held_out = [scale * row[f"val_{name}"] for row in history]
            axes.plot(epochs, held_out, "s-", ms=3, label="validation")
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    save(figure, path)


def confusion(path, counts: np.ndarray, class_names, title: str) -> None:
    """Draws counts [true, predicted] as shares of each true class to a PNG."""
    classes = len(class_names)
    side = min(16, 3.5 + 0.45 * classes) if classes <= _LARGEST_LABELED else 10
    figure, (axes,) = subplots(side + 1, side)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.8)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    if classes <= _LARGEST_LABELED:
        axes.set_xticks(range(classes), class_names, rotation=60, ha="right")
        axes.set_yticks(range(classes), class_names)
    if classes <= _LARGEST_NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            color = "white" if share > 50 else "black"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=color)
    save(figure, path)


def per_class(path, accuracy: dict[str, float | None], title: str) -> None:
    """Draws class accuracies as bars, worst first, to a PNG; of many classes, the worst 40."""
    known = [(value, name) for name, value in accuracy.items() if value is not None]
    worst = sorted(known)[:_BARS_SHOWN]
    figure, (axes,) = subplots(7, 1.2 + 0.28 * len(worst))
    bars = axes.barh([name for _, name in worst], [100 * value for value, _ in worst])
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.invert_yaxis()
    if len(known) > len(worst):
        title += f"\nthe {len(worst)} worst of {len(known)} classes"
    axes.set(xlim=(0, 108), xlabel="accuracy, %", title=title)
    save(figure, path)


def sheet(path, images: np.ndarray, captions: list[str], title: str) -> None:
    """Draws images [N, H, W, 3] (0–255) in rows of eight with captions below to a PNG."""
    columns = min(8, len(images))
    rows = math.ceil(len(images) / columns)
    figure, cells = subplots(1.7 * columns, 2.1 * rows + 0.5, rows=rows, columns=columns)
    for cell in cells:
        cell.set(xticks=[], yticks=[], frame_on=False)
    for cell, image, caption in zip(cells, images, captions, strict=False):
        cell.imshow(np.asarray(image, np.uint8), interpolation="nearest")
        cell.set_xlabel(caption, fontsize=8)
    figure.suptitle(title)
    save(figure, path)


def subplots(width: float, height: float, rows: int = 1, columns: int = 1):
    """Returns a figure, its size in inches, and its axes, row by row in an array `[n]`."""
    # Built on the canvas itself: pyplot would keep every figure and choose a window system.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def save(figure: Figure, path) -> None:
    """Writes a PNG, whole or not at all."""
    with files.atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=120)
