"""The training loop: epochs of steps, validation, checkpoints, and standard Keras callbacks.

It exists because Keras 3's `fit` can neither resume inside an epoch nor run on several hosts.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from keras_alexnet.distributed.cluster import Cluster, SingleProcess
from keras_alexnet.errors import Interrupted, UserError
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.training import nonfinite
from keras_alexnet.training.nonfinite import NonFiniteError
from keras_alexnet.training.optimizer import rates_of_step
from keras_alexnet.training.signals import Interruption
from keras_alexnet.training.state import RunState
from keras_alexnet.utils.terminal import Progress

# Reading the loss waits for the device, so it is not done at every step.
STEPS_BETWEEN_LOOKS = 20

# For the same reason, workers do not ask each other at every step whether one of them got a signal.
STEPS_BETWEEN_AGREEMENTS = 5


class TrainingLoop:
    """Trains from the newest checkpoint, or from the start, to the end.

    Args:
        state: the state of the run, with the step, the schedule and the checkpoints.
        batches_from: (epoch, step in epoch) → endless batches from there on.
        interruption: knows whether a signal came.
        cluster: the workers that train together.
        validation: evaluator of the images held out, or None.
        checkpoint_every_steps: the number of steps between checkpoints inside an epoch, or None.
        callbacks: Keras callbacks; their batch hooks get no logs.

    One process stops after the step in which a signal came. Workers that train together stop after
    the next step at which they agree, at most `STEPS_BETWEEN_AGREEMENTS` later, or when the steps
    of the epoch are done; a signal during validation waits for its end. A signal to a worker that
    waits for data waits too; a second Ctrl-C or SIGKILL ends it, without saving.
    """

    def __init__(
        self,
        state: RunState,
        *,
        batches_from: Callable[[int, int], Iterator],
        interruption: Interruption,
        cluster: Cluster | None = None,
        validation: Evaluator | None = None,
        checkpoint_every_steps: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ):
        self.state, self._step, self._guard = state, state.step, state.guard
        self._batches_from, self._interruption = batches_from, interruption
        self._cluster = cluster or SingleProcess()
        self._validation, self._every = validation, checkpoint_every_steps
        model, length = self._step.model, state.length
        self._callbacks = keras.callbacks.CallbackList(
            list(callbacks), model=model, epochs=length.epochs, steps=length.steps_per_epoch
        )
        # What `fit` sets for callbacks: TensorBoard reads the optimizer, others set stop_training.
        model.optimizer, model.stop_training = self._step.optimizer, False
        self._shown: dict[str, str] = {}

    def run(self) -> None:
        """Trains to the end, and adds a row of metrics per epoch to the state's history.

        Raises:
            UserError: if the loss is NaN or infinite, or an image cannot be read.
            Interrupted: if a signal came; then everything is saved.
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
        """Trains to the end and returns True, or False after a step back to a checkpoint."""
        state = self.state
        batches = self._batches_from(state.epoch, state.step_in_epoch)
        try:
            while state.epoch < state.length.epochs and not self._ended():
                self._callbacks.on_epoch_begin(state.epoch)
                self._run_steps(batches)
                self._end_epoch()
        except NonFiniteError as error:
            self._step_back_or_explain(error)
            return False
        return True

    def _ended(self) -> bool:
        state = self.state
        if state.step_in_epoch:
            return False  # stopped after the last step of an epoch that is not validated yet
        # A callback may stop one worker: all of them must stop then.
        stopped = self._cluster.any(state.stopped or self._step.model.stop_training)
        return stopped or state.all_steps_done

    def _run_steps(self, batches: Iterator) -> None:
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
                # Not at the end of the epoch, which saves the result of the validation too.
                if self._every and state.steps_done % self._every == 0 and not state.epoch_is_over:
                    state.save(self._guard.finite_variables())
        state.seconds_of_epoch = before + time.monotonic() - started

    def _one_step(self, batch: tuple) -> None:
        state = self.state
        self._callbacks.on_train_batch_begin(state.step_in_epoch)
        self._train_on(batch)
        if state.steps_done % STEPS_BETWEEN_LOOKS == 0 or state.all_steps_done:
            self._guard.check()
            if self._step.loss_scale is not None:
                self._step.loss_scale.report()
            figures = self._step.totals.figures()
            self._shown = {name: f"{figures[name]:.3f}" for name in ("loss", "top1")}
            state.chance.look(state.steps_done, state.epoch, batch)
        self._callbacks.on_train_batch_end(state.step_in_epoch - 1)

    def _train_on(self, batch: tuple) -> None:
        state = self.state
        number = state.steps_done
        factor = functools.partial(state.schedule.factor, number)
        step, rate = self._step, state.learning_rate(number)
        try:
            rates = rates_of_step(step.optimizer, step.model, rate, factor)
            step.run(*batch, epoch=state.epoch, rates=rates)
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                "The devices ran out of memory with a global batch of "
                f"{state.length.global_batch_size} images. Choose a smaller --global_batch_size."
            ) from error
        state.step_in_epoch += 1

    def _end_epoch(self) -> None:
        state, variables = self.state, self._guard.finite_variables()
        # Before the state changes: a signal during validation saves the state before it.
        self._interruption.agree()
        if not state.epoch_is_whole:
            # The last checkpoint of a run that --max_steps ends: with more steps, it resumes here.
            state.save(variables)
        row = self._row_of_epoch()
        state.history.add(row)
        advice = state.schedule.epoch_ended(state.epoch, row.get("val_top1"))
        self._follow(advice)
        epoch, whole = state.epoch, state.epoch_is_whole
        best = {"epoch": epoch + 1} if advice == "best" else None
        if best and not whole:
            state.checkpoints.save(state.steps_done, variables, best, kind="best")
        state.epoch, state.step_in_epoch, state.seconds_of_epoch = epoch + 1, 0, 0.0
        if whole:
            state.save(variables, best)
        logs = {name: value for name, value in row.items() if name != "epoch"}
        self._callbacks.on_epoch_end(epoch, logs=logs)

    def _row_of_epoch(self) -> dict[str, Any]:
        """Validates, and returns the row of metrics.csv."""
        state, validated = self.state, {}
        if self._validation is not None:
            with self._step.averaged():
                figures = self._validation.run("validating").figures()
            validated = {f"val_{name}": value for name, value in figures.items()}
        return {
            "epoch": state.epoch + 1,
            "step": state.steps_done,
            **self._step.totals.take_figures(),
            **validated,
            "learning_rate": state.learning_rate(state.steps_done - 1),
            "images_per_second": state.images_seen / max(state.seconds_of_epoch, 1e-9),
            "seconds": state.seconds_of_epoch,
        }

    def _follow(self, advice: str | None) -> None:
        """Lowers the rate or stops, as the schedule says at the end of an epoch."""
        state = self.state
        since = f"Validation top-1 has not improved since epoch {state.schedule.best_epoch + 1}"
        if advice == "drop":
            rate = state.learning_rate(state.steps_done)
            logging.info("%s: learning rate lowered to %g.", since, rate)
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

    def _step_back_or_explain(self, error: NonFiniteError) -> None:
        """Returns to the newest checkpoint, or raises an error that names the layer."""
        state, last, epoch = self.state, self.state.steps_done, self.state.epoch
        events = self._guard.events
        newest = state.checkpoints.restore()
        assert newest is not None  # `RunState.begin` saved the first
        variables, saved = newest
        if self._guard.may_step_back():
            state.take(variables, saved)
            # The checkpoint has only the step backs before it.
            self._guard.events = events
            self._guard.step_back(error, state.steps_done)
            return
        logging.info("Repeating steps %d to %d to locate the layer.", saved["step"] + 1, last)

        def replay() -> Iterator[tuple[int, Any]]:
            state.take(variables, saved)
            return self._repeated(last)

        try:
            place = nonfinite.locate(self._step, replay, saved["epoch"], error.step)
        except Interrupted:
            place = None
        first = "" if place is None else f"; first {place}"
        raise UserError(
            f"{error.what} (epoch {epoch + 1}{first}). The checkpoint of step {saved['step']} "
            "precedes it and is kept. Resume from it with --resume --on_nonfinite=step_back, or "
            "start again in another --workdir with a lower --learning_rate, or with --clip_norm=1."
        ) from error

    def _repeated(self, last: int) -> Iterator[tuple[int, Any]]:
        state = self.state
        batches = self._batches_from(state.epoch, state.step_in_epoch)
        while state.steps_done < last and not state.epoch_is_over:
            batch = next(batches)
            yield state.steps_done, batch
            self._train_on(batch)
        yield state.steps_done, None
