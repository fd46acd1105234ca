"""The running sums of a training step: losses, hits, weights and images."""

import tensorflow as tf

from keras_alexnet.evaluation import metrics


class Totals:
    """Sums over the batches since the last reset, on all replicas.

    Like the model, it must be made inside `strategy.scope()`.

    Example:
        >>> totals = Totals()
        >>> logits = tf.constant([[2.0, 1.0], [2.0, 1.0]])
        >>> totals.add(logits, tf.constant([0.5, 1.5]), tf.constant([0, 1]), tf.ones(2))
        >>> totals.figures()
        {'loss': 1.0, 'top1': 0.5, 'top5': 1.0}
    """

    def __init__(self) -> None:
        self._sums = tf.Variable(
            tf.zeros(5, tf.float64),
            trainable=False,
            name="totals",
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def add(
        self, logits: tf.Tensor, losses: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> None:
        """Adds one replica's share of a batch.

        Args:
            logits: float32 `[images, classes]`.
            losses: float32 `[images]`, each times its weight.
            labels: int32 `[images]`, or float32 `[images, classes]` for mixed images, which count
                as those of their larger share.
            weights: float32 `[images]`; 0 for padding.
        """
        real = tf.cast(weights > 0, tf.float32)
        if labels.shape.rank == 2:
            labels = tf.argmax(labels, axis=1, output_type=tf.int32)
        ranks = metrics.ranks(logits, labels)
        hits = [tf.reduce_sum(tf.cast(ranks <= k, tf.float32) * real) for k in (1, 5)]
        sums = [tf.reduce_sum(losses), *hits, tf.reduce_sum(weights), tf.reduce_sum(real)]
        self._sums.assign_add(tf.cast(tf.stack(sums), tf.float64))

    def values(self) -> list[float]:
        """Returns the sums: losses, top-1 and top-5 hits, weights, images."""
        return [float(value) for value in self._sums.numpy()]

    def assign(self, values: list[float]) -> None:
        """Restores the sums that `values` returned."""
        # Assigning to a per-replica variable divides the value among the replicas.
        self._sums.assign(tf.constant(values, tf.float64))

    def reset(self) -> None:
        """Sets the sums to zero."""
        self.assign([0.0] * 5)

    def figures(self) -> dict[str, float]:
        """Returns the mean loss, top1 and top5."""
        loss, top1, top5, weight, images = self.values()
        weight, images = max(weight, 1e-30), max(images, 1.0)
        return {"loss": loss / weight, "top1": top1 / images, "top5": top5 / images}

    def take_figures(self) -> dict[str, float]:
        """Returns what `figures` does, and sets the sums to zero."""
        figures = self.figures()
        self.reset()
        return figures
