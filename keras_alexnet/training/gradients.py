"""Loss and gradients of one replica's share of a batch."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf


class Gradients(NamedTuple):
    """What one replica computes on its share of a batch."""

    logits: tf.Tensor  # float32 [images, classes]
    losses: tf.Tensor  # float32 [images], each times its weight
    loss: tf.Tensor  # float32 scalar, this replica's share of the weighted mean
    gradients: list[tf.Tensor]  # one per variable that is trained


def share_of_gradients(
    batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    variables: list[keras.Variable],
    forward: Callable[[tf.Tensor], tf.Tensor],
    label_smoothing: float,
    scale: tf.Tensor | None,
) -> Gradients:
    """Computes the gradient of the weighted mean of the losses of a global batch, in part.

    To be called on a replica: the sum over all replicas is the gradient.

    Args:
        batch: this replica's images, labels and weights, as `TrainStep.run` describes them.
        variables: what the loss is differentiated by.
        forward: returns the logits of images.
        label_smoothing: share of the targets that is spread over all classes.
        scale: multiplies the loss in backpropagation, so that no gradient becomes 0; the results
            are not scaled. None for no scaling.
    """
    images, labels, weights = batch
    context = tf.distribute.get_replica_context()
    weight_sum = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weights))
    values = [variable.value for variable in variables]
    # A tape that watches all variables would go back to the first layer, frozen or not.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        logits = tf.cast(forward(images), tf.float32)
        targets = _targets(labels, logits.shape[-1], label_smoothing)
        losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits) * weights
        # The floor is for a batch in which no image could be read.
        loss = tf.reduce_sum(losses) / tf.maximum(weight_sum, 1e-30)
        scaled = loss if scale is None else loss * scale
    found = tape.gradient(scaled, values)
    if scale is not None:
        found = [gradient / scale for gradient in found]
    return Gradients(logits, losses, loss, found)


def _targets(labels: tf.Tensor, classes: int, label_smoothing: float) -> tf.Tensor:
    """Float32 `[images, classes]`, from numbers of classes or from the shares of mixed images."""
    targets = labels if labels.shape.rank == 2 else tf.one_hot(labels, classes)
    if label_smoothing:
        targets = targets * (1.0 - label_smoothing) + label_smoothing / classes
    return targets
