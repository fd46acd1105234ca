"""A training run that is timed, and ends when enough steps have been timed."""

import contextlib
import dataclasses
import pathlib
import tempfile
import time
from typing import Any

import keras
import numpy as np

from keras_alexnet.benchmarks.timing import WARM_UP_STEPS, wait_for_devices
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.train import train


@dataclasses.dataclass(frozen=True)
class Workload:
    """What is trained, for how many timed steps, and in which precision."""

    variant: str
    batch_size: int
    steps: int
    precision: str = "float32"

    @property
    def overrides(self) -> dict[str, Any]:
        """What the run changes in the recipe: enough epochs, and a constant rate."""
        return {
            "global_batch_size": self.batch_size,
            "epochs": 10_000,
            "keep": "last",
            "schedule": "constant",
            "learning_rate": 1e-3,
        }

    def train(
        self,
        workdir: str | None = None,
        overrides: dict[str, Any] | None = None,
        clock: "Clock | None" = None,
        **settings: Any,
    ) -> "Clock":
        """Trains on images in memory until all steps are timed; neither validates nor saves.

        Args:
            workdir: the run's folder; by default a temporary one.
            overrides: more fields of the recipe.
            clock: a clock for these steps, if it does more than note the times.
            **settings: more fields of `TrainConfig`.

        Returns:
            The clock of the run.
        """
        clock = clock or Clock(self.steps)
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(TimingDone):
            run = workdir or str(pathlib.Path(folder) / "run")
            train(self.config(run, overrides, **settings), callbacks=[clock])
        return clock

    def config(
        self, workdir: str, overrides: dict[str, Any] | None = None, **settings: Any
    ) -> TrainConfig:
        """Returns the settings of a run that does not end by itself; arguments as of `train`."""
        return TrainConfig(
            variant=self.variant,
            workdir=workdir,
            validation_images=0,
            num_devices=1,
            overrides=self.overrides | (overrides or {}),
            **{"dataset": "shapes", "precision": self.precision} | settings,
        )


class TimingDone(Exception):
    """Ends a run when all steps have been timed."""


class Clock(keras.callbacks.Callback):
    """Notes when steps begin and end, and ends the run after step `last`."""

    def __init__(self, steps: int):
        super().__init__()
        self.last = WARM_UP_STEPS + steps
        self.begins: list[float] = []
        self.ends: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.begins.append(time.perf_counter())
        if len(self.ends) == self.last:
            raise TimingDone

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        wait_for_devices()  # a GPU may still compute the step
        self.ends.append(time.perf_counter())

    def seconds_a_step(self) -> float:
        """Mean seconds from the end of one step to the end of the next, after the warm-up."""
        ends = self.ends[WARM_UP_STEPS - 1 :]
        return (ends[-1] - ends[0]) / (len(ends) - 1)

    def pauses(self) -> np.ndarray:
        """Seconds between the end of each step and the beginning of the next."""
        return np.array(self.begins[1:]) - np.array(self.ends[: len(self.begins) - 1])
