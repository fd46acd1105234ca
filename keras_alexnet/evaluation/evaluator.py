"""The evaluator: a compiled forward pass over a split, on all devices."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.data import failures, pipeline
from keras_alexnet.data.failures import LostImages, not_lost
from keras_alexnet.data.images import DamagedImages
from keras_alexnet.data.splits import Split
from keras_alexnet.distributed.cluster import cluster_of
from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.networks.build import logits_of
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.trained import TrainedNetwork, check_finite
from keras_alexnet.utils.terminal import Progress


class Evaluator:
    """Evaluates a network on a split, any number of times, with one graph.

    Args:
        model: a Keras model that `build` made, with or without a softmax after the logits, or a
            trained network of any kind.
        split: the images.
        plan: how images become inputs.
        batch_size: number of views in one step, over all devices together.
        views: 1, 2 or 10.
        strategy: the distribution strategy under which the model was built; the current one
            when None.
        check: called before every batch, and while waiting for one; may raise.
        lost: counts images that can no longer be read, and leaves them out of `split`; when
            None, they are an error.

    Workers that train together evaluate one part each; a worker that loses an image evaluates the
    rest of its part again. The results are gathered at the end, so all workers must call `run`.

    Example:
        >>> import keras_alexnet as ka
        >>> data = ka.load_dataset("shapes")
        >>> model = ka.build("cifar_v2")
        >>> plan = ka.variants.get("cifar_v2").image_plan_for()
        >>> Evaluator(model, data.test, plan).run().top(5)  # doctest: +SKIP
        0.5
    """

    def __init__(
        self,
        model: keras.Model | TrainedNetwork,
        split: Split,
        plan: ImagePlan,
        *,
        batch_size: int = 256,
        views: int = 1,
        strategy: tf.distribute.Strategy | None = None,
        check: Callable[[], None] = lambda: None,
        lost: LostImages | None = None,
    ):
        self.split, self._whole, self.views, self._plan = split, split, views, plan
        self._check, self._lost = check, lost
        self._strategy = strategy or tf.distribute.get_strategy()
        self._cluster = cluster_of(self._strategy)
        replicas = self._cluster.local_replicas(self._strategy)
        self._batch_size = -(-max(1, batch_size // views) // replicas) * replicas
        # This comes first, because it rejects models that build() did not make.
        network, self._classes = _forward(model)
        # Workers get whole batches, so that results do not depend on the number of workers.
        self._take(self._cluster.own_rows(len(split), self._batch_size))
        self._step = self._make_step(network)

    def run(self, description: str = "evaluating") -> Evaluation:
        """Evaluates the model's current weights.

        Raises:
            UserError: if an image cannot be read, or the network computes NaN or infinity.
        """
        own = self._evaluated_own(description)
        log_probabilities = self._gathered(own).reshape(-1, self._classes)
        self.split = self._whole.subset(self._gathered(self._rows))
        check_finite(log_probabilities)
        labels = np.asarray(self.split.labels)
        return Evaluation(log_probabilities, labels, self.views, self.split)

    def _take(self, rows: np.ndarray) -> None:
        """Sets the images that this worker evaluates: those at `rows` of the whole split."""
        self._rows, self._own = rows, self._whole.subset(rows)
        batches = pipeline.eval_batches(
            self._own, self._plan, batch_size=self._batch_size, views=self.views
        )
        # AutoGraph, which takes a second, has nothing to convert here or in the step.
        padded = batches.map(tf.autograph.experimental.do_not_convert(self._pad))
        endless = padded.concatenate(self._nothing(batches.element_spec[0]))
        self._batches = self._cluster.distribute(endless, self._strategy, self._batch_size)

    def _evaluated_own(self, description: str) -> np.ndarray:
        """float32 `[images, classes]` of this worker's part, without lost images."""
        while True:
            try:
                return self._tried(description)
            except DamagedImages as error:
                if self._lost is None:
                    raise
                self._lost.add(error)
                self._take(self._rows[not_lost(self._own)])

    def _tried(self, description: str) -> np.ndarray:
        parts, images = [np.zeros((0, self._classes), np.float32)], len(self._own)
        batches = failures.supplied(self._batches, self._own, self._check)
        with Progress(images, description) as progress:
            for first in range(0, images, self._batch_size):
                replicas = self._strategy.experimental_local_results(self._step(next(batches)))
                part = np.concatenate([replica.numpy() for replica in replicas])
                parts.append(part[: images - first])
                progress.advance(len(parts[-1]))
        return np.concatenate(parts)

    def _gathered(self, own: np.ndarray) -> np.ndarray:
        """The values of all workers in order, flat."""
        return np.frombuffer(b"".join(self._cluster.gather(own.tobytes())), own.dtype)

    def _pad(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        # Every replica gets the same number of images; `run` removes the padding.
        missing = self._batch_size - tf.shape(images)[0]
        padding = [[0, missing]] + [[0, 0]] * (images.shape.rank - 1)
        padded = tf.pad(images, padding)
        return tf.ensure_shape(padded, [self._batch_size, *images.shape[1:]])

    def _nothing(self, spec: tf.TensorSpec) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(
            tf.zeros([self._batch_size, *spec.shape[1:]], spec.dtype)
        ).repeat()

    def _make_step(self, network: Callable[[tf.Tensor], tf.Tensor]) -> Callable:
        views, strategy = self.views, self._strategy

        def replica_step(images: tf.Tensor) -> tf.Tensor:
            if views > 1:
                images = tf.reshape(images, [-1, *images.shape[2:]])
            logits = tf.cast(network(images), tf.float32)
            log_probabilities = tf.nn.log_softmax(logits)
            by_view = tf.reshape(log_probabilities, [-1, views, logits.shape[-1]])
            return tf.reduce_logsumexp(by_view, axis=1) - tf.math.log(float(views))

        @functools.partial(tf.function, autograph=False)
        def step(images: tf.Tensor) -> tf.Tensor:
            return strategy.run(replica_step, args=(images,))

        return step


def _forward(
    model: keras.Model | TrainedNetwork,
) -> tuple[Callable[[tf.Tensor], tf.Tensor], int]:
    """A function from pixels to logits, for graphs, and the number of classes."""
    if isinstance(model, TrainedNetwork) and not isinstance(model.model, keras.Model):
        return _outside_the_graph(model), len(model.labels)
    model = model.model if isinstance(model, TrainedNetwork) else model
    logits = logits_of(model)
    network = keras.Model(model.input, logits)
    return lambda images: network(images, training=False), logits.shape[-1]


def _outside_the_graph(network: TrainedNetwork) -> Callable[[tf.Tensor], tf.Tensor]:
    """Calls the runtime of an exported file."""

    def logits(images: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(network.logits, [images], tf.float32, stateful=False)
        return tf.ensure_shape(found, [None, len(network.labels)])

    return logits
