"""NaN and infinity in training: detection, the layer they come from, stepping back."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.training.step import TrainStep


class NonFiniteError(UserError):
    """Raised when the loss or a weight is NaN or infinite.

    Attributes:
        what: the message.
        step: the first bad step, counted from 1, or None if only the weights show it.
    """

    def __init__(self, what: str, step: int | None):
        super().__init__(what)
        self.what, self.step = what, step


class NonFiniteGuard:
    """Checks for NaN and infinity, and counts how often the run stepped back because of them.

    Args:
        step: the training step that is checked.
        step_backs: how often the run may return to its newest checkpoint; with 0, it stops.
        factor: what each step back divides the learning rate by.

    Attributes:
        events: one dict for each step back.

    Example:
        >>> guard = NonFiniteGuard(step=None, step_backs=3, factor=2.0)
        >>> guard.events = [{"back_to_step": 7}]
        >>> guard.divisor
        2.0
    """

    def __init__(self, step: TrainStep, step_backs: int = 0, factor: float = 2.0):
        self._step, self._step_backs, self._factor = step, step_backs, factor
        self.events: list[dict] = []

    @property
    def divisor(self) -> float:
        """What the learning rate of the schedule is divided by."""
        return self._factor ** len(self.events)

    def check(self) -> None:
        """Raises `NonFiniteError` if a loss so far was not finite."""
        step = self._step.first_non_finite_step
        if step is not None:
            raise NonFiniteError(f"The loss is NaN or infinite at step {step}", step)

    def finite_variables(self) -> dict[str, np.ndarray]:
        """Returns all variables after checking each of them.

        The loss does not show everything: a ReLU can turn the NaN of an earlier layer into 0.

        Raises:
            NonFiniteError: if a variable or an earlier loss is NaN or infinite.
        """
        self.check()
        variables = self._step.variables()
        for name, value in variables.items():
            if np.issubdtype(value.dtype, np.floating) and not np.all(np.isfinite(value)):
                raise NonFiniteError(
                    f"The weights of {self._step.path_of(name)} are NaN or infinite by step "
                    f"{self._step.steps_done}",
                    None,
                )
        return variables

    def may_step_back(self) -> bool:
        """Returns whether the run may step back again."""
        return len(self.events) < self._step_backs

    def step_back(self, error: NonFiniteError, step: int) -> None:
        """Records that the run returns to step `step`."""
        self.events.append({"what": error.what, "back_to_step": step})
        self.events[-1]["learning_rate_divided_by"] = self.divisor
        logging.warning(
            "%s. Returning to step %d with the learning rate divided by %g (step back %d of %d).",
            *(error.what, step, self.divisor, len(self.events), self._step_backs),
        )


def locate(
    step: TrainStep,
    replay: Callable[[], Iterator[tuple[int, tuple]]],
    epoch: int,
    bad_step: int | None,
) -> str | None:
    """Locates the first value that is not finite by repeating the steps.

    Args:
        step: the training step that `replay` runs.
        replay: starts at the newest checkpoint and yields pairs of the steps done and the next
            batch; it trains on a batch when the one after it is requested.
        epoch: the epoch of the repeated steps, from 0.
        bad_step: the first bad step, counted from 1, if it is known.

    Returns:
        The step and the place in words, or None if everything is finite this time.
    """
    if bad_step is None:
        passed = (done for done, _ in replay() if not _variables_are_finite(step))
        bad_step = next(passed, None)
    if bad_step is None:
        return None
    for done, batch in replay():
        if done == bad_step - 1:
            place = first_non_finite(step, batch, epoch)
            return None if place is None else f"at step {bad_step}, in {place}"
    return None


def first_non_finite(step: TrainStep, batch: tuple, epoch: int) -> str | None:
    """Trains on `batch` and returns, in words, the first place that is not finite.

    The order is that of the computation: weights, activations from the input on, gradients from
    the loss back, weights after the step.

    Args:
        step: the compiled training step.
        batch: images, labels and weights, as `TrainStep.run` takes them.
        epoch: from 0, as `TrainStep.run` takes it.

    Example:
        >>> first_non_finite(step, (images, labels, weights), epoch=0)  # doctest: +SKIP
        'the activations of conv3'
    """
    if (before := _bad_variable(step)) is not None:
        return f"the weights of {before}"
    layers = step.model.layers[1:]
    network = keras.Model(step.model.input, [layer.output for layer in layers])

    variables = step.trained_variables(epoch)

    def replica_flags(images: Any, labels: Any, weights: Any) -> list[tf.Tensor]:
        outputs: list[tf.Tensor] = []

        def forward(pixels: tf.Tensor) -> tf.Tensor:
            outputs.extend(network(pixels, training=True))
            return outputs[-1]

        found = step.gradients(images, labels, weights, variables, forward)
        bad = [_bad(outputs), _bad([found.loss]), _bad(found.gradients)]
        # All workers must find the same place.
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, bad)

    bad = step.on_replicas(tf.function(replica_flags, autograph=False), batch)
    activations, (loss,), gradients = (replicas[0] == 0 for replicas in bad)
    if not activations.all():
        return f"the activations of {layers[int(np.argmin(activations))].name}"
    if not loss:
        return "the loss"
    if not gradients.all():
        # Backpropagation begins at the last layer.
        last = len(gradients) - 1 - int(np.argmin(gradients[::-1]))
        return f"the gradient of {variables[last].path}"
    step.run(*batch, epoch=epoch)
    after = _bad_variable(step)
    return None if after is None else f"the update of {after}"


def _bad(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Float32 `[k]`: 1 for each tensor that holds NaN or infinity, else 0."""
    finite = tf.stack([tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors])
    return 1.0 - tf.cast(finite, tf.float32)


def _variables_are_finite(step: TrainStep) -> bool:
    return step.first_non_finite_step is None and _bad_variable(step) is None


def _bad_variable(step: TrainStep) -> str | None:
    for name, value in step.variables().items():
        if np.issubdtype(value.dtype, np.floating) and not np.all(np.isfinite(value)):
            return step.path_of(name)
    return None
