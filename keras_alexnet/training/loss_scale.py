"""Dynamic loss scaling for mixed_float16: the scale, its rule, and the steps that it skips."""

from collections.abc import Callable

import keras
import tensorflow as tf
from absl import logging

_INITIAL, _INTERVAL, _FACTOR = 2.0**15, 2000, 2.0  # Keras's and PyTorch's rule


class LossScale:
    """What the loss is multiplied by before backpropagation, so that no gradient is lost.

    Small gradients would become 0 in float16, and large ones infinite. A step with a gradient that
    is not finite on any replica changes no weight, and the scale is halved; after 2000 steps
    without one, it is doubled. The scale does not fall below 1: what is not finite there is not so
    because of the scale.

    Like the model, it must be made inside `strategy.scope()`. Keras's `LossScaleOptimizer` is not
    used: it looks at the gradients before they are summed, on the first replica only, and would
    scale decay and clipping as well.

    Example:
        >>> loss_scale = LossScale()
        >>> loss_scale.guard(tf.constant(False), lambda: None)
        >>> float(loss_scale.value), int(loss_scale.skipped)
        (16384.0, 1)
    """

    def __init__(self) -> None:
        def variable(value: float, dtype: str, name: str) -> keras.Variable:
            return keras.Variable(
                *(value, None, dtype, False), name=name, aggregation="only_first_replica"
            )

        self._scale = variable(_INITIAL, "float32", "scale")
        self._finite_steps = variable(0, "int64", "finite_steps")  # since the scale changed
        self._skipped = variable(0, "int64", "skipped_steps")
        self._is_reported = False

    @property
    def variables(self) -> list[keras.Variable]:
        """What a checkpoint must hold."""
        return [self._scale, self._finite_steps, self._skipped]

    @property
    def value(self) -> tf.Tensor:
        """The scale, float32 scalar."""
        return tf.convert_to_tensor(self._scale.value)

    @property
    def skipped(self) -> tf.Tensor:
        """The number of steps that changed no weight, int64 scalar."""
        return tf.convert_to_tensor(self._skipped.value)

    def guard(self, finite: tf.Tensor, update: Callable[[], None]) -> None:
        """Does `update` if the gradients are finite, and changes the scale by the rule.

        To be called outside of the replicas, where all of them agree on `finite`, a bool scalar.
        """
        scale, steps = self.value, tf.convert_to_tensor(self._finite_steps.value) + 1

        def go_on() -> None:
            update()
            grows = steps >= _INTERVAL
            larger = scale * _FACTOR
            grown = tf.where(grows & tf.math.is_finite(larger), larger, scale)
            self._scale.assign(grown)
            self._finite_steps.assign(tf.where(grows, tf.zeros_like(steps), steps))

        def skip() -> None:
            self._scale.assign(tf.maximum(scale / _FACTOR, 1.0))
            self._finite_steps.assign(tf.zeros_like(steps))
            self._skipped.assign(self._skipped + 1)

        tf.cond(finite, go_on, skip)

    def report(self) -> None:
        """Logs, once, that steps were skipped."""
        if self._is_reported or not (skipped := int(self.skipped)):
            return
        self._is_reported = True
        logging.info(
            "mixed_float16: %d of the steps so far changed no weight, because a gradient was not "
            "finite; the loss scale is now %g. A few are usual. results.json will have their "
            "number, skipped_steps.",
            *(skipped, float(self.value)),
        )
