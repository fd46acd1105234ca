"""The one training loop: epochs of steps, validation, checkpoints, and standard Keras callbacks.

It exists since Keras 3's `fit` can neither resume inside an epoch nor run on several hosts.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet import results
from keras_alexnet.checkpoints import Checkpoints
from keras_alexnet.errors import UserError
from keras_alexnet.evaluator import Evaluator
from keras_alexnet.progress import Progress
from keras_alexnet.schedules import Schedule
from keras_alexnet.steps import TrainStep

# A look at the loss waits for the device, so it is not taken at every step.
STEPS_BETWEEN_LOOKS = 20


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a run is. `max_steps` ends it early, inside an epoch if need be."""

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


class TrainingLoop:
    """Trains from the newest checkpoint, or from the start, to the end.

    Args:
        step: the compiled step with model and optimiser.
        schedule: the learning rate.
        length: how long to train.
        batches_from: (epoch, step in epoch) → the batches from there on, without end.
        checkpoints: where state is saved.
        metrics_csv: path of the table that gets a row an epoch; None where another worker
            writes it.
        dataset: name of the data, for that table.
        validation: evaluator of the held-out images, or None.
        checkpoint_every_steps: save so often inside an epoch, or None.
        callbacks: Keras callbacks; their batch hooks get no logs.
        any_worker: tells every worker whether a flag is true on any, so that all end together.
    """

    def __init__(
        self,
        step: TrainStep,
        schedule: Schedule,
        length: Length,
        *,
        batches_from: Callable[[int, int], Iterator],
        checkpoints: Checkpoints,
        metrics_csv,
        dataset: str,
        validation: Evaluator | None = None,
        checkpoint_every_steps: int | None = None,
        callbacks=(),
        any_worker: Callable[[bool], bool] = bool,
    ):
        self._any_worker = any_worker
        self._step, self._schedule, self._length = step, schedule, length
        self._batches_from = batches_from
        self._checkpoints, self._metrics_csv = checkpoints, metrics_csv
        self._dataset = dataset
        self._validation, self._every = validation, checkpoint_every_steps
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=step.model, epochs=length.epochs, steps=length.steps_per_epoch
        )
        # What `fit` would have set for callbacks: TensorBoard reads the one, others set the other.
        step.model.optimizer, step.model.stop_training = step.optimizer, False
        self.epoch = self._step_in_epoch = 0
        self._seconds_of_epoch = self._seconds_before = 0.0
        self._began = time.monotonic()
        self._shown: dict[str, str] = {}
        self._stopped = False
        self.history: list[dict] = []

    @property
    def steps_done(self) -> int:
        """Optimiser steps so far."""
        return self.epoch * self._length.steps_per_epoch + self._step_in_epoch

    @property
    def seconds(self) -> float:
        """Wall time of training, over all processes of a resumed run."""
        return self._seconds_before + time.monotonic() - self._began

    def run(self) -> list[dict]:
        """Trains to the end and returns one row of figures an epoch.

        Raises:
            UserError: if the loss turned NaN or infinite, or an image could not be read.
        """
        self._began = time.monotonic()
        self._restore()
        batches = self._batches_from(self.epoch, self._step_in_epoch)
        self._callbacks.on_train_begin()
        while self.epoch < self._length.epochs and not self._ended():
            self._callbacks.on_epoch_begin(self.epoch)
            self._run_steps(batches)
            self._end_epoch()
        self._callbacks.on_train_end()
        return self.history

    def _ended(self) -> bool:
        stopped = self._any_worker(self._stopped or self._step.model.stop_training)
        return stopped or self.steps_done >= self._length.total_steps

    def _run_steps(self, batches) -> None:
        length, started = self._length, time.monotonic()
        before = self._seconds_of_epoch
        name = f"epoch {self.epoch + 1}/{length.epochs}"
        with Progress(length.train_images, name) as progress:
            progress.advance(self._images_seen())
            while not self._epoch_over():
                images_before = self._images_seen()
                self._one_step(batches)
                self._seconds_of_epoch = before + time.monotonic() - started
                progress.advance(self._images_seen() - images_before, **self._shown)
                # Not at the end of the epoch, which saves what comes of the validation too.
                if self._every and self.steps_done % self._every == 0 and not self._epoch_over():
                    self._save(self._finite_variables())
        self._seconds_of_epoch = before + time.monotonic() - started

    def _one_step(self, batches) -> None:
        self._callbacks.on_train_batch_begin(self._step_in_epoch)
        self._step.optimizer.learning_rate.assign(self._schedule.learning_rate(self.steps_done))
        try:
            self._step.run(*next(batches))
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"The devices ran out of memory at a global batch of "
                f"{self._length.global_batch_size} images. Choose a smaller --global_batch_size."
            ) from error
        self._step_in_epoch += 1
        if self.steps_done % STEPS_BETWEEN_LOOKS == 0:
            self._check_finite()
            figures = self._step.figures()
            self._shown = {name: f"{figures[name]:.3f}" for name in ("loss", "top1")}
        self._callbacks.on_train_batch_end(self._step_in_epoch - 1)

    def _epoch_over(self) -> bool:
        whole = self._step_in_epoch == self._length.steps_per_epoch
        return whole or self.steps_done >= self._length.total_steps

    def _images_seen(self) -> int:
        length = self._length
        return min(self._step_in_epoch * length.global_batch_size, length.train_images)

    def _check_finite(self) -> None:
        step = self._step.first_non_finite_step
        if step is not None:
            raise self._non_finite(f"The loss is NaN or infinite at step {step}")

    def _finite_variables(self) -> dict[str, np.ndarray]:
        """Returns all variables, after a look at each: a ReLU can turn the NaN of a layer before
        it into 0, so that no loss tells of it."""
        self._check_finite()
        variables = self._step.variables()
        for name, value in variables.items():
            if np.issubdtype(value.dtype, np.floating) and not np.all(np.isfinite(value)):
                raise self._non_finite(
                    f"The weights of {self._step.path_of(name)} are NaN or infinite by step "
                    f"{self.steps_done}"
                )
        return variables

    def _non_finite(self, what: str) -> UserError:
        kept = "There is no checkpoint from before."
        if (restored := self._checkpoints.restore()) is not None:
            kept = f"The checkpoint of step {restored[1]['step']} is from before and stays."
        return UserError(
            f"{what} (epoch {self.epoch + 1}). {kept} Start again in "
            "another --workdir with a lower --learning_rate, or with --clip_norm 1."
        )

    def _end_epoch(self) -> None:
        variables = self._finite_variables()
        images = self._images_seen()
        row = {
            "epoch": self.epoch + 1,
            "step": self.steps_done,
            **self._step.take_figures(),
            **self._validate(),
            "learning_rate": self._schedule.learning_rate(self.steps_done - 1),
            "images_per_second": images / max(self._seconds_of_epoch, 1e-9),
            "seconds": self._seconds_of_epoch,
        }
        self.history.append(row)
        self._write_metrics()
        self._follow(self._schedule.epoch_ended(self.epoch, row.get("val_top1")), variables)
        logging.info(
            "epoch %d/%d: %s", self.epoch + 1, self._length.epochs, _in_words(row, skip="epoch")
        )
        epoch = self.epoch
        self.epoch, self._step_in_epoch, self._seconds_of_epoch = epoch + 1, 0, 0.0
        self._save(variables)
        logs = {name: value for name, value in row.items() if name != "epoch"}
        self._callbacks.on_epoch_end(epoch, logs=logs)

    def _write_metrics(self) -> None:
        if self._metrics_csv is None:
            return
        rows = [{"dataset": self._dataset, **row} for row in self.history]
        results.write_csv(self._metrics_csv, rows)

    def _validate(self) -> dict[str, float]:
        if self._validation is None:
            return {}
        figures = self._validation.run("validating").figures()
        return {f"val_{name}": value for name, value in figures.items()}

    def _follow(self, advice: str | None, variables: dict[str, np.ndarray]) -> None:
        if advice == "best":
            self._checkpoints.save(
                self.steps_done, variables, {"epoch": self.epoch + 1}, kind="best"
            )
        elif advice == "drop":
            logging.info(
                "Validation top-1 has not improved since epoch %d: learning rate divided to %g.",
                self._schedule.best_epoch + 1,
                self._schedule.learning_rate(self.steps_done),
            )
        elif advice == "stop":
            logging.info(
                "Stopping early: validation top-1 has not improved since epoch %d.",
                self._schedule.best_epoch + 1,
            )
            self._stopped = True

    def _save(self, variables: dict[str, np.ndarray]) -> None:
        state = {
            "epoch": self.epoch,
            "step_in_epoch": self._step_in_epoch,
            "seconds_of_epoch": self._seconds_of_epoch,
            "seconds": self.seconds,
            "stopped": self._stopped,
            "totals": self._step.totals(),
            "schedule": self._schedule.state(),
            "history": self.history,
        }
        self._checkpoints.save(self.steps_done, variables, state)

    def _restore(self) -> None:
        restored = self._checkpoints.restore()
        if restored is None:
            return
        variables, state = restored
        try:
            self._step.restore(variables)
        except ValueError as error:
            raise UserError(f"The checkpoint is of another network: {error}") from error
        self._step.set_totals(state["totals"])
        self._schedule.restore(state["schedule"])
        self.epoch, self._step_in_epoch = state["epoch"], state["step_in_epoch"]
        self._seconds_of_epoch = state["seconds_of_epoch"]
        self._seconds_before = state["seconds"]
        self._stopped, self.history = state["stopped"], state["history"]
        # Rows written after the checkpoint belong to steps that will be done again.
        self._write_metrics()
        logging.info("Going on from step %d (epoch %d).", state["step"], self.epoch + 1)


def _in_words(row: dict, skip: str) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != skip)
