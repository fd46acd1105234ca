"""Notices a run that learns nothing: its loss stays where guessing would leave it."""

from collections import deque
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.step import TrainStep

_LOOKS = 5  # the last of these are averaged, so that a single good batch does not hide the rest
_FEWEST_STEPS = 100
_FEWEST_STEPS_AT_END = 40  # a run that is shorter has said at its start that it may be too short
_SHARE_OF_RUN = 5  # a run may stay at chance for a fifth of its steps, if that is not too long
_SHARE_OF_CHANCE = 0.99
_DIED = 0.9  # share of the units that are silent; initial weights leave about half of them silent
_ALL_DIED = 0.999  # nothing can come back, so that it is said before a fair number of steps


def loss_of_guessing(frequencies: np.ndarray, label_smoothing: float = 0.0) -> float:
    """Returns the mean loss of a network that knows only how frequent the classes are.

    Args:
        frequencies: float `[classes]`, with the sum 1.
        label_smoothing: share of the target that is spread over all classes.

    Example:
        >>> round(loss_of_guessing(np.full(10, 0.1)), 3)
        2.303
    """
    targets = frequencies * (1 - label_smoothing) + label_smoothing / len(frequencies)
    return float(-np.sum(targets * np.log(np.maximum(targets, 1e-30))))


class ChanceWatch:
    """Compares the loss of a run with that of guessing, and says once if it does not get below.

    Args:
        step: the training step.
        recipe: the recipe of the run.
        total_steps: the length of the run.
        frequencies: float `[classes]`, the share of each class in the loss.

    Attributes:
        event: what was noticed, for the results: step, loss, loss_of_guessing and silent_units, the
            share of the units before the logits that were 0 for every image of a batch; or None.

    Example:
        >>> watch = ChanceWatch(None, Recipe("mine", ""), total_steps=1000, frequencies=[0.5, 0.5])
        >>> watch.first_step, watch.event
        (200, None)

    A run in which all units before the logits have died says so earlier, and a run shorter than
    `first_step` is compared at its end.
    """

    def __init__(
        self,
        step: TrainStep,
        recipe: Recipe,
        total_steps: int,
        frequencies: Sequence[float] | np.ndarray,
    ):
        self._step, self._recipe, self._total_steps = step, recipe, total_steps
        self._guessing = loss_of_guessing(np.asarray(frequencies), recipe.label_smoothing)
        longest = max(1000, 5 * len(frequencies))  # with more classes, the loss falls later
        self.first_step = min(max(total_steps // _SHARE_OF_RUN, _FEWEST_STEPS), longest)
        self._before, self._epoch = (0.0, 0.0), 0
        self._parts: deque[tuple[float, float]] = deque(maxlen=_LOOKS)
        self.event: dict | None = None

    def look(self, steps_done: int, epoch: int, batch: tuple) -> None:
        """Compares the loss since the last looks; to be called every few steps and at the end.

        Args:
            steps_done: number of optimizer steps so far.
            epoch: number of the epoch; the step's sums begin anew with every epoch.
            batch: the images, labels and weights of the last step.
        """
        losses, _, _, weight, _ = self._step.totals.values()
        before = self._before if epoch == self._epoch else (0.0, 0.0)
        self._epoch = epoch
        self._parts.append((losses - before[0], weight - before[1]))
        self._before = losses, weight
        if self.event is not None or len(self._parts) < 2:
            return
        last, mean = self._mean(1), self._mean()
        if last < _SHARE_OF_CHANCE * self._guessing:
            return  # the mean may be high because the first steps went up, as those of alexnet do
        if self._is_time(steps_done) and mean >= _SHARE_OF_CHANCE * self._guessing:
            self._say(steps_done, mean, self._silent_units(batch))
        elif (silent := self._silent_units(batch)) > _ALL_DIED:
            self._say(steps_done, last, silent)

    def _is_time(self, steps_done: int) -> bool:
        at_end = steps_done >= max(self._total_steps, _FEWEST_STEPS_AT_END)
        return at_end or (steps_done >= self.first_step and len(self._parts) == _LOOKS)

    def _mean(self, looks: int = _LOOKS) -> float:
        """The mean loss of the last looks, without the first of a run, when the rate was low."""
        first = 0 if len(self._parts) == _LOOKS else 1
        parts = list(self._parts)[first:][-looks:]
        return sum(part[0] for part in parts) / max(sum(part[1] for part in parts), 1e-30)

    def _say(self, steps_done: int, loss: float, silent: float) -> None:
        self.event = {
            "step": steps_done,
            "loss": loss,
            "loss_of_guessing": self._guessing,
            "silent_units": silent,
        }
        logging.warning("%s", self._advice(steps_done, loss, silent))

    def _silent_units(self, batch: tuple) -> float:
        """The share of the units before the logits that are 0 for every image of a replica."""
        model = self._step.model
        hidden = keras.Model(model.input, model.get_layer("logits").input)

        def silent(images: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            are_zero = tf.reduce_all(hidden(images, training=False) == 0, axis=0)
            return tf.reduce_mean(tf.cast(are_zero, tf.float32))

        return float(np.mean(self._step.on_replicas(lambda *args: (silent(*args),), batch)))

    def _advice(self, steps: int, loss: float, silent: float) -> str:
        said = (
            f"The loss has not left chance in {steps} steps: it is {loss:.3f}, and guessing gives "
            f"{self._guessing:.3f}."
        )
        if silent > _DIED:
            said += (
                f" {silent:.1%} of the units before the logits are 0 for every image: they have "
                "died, and do not come back."
            )
        clip = "" if self._recipe.clip_norm else ", with --clip_norm 1"
        muon = ""
        if self._recipe.optimizer == "muon":
            muon = f" and --muon_rate (it is {self._recipe.muon_rate:g})"
        return (
            f"{said} If it stays so, start again with a lower --learning_rate (it is "
            f"{self._recipe.scaled_learning_rate:g}){muon}{clip}, or with more --warmup_steps "
            f"(there are {self._recipe.warmup_steps}) and --epochs, so that the rate rises more "
            "slowly."
        )
