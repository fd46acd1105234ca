"""The training step: gradients, decay, clipping, update, metrics."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.training import layer_factors, optimizer
from keras_alexnet.training.gradients import Gradients, share_of_gradients
from keras_alexnet.training.loss_scale import LossScale
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.totals import Totals
from keras_alexnet.utils import tensorflow_private

_SCALE = "loss_scale"

UPDATE_SCOPE = "update"  # the name scope of decay, clipping and the optimizer, for profiles


class TrainStep:
    """One compiled optimizer step on all replicas, with its running totals.

    Like the model, it must be made inside `strategy.scope()`.

    Args:
        model: a network that returns logits.
        recipe: optimizer, decay, clipping, label smoothing, and the epoch in which freezing begins.
        strategy: where the step runs.
        freeze_until: the layers before this one are frozen; "" freezes none.

    The gradient of a global batch is that of the weighted mean of its images' losses. It depends
    neither on the number of replicas nor on the padding of an epoch's last batch.

    Attributes:
        loss_scale: scales the loss if the current precision is mixed_float16, else None.
        totals: the running sums of the metrics.

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
        # It has the frozen variables too: which are frozen may change in a run and at a resume.
        self.optimizer = optimizer.make_optimizer(recipe, model)
        paths = [variable.path for variable in model.trainable_variables]
        self._decay = dict(zip(paths, layer_factors.decays(model, recipe), strict=True))
        self._thawed = layer_factors.thawed(model, freeze_until)
        is_float16 = keras.config.dtype_policy().compute_dtype == "float16"
        self.loss_scale = LossScale() if is_float16 else None
        self.totals = Totals()
        self._first_bad_step = tf.Variable(
            -1,
            trainable=False,
            dtype=tf.int64,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        # One graph with frozen layers and one without, so that frozen layers cost no gradient.
        self._compiled = tf.function(self._on_all_replicas, autograph=False)

    def run(
        self,
        images: Any,
        labels: Any,
        weights: Any,
        *,
        epoch: int = 0,
        rates: tf.Tensor | None = None,
    ) -> None:
        """Does one step on a global batch.

        Args:
            images: uint8 `[images, height, width, 3]`, or one such part per replica.
            labels: int32 `[images]`, or float32 `[images, classes]` for mixed images, in the same
                form. The metrics of a mixed image are those of its larger share.
            weights: float32 `[images]`, the weight of each image in the loss; 0 for padding.
            epoch: the epoch, from 0, which determines the layers that are frozen.
            rates: the learning rates, from `rates_of_step`; None for those of the step before.
        """
        self._compiled(images, labels, weights, self._freezes(epoch), rates)

    def _on_all_replicas(
        self, images: Any, labels: Any, weights: Any, frozen: bool, rates: tf.Tensor | None
    ) -> None:
        if rates is not None:
            # In the graph: to assign a mirrored variable from Python takes half a millisecond.
            optimizer.set_rates(self.optimizer, rates)
        with tensorflow_private.gradients_forgotten():
            batch = (images, labels, weights, frozen)
            found, finite = self._strategy.run(self._forward_and_backward, args=batch)

            def update() -> None:
                self._strategy.run(self._update, args=(found, labels, weights, frozen))

            if self.loss_scale is None:
                update()
            else:
                self.loss_scale.guard(self._strategy.experimental_local_results(finite)[0], update)

    def _forward_and_backward(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor, frozen: bool
    ) -> tuple[Gradients, tf.Tensor]:
        """One replica's gradients, and whether those of all replicas are finite if it matters."""
        context = tf.distribute.get_replica_context()
        found = self.gradients(
            *(images, labels, weights, self._variables(frozen)),
            lambda pixels: self.model(pixels, training=True),
        )
        self._note_non_finite(context, found)
        if self.loss_scale is None:
            return found, tf.constant(True)
        values = [found.loss, *found.gradients]
        bad = [tf.reduce_any(~tf.math.is_finite(value)) for value in values]
        bad_replicas = tf.cast(tf.reduce_any(bad), tf.float32)
        return found, context.all_reduce(tf.distribute.ReduceOp.SUM, bad_replicas) == 0

    def _update(
        self, found: Gradients, labels: tf.Tensor, weights: tf.Tensor, frozen: bool
    ) -> None:
        """One replica's share of an update, from the gradients to the weights and the metrics."""
        context = tf.distribute.get_replica_context()
        replicas = self._strategy.num_replicas_in_sync
        variables = self._variables(frozen)
        # Copies in this graph, which is a branch if the loss is scaled: all_reduce needs them here.
        gradients = [tf.identity(gradient) for gradient in found.gradients]

        with tf.name_scope(UPDATE_SCOPE):
            # Weight decay. Every replica adds its share, because the optimizer sums gradients.
            decays = [self._decay[variable.path] / replicas for variable in variables]
            gradients = [
                gradient + decay * variable.value if decay else gradient
                for gradient, variable, decay in zip(gradients, variables, decays, strict=True)
            ]

            # Clipping. The norm is that of the gradient of the whole batch, so it is summed first.
            if self._recipe.clip_norm:
                whole = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
                clipped, _ = tf.clip_by_global_norm(whole, self._recipe.clip_norm)
                gradients = [gradient / replicas for gradient in clipped]

            # Update. Keras's optimizer sums the gradients of all replicas.
            self.optimizer.apply(gradients, variables)

        self.totals.add(found.logits, found.losses, labels, weights)

    def gradients(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor,
        variables: list[keras.Variable],
        forward: Callable[[tf.Tensor], tf.Tensor],
    ) -> Gradients:
        """Returns loss and gradients of a replica's share of a batch; `forward` returns logits."""
        smoothing = self._recipe.label_smoothing
        scale = None if self.loss_scale is None else self.loss_scale.value
        return share_of_gradients((images, labels, weights), variables, forward, smoothing, scale)

    def trained_variables(self, epoch: int) -> list[keras.Variable]:
        """Returns the variables that a step of an epoch, counted from 0, changes."""
        return self._variables(self._freezes(epoch))

    def _freezes(self, epoch: int) -> bool:
        return epoch >= self._recipe.freeze_from_epoch

    def _variables(self, frozen: bool) -> list[keras.Variable]:
        return self._thawed if frozen else self.model.trainable_variables

    def _note_non_finite(self, context: tf.distribute.ReplicaContext, found: Gradients) -> None:
        # The last gradient is that of the classifier's bias, the sum of all errors at the logits:
        # a NaN that the loss hides still shows in it, at the cost of a few numbers.
        own = found.loss + tf.reduce_sum(found.gradients[-1])
        if self.loss_scale is not None:
            # A step is skipped as long as the scale may be the reason.
            own = tf.where(self.loss_scale.value > 1.0, 0.0, own)
        checked = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
        step = tf.cast(self.optimizer.iterations.value, tf.int64) + 1
        if self.loss_scale is not None:
            step += self.loss_scale.skipped
        known = self._first_bad_step
        bad = tf.logical_and(known < 0, tf.logical_not(tf.math.is_finite(checked)))
        known.assign(tf.where(bad, step, known.read_value()))

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Gives the model the averaged weights inside a `with`, if the recipe averages."""
        if not self._recipe.ema_decay:
            yield
            return
        own = [variable.numpy() for variable in self.model.trainable_variables]
        self.take_average()
        try:
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, own, strict=True):
                variable.assign(value)

    def take_average(self) -> None:
        """Replaces the model's weights with their average, if the recipe averages."""
        if self._recipe.ema_decay and int(self.optimizer.iterations.numpy()):
            self.optimizer.finalize_variable_values(self.model.trainable_variables)

    @property
    def steps_done(self) -> int:
        """Number of optimizer steps so far, with those that loss scaling skipped."""
        return int(self.optimizer.iterations.numpy()) + (self.skipped_steps or 0)

    @property
    def skipped_steps(self) -> int | None:
        """Number of steps that loss scaling skipped, or None if the loss is not scaled."""
        return None if self.loss_scale is None else int(self.loss_scale.skipped.numpy())

    @property
    def first_non_finite_step(self) -> int | None:
        """The first step, counted from 1, whose loss or gradient was NaN or infinite."""
        step = int(self._first_bad_step.numpy())
        return None if step < 0 else step

    def variables(self) -> dict[str, np.ndarray]:
        """Returns every variable that determines the rest of the run, by a unique name."""
        return {name: variable.numpy() for name, variable in self._named_variables().items()}

    def path_of(self, name: str) -> str:
        """Returns the path of a variable, such as "conv1/kernel", by its name in `variables`."""
        return self._named_variables()[name].path

    def restore(self, values: dict[str, np.ndarray]) -> None:
        """Restores the values that `variables` returned.

        Raises:
            ValueError: if names or shapes are not those of this model and optimizer.
        """
        variables = self._named_variables()
        # A resumed run may have changed its precision: the scale then begins anew, or is not used.
        own = {name for name in variables.keys() ^ values.keys() if _is_of_scale(name)}
        values = {name: value for name, value in values.items() if name not in own}
        variables = {name: variable for name, variable in variables.items() if name not in own}
        if differing := sorted(variables.keys() ^ values.keys()):
            raise ValueError(f"The checkpoint has different variables: {', '.join(differing)}.")
        for name, variable in variables.items():
            variable.assign(values[name])
        self._first_bad_step.assign(-1)

    def on_replicas(self, function: Callable, batch: tuple) -> list[list[np.ndarray]]:
        """Returns, for each result of `function(*batch)`, its values on this process's replicas."""
        results = self._strategy.run(function, args=batch)
        local = self._strategy.experimental_local_results
        return [[value.numpy() for value in local(result)] for result in results]

    def _named_variables(self) -> dict[str, keras.Variable]:
        # Numbered, because Keras numbers the names of seed generators over the whole process.
        return {
            f"{owner}/{number:03d}-{variable.name}": variable
            for owner, variables in (
                ("model", self.model.variables),
                ("optimizer", self.optimizer.variables),
                (_SCALE, [] if self.loss_scale is None else self.loss_scale.variables),
            )
            for number, variable in enumerate(variables)
        }


def _is_of_scale(name: str) -> bool:
    return name.startswith(f"{_SCALE}/")
