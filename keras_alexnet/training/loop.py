"""The one training loop: epochs of steps, validation, checkpoints, and standard Keras callbacks.

It exists since Keras 3's `fit` can neither resume inside an epoch nor run on several hosts.
"""

import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.errors import Interrupted, UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.training import nonfinite
from keras_alexnet.training.nonfinite import NonFiniteError
from keras_alexnet.training.signals import Interruption
from keras_alexnet.training.state import RunState
from keras_alexnet.utils.terminal import Progress

# A look at the loss waits for the device, so it is not taken at every step.
STEPS_BETWEEN_LOOKS = 20


# Nor do workers ask each other at every step whether one of them got a signal, for the same reason.
STEPS_BETWEEN_AGREEMENTS = 5


class TrainingLoop:
    """Trains from the newest checkpoint, or from the start, to the end.

    Args:
        state: where the run stands, with the step, the schedule and the checkpoints.
        batches_from: (epoch, step in epoch) → the batches from there on, without end.
        interruption: tells of signals.
        validation: evaluator of the held-out images, or None.
        checkpoint_every_steps: save so often inside an epoch, or None.
        callbacks: Keras callbacks; their batch hooks get no logs.
        any_worker: tells every worker whether a flag is true on any, so that all end together.

    One process stops after the step in which a signal came. Workers that train together stop after
    the next step that they have agreed on, at most `STEPS_BETWEEN_AGREEMENTS` later, or when the
    epoch's steps are done; a signal in the validation waits for its end. One to a worker whose data
    do not come waits for them: what ends that is a second Ctrl-C or SIGKILL, without saving.
    """

    def __init__(
        self,
        state: RunState,
        *,
        batches_from: Callable[[int, int], Iterator],
        interruption: Interruption,
        validation: Evaluator | None = None,
        checkpoint_every_steps: int | None = None,
        callbacks=(),
        any_worker: Callable[[bool], bool] = bool,
    ):
        self.state, self._step, self._guard = state, state.step, state.guard
        self._batches_from, self._interruption = batches_from, interruption
        self._validation, self._every = validation, checkpoint_every_steps
        self._any_worker = any_worker
        model, length = self._step.model, state.length
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=model, epochs=length.epochs, steps=length.steps_per_epoch
        )
        # What `fit` would have set for callbacks: TensorBoard reads the one, others set the other.
        model.optimizer, model.stop_training = self._step.optimizer, False
        self._shown: dict[str, str] = {}

    def run(self) -> None:
        """Trains to the end, with one row of figures an epoch in the state's history.

        Raises:
            UserError: if the loss turned NaN or infinite, or an image could not be read.
            Interrupted: if a signal came; all is saved then.
        """
        with self._interruption.held():
            self.state.begin()
            self._callbacks.on_train_begin()
            try:
                while not self._trained_to_the_end():
                    pass
            except Interrupted:
                raise self._saved_for_later() from None
            self._callbacks.on_train_end()

    def _trained_to_the_end(self) -> bool:
        """Trains until the end, or until the run has gone back to a checkpoint."""
        state = self.state
        batches = self._batches_from(state.epoch, state.step_in_epoch)
        try:
            while state.epoch < state.length.epochs and not self._ended():
                self._callbacks.on_epoch_begin(state.epoch)
                self._run_steps(batches)
                self._end_epoch()
        except NonFiniteError as error:
            self._recover(error)
            return False
        return True

    def _ended(self) -> bool:
        state = self.state
        if state.step_in_epoch:
            return False  # stopped after the last step of an epoch, which is still to be validated
        stopped = self._any_worker(state.stopped or self._step.model.stop_training)
        return stopped or state.steps_done >= state.length.total_steps

    def _run_steps(self, batches) -> None:
        state, started, before = self.state, time.monotonic(), self.state.seconds_of_epoch
        name = f"epoch {state.epoch + 1}/{state.length.epochs}"
        with Progress(state.length.train_images, name) as progress:
            progress.advance(state.images_seen)
            while not state.epoch_is_over:
                if state.steps_done % STEPS_BETWEEN_AGREEMENTS == 0:
                    self._interruption.agree()
                images_before = state.images_seen
                self._one_step(next(batches))
                state.seconds_of_epoch = before + time.monotonic() - started
                progress.advance(state.images_seen - images_before, **self._shown)
                # Not at the end of the epoch, which saves what comes of the validation too.
                if self._every and state.steps_done % self._every == 0 and not state.epoch_is_over:
                    state.save(self._guard.finite_variables())
        state.seconds_of_epoch = before + time.monotonic() - started

    def _one_step(self, batch) -> None:
        state = self.state
        self._callbacks.on_train_batch_begin(state.step_in_epoch)
        self._train_on(batch)
        if state.steps_done % STEPS_BETWEEN_LOOKS == 0:
            self._guard.check()
            figures = self._step.figures()
            self._shown = {name: f"{figures[name]:.3f}" for name in ("loss", "top1")}
        self._callbacks.on_train_batch_end(state.step_in_epoch - 1)

    def _train_on(self, batch) -> None:
        self._step.epoch = self.state.epoch
        self._step.optimizer.learning_rate.assign(self.state.learning_rate(self.state.steps_done))
        try:
            self._step.run(*batch)
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                f"The devices ran out of memory at a global batch of "
                f"{self.state.length.global_batch_size} images. Choose a smaller "
                "--global_batch_size."
            ) from error
        self.state.step_in_epoch += 1

    def _end_epoch(self) -> None:
        state, variables = self.state, self._guard.finite_variables()
        # Before anything of the state moves on: a signal in the validation saves what was before.
        self._interruption.agree()
        if not state.epoch_is_whole:
            # The last checkpoint of a run that --max_steps ends: with more steps it goes on here.
            state.save(variables)
        validated = self._validate()
        row = {
            "epoch": state.epoch + 1,
            "step": state.steps_done,
            **self._step.take_figures(),
            **validated,
            "learning_rate": state.learning_rate(state.steps_done - 1),
            "images_per_second": state.images_seen / max(state.seconds_of_epoch, 1e-9),
            "seconds": state.seconds_of_epoch,
        }
        state.history.add(row)
        self._follow(state.schedule.epoch_ended(state.epoch, row.get("val_top1")), variables)
        epoch, whole = state.epoch, state.epoch_is_whole
        state.epoch, state.step_in_epoch, state.seconds_of_epoch = epoch + 1, 0, 0.0
        if whole:
            state.save(variables)
        logs = {name: value for name, value in row.items() if name != "epoch"}
        self._callbacks.on_epoch_end(epoch, logs=logs)

    def _validate(self) -> dict[str, float]:
        if self._validation is None:
            return {}
        figures = self._validation.run("validating").figures()
        return {f"val_{name}": value for name, value in figures.items()}

    def _follow(self, advice: str | None, variables: dict[str, np.ndarray]) -> None:
        state = self.state
        since = f"Validation top-1 has not improved since epoch {state.schedule.best_epoch + 1}"
        if advice == "best":
            kept = {"epoch": state.epoch + 1}
            state.checkpoints.save(state.steps_done, variables, kept, kind="best")
        elif advice == "drop":
            rate = state.learning_rate(state.steps_done)
            logging.info("%s: learning rate divided to %g.", since, rate)
        elif advice == "stop":
            logging.info("%s: stopping early.", since)
            state.stopped = True

    def _saved_for_later(self) -> Interrupted:
        when = f"after step {self.state.steps_done} (epoch {self.state.epoch + 1})"
        try:
            self.state.save_unless_saved()
        except NonFiniteError as error:
            when += f", which is not saved: {error}"
        return self._interruption.interrupted(when)

    def _recover(self, error: NonFiniteError) -> None:
        """Goes back to the newest checkpoint, or raises what the user shall read."""
        state, last, epoch = self.state, self.state.steps_done, self.state.epoch
        events = self._guard.events
        variables, saved = state.checkpoints.restore()
        if self._guard.may_step_back():
            state.take(variables, saved)
            # The checkpoint knows of the step backs before it only.
            self._guard.events = events
            self._guard.step_back(error, state.steps_done)
            return
        logging.info("Repeating steps %d to %d to find the layer.", saved["step"] + 1, last)

        def replay() -> Iterator[tuple[int, tuple | None]]:
            state.take(variables, saved)
            return self._repeated(last)

        try:
            place = nonfinite.locate(self._step, replay, error.step)
        except Interrupted:
            place = None
        first = "" if place is None else f"; first {place}"
        raise UserError(
            f"{error.what} (epoch {epoch + 1}{first}). The checkpoint of step {saved['step']} is "
            "from before and stays. Go on from it with --resume --on_nonfinite=step_back, or start "
            "again in another --workdir with a lower --learning_rate, or with --clip_norm 1."
        ) from error

    def _repeated(self, last: int) -> Iterator[tuple[int, tuple | None]]:
        state = self.state
        batches = self._batches_from(state.epoch, state.step_in_epoch)
        while state.steps_done < last and not state.epoch_is_over:
            batch = next(batches)
            yield state.steps_done, batch
            self._train_on(batch)
        yield state.steps_done, None
