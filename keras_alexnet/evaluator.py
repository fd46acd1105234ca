"""The compiled forward pass over a split, on all devices."""

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet import pipeline
from keras_alexnet.errors import UserError
from keras_alexnet.images import DamagedImages
from keras_alexnet.lost import LostImages, without_lost
from keras_alexnet.metrics import Evaluation
from keras_alexnet.models import logits_of
from keras_alexnet.progress import Progress


class Evaluator:
    """Evaluates one model on one split, as often as asked, without building its graph again.

    Args:
        model: a network that ends in a `logits` layer, with or without a softmax behind it.
        split: the images, `keras_alexnet.datasets.Split`.
        plan: how images become inputs, `keras_alexnet.variants.ImagePlan`.
        batch_size: views in one step over all devices.
        views: 1, 2 or 10.
        strategy: the distribution strategy under which the model was built; the current one
            when None.
        check: called before every batch, and while waiting for one; may raise.
        lost: counts images that can no longer be read, and `split` is then without them; when
            None, they are an error.

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
        model,
        split,
        plan,
        *,
        batch_size=256,
        views=1,
        strategy=None,
        check=lambda: None,
        lost: LostImages | None = None,
    ):
        self.split, self.views, self._plan = split, views, plan
        self._check, self._lost = check, lost
        self._strategy = strategy or tf.distribute.get_strategy()
        replicas = self._strategy.num_replicas_in_sync
        self._batch_size = -(-max(1, batch_size // views) // replicas) * replicas
        logits = logits_of(model)  # first, since it tells what is no network of ours
        network = keras.Model(model.input, logits)
        self._batches = self._make_batches()
        self._step = self._make_step(network)

    def run(self, description: str = "evaluating") -> Evaluation:
        """Returns the evaluation of the model's present weights.

        Raises:
            UserError: if an image cannot be read.
        """
        while True:
            try:
                return self._evaluated(description)
            except DamagedImages as error:
                if self._lost is None:
                    raise
                self._lost.add(error)
                self.split = without_lost(self.split)
                self._batches = self._make_batches()

    def _evaluated(self, description: str) -> Evaluation:
        parts = []
        with Progress(len(self.split), description) as progress:
            for batch in pipeline.supplied(self._batches, self.split, self._check):
                replicas = self._strategy.experimental_local_results(self._step(batch))
                part = np.concatenate([replica.numpy() for replica in replicas])
                parts.append(part[: len(self.split) - len(parts) * self._batch_size])
                progress.advance(len(parts[-1]))
        log_probabilities = np.concatenate(parts)
        if not np.all(np.isfinite(log_probabilities)):
            raise UserError("The network's outputs are not finite: its weights hold NaN or inf.")
        return Evaluation(log_probabilities, np.asarray(self.split.labels), self.views)

    def _make_batches(self):
        batches = pipeline.eval_batches(
            self.split, self._plan, batch_size=self._batch_size, views=self.views
        )
        return self._strategy.experimental_distribute_dataset(batches.map(self._pad))

    def _pad(self, images, labels):
        # Every replica gets the same number of images; run() cuts the padding off again.
        missing = self._batch_size - tf.shape(images)[0]
        padding = [[0, missing]] + [[0, 0]] * (images.shape.rank - 1)
        padded = tf.pad(images, padding)
        return tf.ensure_shape(padded, [self._batch_size, *images.shape[1:]])

    def _make_step(self, network):
        views, strategy = self.views, self._strategy

        def replica_step(images):
            if views > 1:
                images = tf.reshape(images, [-1, *images.shape[2:]])
            logits = tf.cast(network(images, training=False), tf.float32)
            log_probabilities = tf.nn.log_softmax(logits)
            by_view = tf.reshape(log_probabilities, [-1, views, logits.shape[-1]])
            return tf.reduce_logsumexp(by_view, axis=1) - tf.math.log(float(views))

        @tf.function
        def step(images):
            return strategy.run(replica_step, args=(images,))

        return step
