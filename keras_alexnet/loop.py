"""The one training loop: epochs of steps, validation, checkpoints, and standard Keras callbacks.

It exists since Keras 3's `fit` can neither resume inside an epoch nor run on several hosts.
"""

import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet import nonfinite
from keras_alexnet.checkpoints import Checkpoints
from keras_alexnet.errors import Interrupted, UserError
from keras_alexnet.evaluator import Evaluator
from keras_alexnet.history import History, Length
from keras_alexnet.interruption import Interruption
from keras_alexnet.nonfinite import Guard, NonFiniteError
from keras_alexnet.progress import Progress
from keras_alexnet.schedules import Schedule
from keras_alexnet.steps import TrainStep

# A look at the loss waits for the device, so it is not taken at every step.
STEPS_BETWEEN_LOOKS = 20


class TrainingLoop:
    """Trains from the newest checkpoint, or from the start, to the end.

    Args:
        step: the compiled step with model and optimiser.
        schedule: the learning rate.
        length: how long to train.
        batches_from: (epoch, step in epoch) → the batches from there on, without end.
        checkpoints: where state is saved.
        history: gets a row an epoch.
        guard: looks for NaN and infinity.
        interruption: tells of signals.
        validation: evaluator of the held-out images, or None.
        lost: what of the data broke in the run: `keras_alexnet.lost.LostImages`.
        checkpoint_every_steps: save so often inside an epoch, or None.
        callbacks: Keras callbacks; their batch hooks get no logs.
    """

    def __init__(
        self,
        step: TrainStep,
        schedule: Schedule,
        length: Length,
        *,
        batches_from: Callable[[int, int], Iterator],
        checkpoints: Checkpoints,
        history: History,
        guard: Guard,
        interruption: Interruption,
        lost,
        validation: Evaluator | None = None,
        checkpoint_every_steps: int | None = None,
        callbacks=(),
    ):
        self._step, self._schedule, self._length = step, schedule, length
        self._batches_from = batches_from
        self._checkpoints, self.history = checkpoints, history
        self._guard, self._interruption, self._lost = guard, interruption, lost
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
        self._saved_at: tuple[int, int] | None = None

    @property
    def steps_done(self) -> int:
        """Optimiser steps so far."""
        return self.epoch * self._length.steps_per_epoch + self._step_in_epoch

    @property
    def seconds(self) -> float:
        """Wall time of training, over all processes of a resumed run."""
        return self._seconds_before + time.monotonic() - self._began

    def events(self) -> dict:
        """What befell the run, for its results."""
        return {"step_backs": self._guard.events, "lost_images": self._lost.names()}

    def run(self) -> None:
        """Trains to the end, with one row of figures an epoch in `history`.

        Raises:
            UserError: if the loss turned NaN or infinite, or an image could not be read.
            Interrupted: if a signal came; all is saved then.
        """
        self._began = time.monotonic()
        if (restored := self._checkpoints.restore()) is None:
            # A run that is killed, or meets a NaN, in its first epoch has a place to return to.
            self._save(self._guard.finite_variables())
        else:
            self._go_on_from(*restored)
        self._callbacks.on_train_begin()
        with self._interruption.held():
            try:
                while not self._trained_to_the_end():
                    pass
            except Interrupted:
                raise self._saved_for_later() from None
        self._callbacks.on_train_end()

    def _trained_to_the_end(self) -> bool:
        """Trains until the end, or until the run has gone back to a checkpoint."""
        batches = self._batches_from(self.epoch, self._step_in_epoch)
        try:
            while self.epoch < self._length.epochs and not self._ended():
                self._callbacks.on_epoch_begin(self.epoch)
                self._run_steps(batches)
                self._end_epoch()
        except NonFiniteError as error:
            self._recover(error)
            return False
        return True

    def _ended(self) -> bool:
        if self._step_in_epoch:
            return False  # stopped after the last step of an epoch, which is still to be validated
        stopped = self._stopped or self._step.model.stop_training
        return stopped or self.steps_done >= self._length.total_steps

    def _run_steps(self, batches) -> None:
        length, started = self._length, time.monotonic()
        before = self._seconds_of_epoch
        name = f"epoch {self.epoch + 1}/{length.epochs}"
        with Progress(length.train_images, name) as progress:
            progress.advance(self._images_seen())
            while not self._epoch_over():
                images_before = self._images_seen()
                self._one_step(next(batches))
                self._seconds_of_epoch = before + time.monotonic() - started
                progress.advance(self._images_seen() - images_before, **self._shown)
                # Not at the end of the epoch, which saves what comes of the validation too.
                if self._every and self.steps_done % self._every == 0 and not self._epoch_over():
                    self._save(self._guard.finite_variables())
        self._seconds_of_epoch = before + time.monotonic() - started

    def _one_step(self, batch) -> None:
        self._callbacks.on_train_batch_begin(self._step_in_epoch)
        self._train_on(batch)
        if self.steps_done % STEPS_BETWEEN_LOOKS == 0:
            self._guard.check()
            figures = self._step.figures()
            self._shown = {name: f"{figures[name]:.3f}" for name in ("loss", "top1")}
        self._callbacks.on_train_batch_end(self._step_in_epoch - 1)

    def _train_on(self, batch) -> None:
        self._step.optimizer.learning_rate.assign(self._learning_rate(self.steps_done))
        try:
            self._step.run(*batch)
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"The devices ran out of memory at a global batch of "
                f"{self._length.global_batch_size} images. Choose a smaller --global_batch_size."
            ) from error
        self._step_in_epoch += 1

    def _learning_rate(self, step: int) -> float:
        return self._schedule.learning_rate(step) / self._guard.divisor

    def _epoch_over(self) -> bool:
        whole = self._step_in_epoch == self._length.steps_per_epoch
        return whole or self.steps_done >= self._length.total_steps

    def _images_seen(self) -> int:
        length = self._length
        return min(self._step_in_epoch * length.global_batch_size, length.train_images)

    def _end_epoch(self) -> None:
        variables = self._guard.finite_variables()
        images = self._images_seen()
        # Before any state moves on: a signal in the validation saves what was before it.
        validated = self._validate()
        row = {
            "epoch": self.epoch + 1,
            "step": self.steps_done,
            **self._step.take_figures(),
            **validated,
            "learning_rate": self._learning_rate(self.steps_done - 1),
            "images_per_second": images / max(self._seconds_of_epoch, 1e-9),
            "seconds": self._seconds_of_epoch,
        }
        self.history.add(row)
        self._follow(self._schedule.epoch_ended(self.epoch, row.get("val_top1")), variables)
        epoch = self.epoch
        self.epoch, self._step_in_epoch, self._seconds_of_epoch = epoch + 1, 0, 0.0
        self._save(variables)
        logs = {name: value for name, value in row.items() if name != "epoch"}
        self._callbacks.on_epoch_end(epoch, logs=logs)

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
        elif advice is not None:
            since = f"Validation top-1 has not improved since epoch {self._schedule.best_epoch + 1}"
            rate = self._learning_rate(self.steps_done)
            dropped = f"learning rate divided to {rate:g}"
            self._stopped = advice == "stop"
            logging.info("%s: %s.", since, "stopping early" if self._stopped else dropped)

    def _save(self, variables: dict[str, np.ndarray]) -> None:
        state = {
            "epoch": self.epoch,
            "step_in_epoch": self._step_in_epoch,
            "steps_per_epoch": self._length.steps_per_epoch,
            "seconds_of_epoch": self._seconds_of_epoch,
            "seconds": self.seconds,
            "stopped": self._stopped,
            "totals": self._step.totals(),
            "schedule": self._schedule.state(),
            "history": self.history.rows,
            **self.events(),
        }
        self._checkpoints.save(self.steps_done, variables, state)
        self._saved_at = (self.epoch, self._step_in_epoch)

    def _go_on_from(self, variables: dict[str, np.ndarray], state: dict) -> None:
        self._take(variables, state)
        self._seconds_before = state["seconds"]
        if state["steps_per_epoch"] == self._length.steps_per_epoch:
            self._checkpoints.drop_after(state["step"])
        else:
            # Steps are counted anew, so the names of older checkpoints no longer say their age.
            self._step_in_epoch, self._seconds_of_epoch = 0, 0.0
            self._step.set_totals([0.0] * 5)
            self._save(variables)
            self._checkpoints.drop_all_but(self.steps_done)
        logging.info("Going on from step %d (epoch %d).", self.steps_done, self.epoch + 1)

    def _take(self, variables: dict[str, np.ndarray], state: dict) -> None:
        try:
            self._step.restore(variables)
        except ValueError as error:
            raise UserError(f"The checkpoint is of another network: {error}") from error
        self._step.set_totals(state["totals"])
        self._schedule.restore(state["schedule"])
        self.epoch, self._step_in_epoch = state["epoch"], state["step_in_epoch"]
        self._saved_at = (self.epoch, self._step_in_epoch)
        self._seconds_of_epoch = state["seconds_of_epoch"]
        self._stopped = state["stopped"]
        self._guard.events = state["step_backs"]
        self._lost.restore(state["lost_images"])
        # Rows written after the checkpoint belong to steps that will be done again.
        self.history.restore(state["history"])

    def _saved_for_later(self) -> Interrupted:
        when = f"after step {self.steps_done} (epoch {self.epoch + 1})"
        try:
            if self._saved_at != (self.epoch, self._step_in_epoch):
                self._save(self._guard.finite_variables())
        except NonFiniteError as error:
            when += f", which is not saved: {error}"
        return self._interruption.interrupted(when)

    def _recover(self, error: NonFiniteError) -> None:
        """Goes back to the newest checkpoint, or raises what the user shall read."""
        last, epoch, events = self.steps_done, self.epoch, self._guard.events
        variables, state = self._checkpoints.restore()
        if self._guard.may_step_back():
            self._take(variables, state)
            # Those of before the checkpoint and those since: it knows the former only.
            self._guard.events = events
            self._guard.step_back(error, self.steps_done)
            return
        logging.info("Repeating steps %d to %d to find the layer.", state["step"] + 1, last)
        try:
            replay = lambda: self._replay(variables, state, last)  # noqa: E731
            place = nonfinite.locate(self._step, replay, error.step)
        except Interrupted:
            place = None
        first = "" if place is None else f"; first {place}"
        raise UserError(
            f"{error.what} (epoch {epoch + 1}{first}). The checkpoint of step {state['step']} is "
            "from before and stays. Go on from it with --resume --on_nonfinite=step_back, or start "
            "again in another --workdir with a lower --learning_rate, or with --clip_norm 1."
        ) from error

    def _replay(self, variables, state, last: int) -> Iterator[tuple[int, tuple | None]]:
        self._take(variables, state)
        batches = self._batches_from(self.epoch, self._step_in_epoch)
        while self.steps_done < last and not self._epoch_over():
            batch = next(batches)
            yield self.steps_done, batch
            self._train_on(batch)
        yield self.steps_done, None
