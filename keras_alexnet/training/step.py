"""One optimizer step over all replicas, with the metrics it adds to."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.training import optimizer
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.utils import tensorflow_private


class Pass(NamedTuple):
    """One pass through the network and back, on one replica."""

    logits: tf.Tensor  # float32 [batch, classes]
    losses: tf.Tensor  # float32 [batch], each times its weight
    loss: tf.Tensor  # float32 scalar, this replica's share of the weighted mean
    gradients: list[tf.Tensor]  # of the variables that are trained at present


class TrainStep:
    """The compiled training step and its running totals.

    Must be made inside `strategy.scope()`, as the model must.

    Args:
        model: a network with logits out.
        recipe: gives optimizer, decay, clipping, label smoothing, and when freezing begins.
        strategy: where the step runs.
        freeze_until: layer up to which weights stay as they are; none do with "".

    Attributes:
        epoch: the epoch under way, counted from 0; whoever trains sets it, for freezing.

    The gradient of a global batch is that of the weighted mean of its images' losses, whatever
    number of replicas share it and however few real images the last batch of an epoch holds.

    Raises:
        UsageError: if the model lacks a layer that `recipe` or `freeze_until` names.
    """

    def __init__(
        self,
        model: keras.Model,
        recipe: Recipe,
        strategy: tf.distribute.Strategy,
        freeze_until: str = "",
    ):
        self.model, self._recipe, self._strategy = model, recipe, strategy
        # Of frozen variables too: which are may change in the run, and at a resume.
        self.optimizer = optimizer.make_optimizer(recipe, model)
        paths = [variable.path for variable in model.trainable_variables]
        self._decay = dict(zip(paths, optimizer.decays(model, recipe), strict=True))
        self._thawed = optimizer.thawed(model, freeze_until)
        self.epoch = 0
        self._totals = self._per_replica_variable([0.0] * 5, tf.float64, "totals")
        self._first_bad_step = tf.Variable(
            -1,
            trainable=False,
            dtype=tf.int64,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        # Two graphs, so that what is frozen costs no gradient.
        self._compiled = {
            frozen: tf.function(self._run, autograph=False) for frozen in (False, True)
        }

    @property
    def trained_variables(self) -> list[keras.Variable]:
        """The variables that a step of this epoch changes."""
        return self._thawed if self._freezes else self.model.trainable_variables

    @property
    def _freezes(self) -> bool:
        return self.epoch >= self._recipe.freeze_from_epoch

    def run(self, images, labels, weights) -> None:
        """Does one step on a global batch, one part of which is on each replica."""
        self._compiled[self._freezes](images, labels, weights)

    @property
    def steps_done(self) -> int:
        """Optimizer steps so far."""
        return int(self.optimizer.iterations.numpy())

    @property
    def first_non_finite_step(self) -> int | None:
        """The first step, counted from 1, whose loss or gradient was NaN or infinite."""
        step = int(self._first_bad_step.numpy())
        return None if step < 0 else step

    def take_figures(self) -> dict[str, float]:
        """Returns what `figures` does, and starts again from zero."""
        figures = self.figures()
        self.set_totals([0.0] * 5)
        return figures

    def figures(self) -> dict[str, float]:
        """Returns mean loss, top1 and top5 since they were last taken."""
        loss, top1, top5, weight, images = self.totals()
        weight, images = max(weight, 1e-30), max(images, 1.0)
        return {"loss": loss / weight, "top1": top1 / images, "top5": top5 / images}

    def totals(self) -> list[float]:
        """Returns the running sums, for a checkpoint."""
        return [float(value) for value in self._totals.numpy()]

    def set_totals(self, values: list[float]) -> None:
        """Puts sums that `totals` returned back."""
        # A per-replica variable shares what it is assigned among the replicas.
        self._totals.assign(tf.constant(values, tf.float64))

    def variables(self) -> dict[str, np.ndarray]:
        """Returns every variable that decides the future, by a unique name."""
        return {name: variable.numpy() for name, variable in self._named_variables().items()}

    def path_of(self, name: str) -> str:
        """Returns the path of a variable, such as "conv1/kernel", by its name in `variables`."""
        return self._named_variables()[name].path

    def restore(self, values: dict[str, np.ndarray]) -> None:
        """Puts the values that `variables` returned back.

        Raises:
            ValueError: if names or shapes are not those of this model and optimizer.
        """
        variables = self._named_variables()
        if differing := sorted(variables.keys() ^ values.keys()):
            raise ValueError(f"The checkpoint has other variables: {', '.join(differing)}.")
        for name, variable in variables.items():
            variable.assign(values[name])
        self._first_bad_step.assign(-1)

    def on_replicas(self, function: Callable, batch: tuple) -> list[list[np.ndarray]]:
        """Returns, for each result of `function(*batch)`, its values on this process's replicas."""
        results = self._strategy.run(function, args=batch)
        local = self._strategy.experimental_local_results
        return [[value.numpy() for value in local(result)] for result in results]

    def forward_and_back(self, images, labels, weights, *, forward: Callable) -> Pass:
        """Loss and gradients of one replica's share of a batch; `forward` gives the logits."""
        context = tf.distribute.get_replica_context()
        weight_sum = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weights))
        variables = [variable.value for variable in self.trained_variables]
        # Left to watch what it meets, the tape would go back to the first layer, frozen or not.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = tf.cast(forward(images), tf.float32)
            losses = self._losses(logits, labels) * weights
            # The floor is for a batch none of whose images could be read.
            loss = tf.reduce_sum(losses) / tf.maximum(weight_sum, 1e-30)
        return Pass(logits, losses, loss, tape.gradient(loss, variables))

    def _named_variables(self) -> dict[str, keras.Variable]:
        # Numbered, since Keras counts the names of seed generators through the whole process.
        return {
            f"{owner}/{number:03d}-{variable.name}": variable
            for owner, variables in (
                ("model", self.model.variables),
                ("optimizer", self.optimizer.variables),
            )
            for number, variable in enumerate(variables)
        }

    def _per_replica_variable(self, value, dtype, name):
        return tf.Variable(
            tf.constant(value, dtype),
            trainable=False,
            name=name,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def _run(self, images, labels, weights):
        with tensorflow_private.gradients_forgotten():
            self._strategy.run(self._replica_step, args=(images, labels, weights))

    def _replica_step(self, images, labels, weights):
        passed = self.forward_and_back(
            images, labels, weights, forward=lambda images: self.model(images, training=True)
        )
        context = tf.distribute.get_replica_context()
        self._note_non_finite(context, passed.loss, passed.gradients)
        gradients = self._clipped(context, self._with_decay(passed.gradients))
        # Keras's optimizer adds the gradients of all replicas.
        self.optimizer.apply(gradients, self.trained_variables)
        self._add_to_totals(passed.logits, labels, passed.losses, weights)

    def _losses(self, logits, labels):
        targets = tf.one_hot(labels, logits.shape[-1])
        smoothing = self._recipe.label_smoothing
        if smoothing:
            targets = targets * (1.0 - smoothing) + smoothing / logits.shape[-1]
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _with_decay(self, gradients):
        # Every replica gives its share, since their gradients are added.
        replicas = self._strategy.num_replicas_in_sync
        decays = [self._decay[variable.path] / replicas for variable in self.trained_variables]
        return [
            gradient + decay * variable.value if decay else gradient
            for gradient, variable, decay in zip(
                gradients, self.trained_variables, decays, strict=True
            )
        ]

    def _clipped(self, context, gradients):
        if not self._recipe.clip_norm:
            return gradients
        # The norm is that of the whole batch's gradient, so it has to be added up before.
        whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        clipped, _ = tf.clip_by_global_norm(whole, self._recipe.clip_norm)
        return [gradient / self._strategy.num_replicas_in_sync for gradient in clipped]

    def _note_non_finite(self, context, loss, gradients):
        # The bias of the classifier: its gradient is the sum of all errors at the logits, so a
        # NaN that the loss hides still shows, at the cost of a few numbers.
        own = loss + tf.reduce_sum(gradients[-1])
        checked = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
        step = tf.cast(self.optimizer.iterations.value, tf.int64) + 1
        known = self._first_bad_step
        bad = tf.logical_and(known < 0, tf.logical_not(tf.math.is_finite(checked)))
        known.assign(tf.where(bad, step, known.read_value()))

    def _add_to_totals(self, logits, labels, losses, weights):
        real = tf.cast(weights > 0, tf.float32)
        own = tf.gather(logits, labels, axis=1, batch_dims=1)[:, None]
        not_less = tf.reduce_sum(tf.cast(logits >= own, tf.int32), axis=1)

        def hits(k):
            return tf.reduce_sum(tf.cast(not_less <= k, tf.float32) * real)

        sums = [tf.reduce_sum(losses), hits(1), hits(5)]
        sums += [tf.reduce_sum(weights), tf.reduce_sum(real)]
        self._totals.assign_add(tf.cast(tf.stack(sums), tf.float64))
