"""A run of the training loop that is timed, and ends when all has been timed."""

import dataclasses
import time

import keras
import numpy as np

import keras_alexnet as ka

WARM_UP_STEPS = 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained, and for how many timed steps."""

    variant: str
    batch_size: int
    steps: int

    def config(self, workdir, **changes) -> ka.TrainConfig:
        """A run that is long enough and neither validates nor saves meanwhile."""
        fields = {"global_batch_size": self.batch_size, "epochs": 10_000, "keep": "last"}
        fields |= {"schedule": "constant", "learning_rate": 1e-3, **changes.pop("overrides", {})}
        return ka.TrainConfig(
            variant=self.variant,
            dataset="shapes",
            workdir=str(workdir),
            validation_images=0,
            num_devices=1,
            overrides=fields,
            **changes,
        )


class Done(Exception):
    """Ends a run when all has been timed."""


class Clock(keras.callbacks.Callback):
    """Notes when steps begin and end."""

    def __init__(self, steps: int):
        super().__init__()
        self._last = WARM_UP_STEPS + steps
        self.begins, self.ends = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begins.append(time.perf_counter())
        if len(self.ends) == self._last:
            raise Done

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def seconds_a_step(self) -> float:
        ends = self.ends[WARM_UP_STEPS - 1 :]
        return (ends[-1] - ends[0]) / (len(ends) - 1)

    def pauses(self) -> np.ndarray:
        """Seconds between the end of each step and the beginning of the next."""
        return np.array(self.begins[1:]) - np.array(self.ends[: len(self.begins) - 1])
