"""Loss, top-1, top-5, per-class accuracy and confusion matrix of an evaluation."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_alexnet.data.splits import Split


def ranks(scores: np.ndarray | tf.Tensor, labels: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Returns the rank, from 1, of each image's own class among all classes: int32 [images].

    Ties count against the network, so that constant scores do not count as correct.

    Args:
        scores: [images, classes], such as logits or log-probabilities.
        labels: int [images], each in [0, classes).

    Example:
        >>> ranks(np.float32([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]]), [2, 0]).numpy()
        array([2, 2], dtype=int32)
    """
    own = tf.gather(scores, labels, axis=1, batch_dims=1)[:, None]
    return tf.reduce_sum(tf.cast(scores >= own, tf.int32), axis=1)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The log-probabilities that a network gave to the images of a split.

    Attributes:
        log_probabilities: float32 [images, classes]; over several views, the logarithm of the
            mean of their probabilities (paper, section 4.1).
        labels: int32 [images].
        views: number of views of each image: 1, 2 or 10.
        split: the images, without those that could not be read; None if they are not known.
    """

    log_probabilities: np.ndarray
    labels: np.ndarray
    views: int
    split: Split | None = None

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        own = self.log_probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.mean(own, dtype=np.float64))

    @property
    def predictions(self) -> np.ndarray:
        """The likeliest class of each image, int64 [images]."""
        return np.argmax(self.log_probabilities, axis=1)

    def top(self, k: int) -> float:
        """Returns the share of images, 0–1, whose label is among the `k` likeliest classes.

        Ties count against the network, as in `ranks`; `predictions`, which must name one class,
        takes the first of equal ones.
        """
        return float(np.mean(ranks(self.log_probabilities, self.labels).numpy() <= k))

    def confusion(self) -> np.ndarray:
        """Returns the confusion matrix: counts, int64 [true class, predicted class]."""
        classes = self.log_probabilities.shape[1]
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.labels, self.predictions), 1)
        return counts

    def per_class_accuracy(self) -> np.ndarray:
        """Returns the accuracy of each class, float64 [classes]; NaN if it has no images."""
        counts = self.confusion()
        totals = counts.sum(axis=1)
        return np.divide(
            np.diag(counts), totals, out=np.full(len(totals), np.nan), where=totals > 0
        )

    def figures(self) -> dict[str, float]:
        """Returns loss, top1 and top5."""
        return {"loss": self.loss, "top1": self.top(1), "top5": self.top(5)}
