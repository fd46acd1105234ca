"""The name scope of written-out gradients, by which profiles find their layer."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def in_gradient_scope(gradient: Callable) -> Callable:
    """Returns a function for `tf.custom_gradient`, named as TensorFlow names its own gradients."""
    scope = tf.get_current_name_scope()

    def scoped(*upstream: tf.Tensor) -> Any:
        with tf.name_scope(f"gradient_tape/{scope}/"):
            return gradient(*upstream)

    return scoped if scope else gradient
