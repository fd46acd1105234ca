"""Reading of pictures and their tables."""

import csv
import pathlib

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image


def read_png(path: pathlib.Path) -> np.ndarray:
    """Returns the RGB pixels of a PNG, uint8 `[height, width, 3]`."""
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def read_table(path: pathlib.Path) -> list[dict]:
    """Returns the rows of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def texts_of(figure: Figure) -> list[str]:
    """Returns the texts that a figure shows, one line each."""
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [text.get_text().replace("\n", " ") for text in found]


def write_metrics(
    folder: pathlib.Path, top1: list[float], validation: list[float] | None = None
) -> pathlib.Path:
    """Writes the metrics.csv of a run into a new folder, which it returns."""
    folder.mkdir()
    with open(folder / "metrics.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["dataset", "epoch", "top1"] + ["val_top1"] * (validation is not None))
        for number, value in enumerate(top1):
            held_out = [] if validation is None else [validation[number]]
            writer.writerow(["shapes", number + 1, value, *held_out])
    return folder
