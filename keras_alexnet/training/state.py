"""The state of a run: its progress, its metrics, and what a checkpoint holds."""

import math
import os
import pathlib
import time

import numpy as np
from absl import logging

from keras_alexnet.data.failures import LostImages
from keras_alexnet.errors import UserError
from keras_alexnet.training.chance import ChanceWatch
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.training.length import Length
from keras_alexnet.training.nonfinite import NonFiniteGuard
from keras_alexnet.training.schedule import Schedule
from keras_alexnet.training.step import TrainStep
from keras_alexnet.utils import files, json_files, machine
from keras_alexnet.utils.json_schema import COUNT, Number, OneOf

# What a checkpoint says of the run, besides its variables.
_STATE = {
    **dict.fromkeys(("step", "epoch", "step_in_epoch"), COUNT),
    "steps_per_epoch": Number(least=1, whole=True),
    **dict.fromkeys(("seconds_of_epoch", "seconds"), Number(least=0)),
    "stopped": bool,
    "totals": [float],
    "schedule": {"drops": COUNT, "best_top1": float, "best_epoch": int, "last_drop_epoch": int},
    "history": [{"epoch": COUNT, ...: float}],
    "step_backs": [dict],
    "lost_images": [str],
    "at_chance?": OneOf(None, dict),
    "peak_memory_bytes?": OneOf(None, COUNT),
}


def _in_words(value: float) -> str:
    """Returns a figure as text, a large one with all digits before the point.

    Example:
        >>> _in_words(12512), _in_words(0.98765)
        ('12,512', '0.9877')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


class History:
    """The rows of metrics.csv, a file that is replaced whenever they change.

    Args:
        path: the file, or None on a worker that does not write it.
        dataset: name of the data, which is the first column.
        epochs: the largest number of epochs.

    Attributes:
        rows: one dict per epoch.

    Example:
        >>> history = History("metrics.csv", "shapes", epochs=2)
        >>> history.add({"epoch": 1, "loss": 0.5})
        >>> history.rows
        [{'epoch': 1, 'loss': 0.5}]
    """

    def __init__(self, path: str | os.PathLike | None, dataset: str, epochs: int):
        self._path = None if path is None else pathlib.Path(path)
        self._dataset, self._epochs = dataset, epochs
        self.rows: list[dict] = []

    def add(self, row: dict) -> None:
        """Adds the row of an epoch, and logs it."""
        # A resumed run may hold images out when it did not before, or the reverse.
        names = dict.fromkeys([*(self.rows[0] if self.rows else ()), *row])
        rows = [*self.rows, row]
        self.rows = [{name: one.get(name, math.nan) for name in names} for one in rows]
        self._write()
        figures = {name: value for name, value in row.items() if name != "epoch"}
        words = ", ".join(f"{name} {_in_words(value)}" for name, value in figures.items())
        logging.info("epoch %d/%d: %s", row["epoch"], self._epochs, words)

    def restore(self, rows: list[dict]) -> None:
        """Restores the rows of a checkpoint, and drops all others."""
        self.rows = list(rows)
        self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        if not self.rows:
            self._path.unlink(missing_ok=True)
            return
        files.write_csv(self._path, [{"dataset": self._dataset, **row} for row in self.rows])


class RunState:
    """The state of a run, which its checkpoints save and restore.

    Args:
        step: the compiled step with model, optimizer and running totals.
        schedule: the learning rate schedule.
        length: how long the run is.
        history: the rows of metrics.csv.
        guard: counts the step backs.
        lost: counts the images that can no longer be read.
        chance: notices if the run learns nothing.
        checkpoints: where the state is saved.

    Attributes:
        epoch: the current epoch, from 0.
        step_in_epoch: the number of its steps that are done.
        seconds_of_epoch: wall time of these steps.
        seconds_before: wall time of earlier processes of a resumed run.
        peak_memory_before: the most memory that one of them held, in bytes, or None.
        stopped: whether the schedule has ended the run early.
        kept_epoch: the epoch, from 1, whose weights `restore_kept` chose.
        skipped_steps: the steps of the whole run that loss scaling skipped, as `restore_kept` found
            them; None if the loss is not scaled.
    """

    def __init__(
        self,
        step: TrainStep,
        schedule: Schedule,
        length: Length,
        history: History,
        guard: NonFiniteGuard,
        lost: LostImages,
        chance: ChanceWatch,
        checkpoints: Checkpoints,
    ):
        self.step, self.schedule, self.length = step, schedule, length
        self.history, self.guard, self.lost = history, guard, lost
        self.chance, self.checkpoints = chance, checkpoints
        self.epoch = self.step_in_epoch = 0
        self.seconds_of_epoch = self.seconds_before = 0.0
        self.peak_memory_before: int | None = None
        self.stopped = False
        self.kept_epoch: int | None = None
        self.skipped_steps: int | None = None
        self._began = time.monotonic()
        self._saved_at: tuple[int, int] | None = None

    @property
    def steps_done(self) -> int:
        """Number of optimizer steps so far."""
        return self.epoch * self.length.steps_per_epoch + self.step_in_epoch

    @property
    def images_seen(self) -> int:
        """Number of images of this epoch that were trained on."""
        seen = self.step_in_epoch * self.length.global_batch_size
        return min(seen, self.length.train_images)

    @property
    def epoch_is_whole(self) -> bool:
        """Whether all steps of this epoch are done."""
        return self.step_in_epoch == self.length.steps_per_epoch

    @property
    def epoch_is_over(self) -> bool:
        """Whether no step of this epoch is left: it is whole, or `max_steps` ends the run in it."""
        return self.epoch_is_whole or self.all_steps_done

    @property
    def all_steps_done(self) -> bool:
        """Whether the run has all its steps."""
        return self.steps_done >= self.length.total_steps

    @property
    def seconds(self) -> float:
        """Wall time of training, over all processes of a resumed run."""
        return self.seconds_before + time.monotonic() - self._began

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that a process of the run has held, or None where that is unknown."""
        known = [peak for peak in (self.peak_memory_before, machine.peak_memory()) if peak]
        return max(known, default=None)

    def learning_rate(self, step: int) -> float:
        """Returns the rate of step `step`, counted from 0."""
        return self.schedule.learning_rate(step) / self.guard.divisor

    def events(self) -> dict:
        """Returns what happened in the run besides learning; all workers must call it."""
        return {
            "step_backs": self.guard.events,
            "lost_images": self.lost.names(),
            "at_chance": self.chance.event,
        }

    def begin(self) -> None:
        """Resumes from the newest checkpoint, or saves the initial state if there is none.

        Raises:
            UserError: if no checkpoint is intact, or they are of a different network.
        """
        self._began = time.monotonic()
        if (restored := self.checkpoints.restore()) is None:
            # A run that is killed or finds a NaN in its first epoch has a checkpoint to return to.
            self.save(self.guard.finite_variables())
            return
        variables, state = restored
        if "steps_per_epoch" not in state:
            raise UserError(
                f"The checkpoints in {self.checkpoints.folder} were written by an older version "
                "and hold too little to resume from. Start again in another --workdir."
            )
        self.take(variables, state)
        self.seconds_before = state["seconds"]
        self.peak_memory_before = state.get("peak_memory_bytes")
        self.checkpoints.remove_after(state["step"])
        self._refuse_without_best()
        if state["steps_per_epoch"] != self.length.steps_per_epoch:
            # Steps are renumbered, so the names of older checkpoints no longer give their order.
            self.step_in_epoch, self.seconds_of_epoch = 0, 0.0
            self.step.totals.reset()
            if (best := self.checkpoints.restore("best")) is not None:
                self.checkpoints.save(self.steps_done, *best, kind="best")
            self.save(variables)
            self.checkpoints.remove_all_but(self.steps_done)
        logging.info("Resuming from step %d (epoch %d).", self.steps_done, self.epoch + 1)

    def save(self, variables: dict[str, np.ndarray], best: dict | None = None) -> None:
        """Writes a checkpoint with `variables`, the variables of the step.

        Args:
            variables: name → value.
            best: the state of a checkpoint of the best weights, if these are the best.
        """
        state = {
            "epoch": self.epoch,
            "step_in_epoch": self.step_in_epoch,
            "steps_per_epoch": self.length.steps_per_epoch,
            "seconds_of_epoch": self.seconds_of_epoch,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "stopped": self.stopped,
            "totals": self.step.totals.values(),
            "schedule": self.schedule.state(),
            "history": self.history.rows,
            **self.events(),
        }
        self.checkpoints.save(self.steps_done, variables, state, best=best)
        self._saved_at = (self.epoch, self.step_in_epoch)

    def save_unless_saved(self) -> None:
        """Writes a checkpoint, unless the newest one is of this step.

        Raises:
            NonFiniteError: if weights are not finite; then nothing is written.
        """
        if self._saved_at != (self.epoch, self.step_in_epoch):
            self.save(self.guard.finite_variables())

    def take(self, variables: dict[str, np.ndarray], state: dict) -> None:
        """Restores the state of a checkpoint.

        Raises:
            UserError: if it is damaged, or of a different network.
        """
        name = f"The checkpoint of step {state.get('step')} in {self.checkpoints.folder}"
        json_files.matched(state, _STATE, name, "Remove it, to resume from another.", nan=True)
        try:
            self.step.restore(variables)
        except ValueError as error:
            raise UserError(f"The checkpoint is of a different network: {error}") from error
        self.step.totals.assign(state["totals"])
        self.schedule.restore(state["schedule"])
        self.epoch, self.step_in_epoch = state["epoch"], state["step_in_epoch"]
        self._saved_at = (self.epoch, self.step_in_epoch)
        self.seconds_of_epoch, self.stopped = state["seconds_of_epoch"], state["stopped"]
        self.guard.events = list(state["step_backs"])
        self.lost.restore(state["lost_images"])
        self.chance.event = state.get("at_chance")
        # Rows written after the checkpoint are of steps that will be repeated.
        self.history.restore(state["history"])

    def _refuse_without_best(self) -> None:
        # Now, because at the end the whole training would have been for nothing.
        has_best = self.schedule.best_epoch >= 0
        if self.schedule.recipe.keep == "best" and has_best:
            if self.checkpoints.newest_step("best") is None:
                raise UserError(
                    f"The best weights so far, of epoch {self.schedule.best_epoch + 1}, are "
                    f"missing from {self.checkpoints.folder}. Put them back from a copy; or pass "
                    "--keep=last --allow_change=keep to keep those of the last epoch; or start "
                    "again in another --workdir."
                )

    def restore_kept(self, keep: str) -> None:
        """Restores the weights that the run keeps, and notes their epoch.

        Args:
            keep: "last" for the last epoch's, "best" for the best by validation.

        Raises:
            UserError: if the best weights are missing.
        """
        self.skipped_steps = self.step.skipped_steps  # the kept weights have an earlier number
        if keep == "last":
            self.kept_epoch = self.history.rows[-1]["epoch"]
            return
        if (best := self.checkpoints.restore("best")) is None:
            raise UserError(
                f"The best weights are missing from {self.checkpoints.folder}. Train again in "
                "another --workdir."
            )
        variables, saved = best
        self.step.restore(variables)
        self.kept_epoch = saved["epoch"]
