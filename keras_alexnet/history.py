"""How long a run is, and one row of figures for each of its epochs."""

import dataclasses
import math
import os
import pathlib

from absl import logging

from keras_alexnet import results


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a run is. `max_steps` ends it early, inside an epoch if need be.

    Example:
        >>> Length(2, 10, 1280, 128, max_steps=15).total_steps
        15
    """

    epochs: int
    steps_per_epoch: int
    train_images: int
    global_batch_size: int
    max_steps: int | None = None

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        steps = self.epochs * self.steps_per_epoch
        return steps if self.max_steps is None else min(steps, self.max_steps)


class History:
    """The rows of metrics.csv, which is written anew, whole, whenever they change.

    Args:
        path: of the file, or None where another worker writes it.
        dataset: name of the data, the first column.
        epochs: how many there will be at the most.

    Attributes:
        rows: one dict an epoch.
    """

    def __init__(self, path: str | os.PathLike | None, dataset: str, epochs: int):
        self._path = None if path is None else pathlib.Path(path)
        self._dataset, self._epochs = dataset, epochs
        self.rows: list[dict] = []

    def add(self, row: dict) -> None:
        """Adds an epoch's row, and says it in the log."""
        # A run that goes on may have begun to hold images out, or ceased to.
        names = dict.fromkeys([*(self.rows[0] if self.rows else ()), *row])
        rows = [*self.rows, row]
        self.rows = [{name: one.get(name, math.nan) for name in names} for one in rows]
        self._write()
        figures = {name: value for name, value in row.items() if name != "epoch"}
        words = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        logging.info("epoch %d/%d: %s", row["epoch"], self._epochs, words)

    def restore(self, rows: list[dict]) -> None:
        """Takes the rows of a checkpoint; the file is cut to them."""
        self.rows = list(rows)
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        if not self.rows:
            self._path.unlink(missing_ok=True)
            return
        results.write_csv(self._path, [{"dataset": self._dataset, **row} for row in self.rows])
