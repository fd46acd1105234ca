"""The optimizers of recipes, which have a rate for each variable."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.training import layer_factors
from keras_alexnet.training.newton_schulz import make_orthogonal
from keras_alexnet.training.recipe import Recipe


class _RatesOfVariables:
    """An optimizer that multiplies the learning rate by a factor for each variable, in order.

    With momentum SGD, the factor r is inside the velocity, v ← m·v − ε·r·g, as in cuda-convnet,
    whose layers have their own rates. With Adam it scales the step, which scaling the gradient
    would not.

    Attributes:
        rates: the factors that stay the same.
        drop_factors: a variable with the factors that change from step to step, float32
            `[variables]`, or None if no recipe's drop is for some variables only.
    """

    rates: tuple[float, ...] = ()
    drop_factors: tf.Variable | None = None

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        # Keras passes TensorFlow's variable, which has no path.
        own = self._rate_of(self._get_variable_index(variable), learning_rate)  # type: ignore[attr-defined]
        super().update_step(gradient, variable, own)  # type: ignore[misc]

    def _rate_of(self, index: int, learning_rate: Any) -> Any:
        rate = self.rates[index] if self.rates else 1.0
        # A rate of 1 adds no operation, so that recipes without rates train the same bits.
        own = learning_rate if rate == 1 else learning_rate * rate
        return own if self.drop_factors is None else own * self.drop_factors[index]


class _FusedSGD(keras.optimizers.SGD):
    """Momentum SGD whose step is one operation: Keras's six take twice as long on CPU."""

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        if not self.momentum:
            super().update_step(gradient, variable, learning_rate)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


class _SGD(_RatesOfVariables, _FusedSGD):
    pass


class _Muon(_SGD):
    """Momentum SGD whose steps for the kernels of convolutions are made orthogonal.

    Such a step, as a matrix [inputs, outputs], is replaced by the nearest matrix whose singular
    values are about 1, times the rate and √max(1, outputs / inputs); a locally connected layer has
    one matrix for each place. Their decay is decoupled, w ← (1 − ε·decay)·w, because a part of the
    gradient would lose its size. (Jordan et al., "Muon: An optimizer for hidden layers in neural
    networks", 2024.) Dense layers keep the steps of SGD: for 4096 units, an orthogonal step would
    cost more than the gradient.

    Attributes:
        matrices: for each variable, in order, whether its step is made orthogonal.
        decays: decoupled decay of each variable.
    """

    matrices: tuple[bool, ...] = ()
    decays: tuple[float, ...] = ()

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        if not self.matrices[index]:
            super().update_step(gradient, variable, learning_rate)
            return
        rate = self._rate_of(index, learning_rate)
        momentum, shape = self.momentums[index], variable.shape
        velocity = self.momentum * momentum + gradient
        momentum.assign(velocity)
        step = gradient + self.momentum * velocity if self.nesterov else velocity
        inputs = int(np.prod(shape[-4:-1]))
        matrix = tf.reshape(step, [*shape[:-4], inputs, shape[-1]])
        rate = rate * max(1.0, shape[-1] / inputs) ** 0.5
        moved = tf.reshape(make_orthogonal(matrix, rate), shape)
        decayed = variable * (1.0 - rate * self.decays[index]) if self.decays[index] else variable
        variable.assign(decayed - moved)


class _PyTorchAdam(keras.optimizers.Adam):
    """Adam as in PyTorch, where the recipes that use it come from, in one operation.

    PyTorch divides by √v / √(1 − β₂ᵗ) + ε. Keras adds its epsilon to √v, before that correction, so
    that 1e-8 would act like 3e-7 in the first step and differ from PyTorch for hundreds of steps.
    Keras's dozen operations take three times as long on CPU.
    """

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        steps = tf.cast(self.iterations.value + 1, tf.float32)
        power_1, power_2 = self.beta_1**steps, self.beta_2**steps
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=power_1,
            beta2_power=power_2,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon * tf.sqrt(1.0 - power_2),
            grad=gradient,
        )


class _Adam(_RatesOfVariables, _PyTorchAdam):
    pass


def make_optimizer(recipe: Recipe, model: keras.Model) -> keras.optimizers.Optimizer:
    """Returns the recipe's optimizer, built for the model, without decay and clipping.

    `TrainStep` does both: Keras's `SGD(weight_decay=…)` bypasses the momentum, and its
    `global_clipnorm` clips the gradients of the replicas before they are summed.

    Raises:
        UsageError: if the recipe has a rate or drops for a layer that the model lacks.

    Example:
        >>> import keras_alexnet as ka
        >>> make_optimizer(ka.recipes.get("cifar_v2"), ka.build("cifar_v2")).momentum
        0.9
    """
    common: dict[str, Any] = {"learning_rate": recipe.learning_rate, "name": "optimizer"}
    if recipe.ema_decay:
        common |= {"use_ema": True, "ema_momentum": recipe.ema_decay}
    if recipe.optimizer == "adam":
        optimizer = _Adam(epsilon=1e-8, **common)
    else:
        kind = _Muon if recipe.optimizer == "muon" else _SGD
        momentum, nesterov = float(recipe.momentum), recipe.nesterov
        optimizer = kind(momentum=momentum, nesterov=nesterov, **common)
    optimizer.build(model.trainable_variables)
    optimizer.rates = layer_factors.rates(model, recipe)
    if recipe.optimizer == "muon":
        optimizer.matrices = layer_factors.matrices(model)
        optimizer.decays = layer_factors.all_decays(model, recipe)
    layer_factors.check_layers(model, recipe.layer_drops, "layer_drops")
    if recipe.layer_drops or recipe.drops_divide != "all":
        optimizer.drop_factors = tf.Variable(
            tf.ones(len(optimizer.rates)),
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
    return optimizer


def rates_of_step(
    optimizer: Any,
    model: keras.Model,
    learning_rate: float,
    factor: Callable[[str, str], float],
) -> tf.Tensor:
    """Returns the learning rates of one step, float32 `[1]` or `[1 + variables]`.

    Args:
        optimizer: what `make_optimizer` returned.
        model: the model that it was made for.
        learning_rate: the rate of all variables, which comes first.
        factor: layer and weight, such as "conv1" and "kernel" → what multiplies their rate. It is
            used only if the recipe has drops of its own for them.
    """
    places = [] if optimizer.drop_factors is None else layer_factors.places(model)
    return tf.constant([learning_rate, *(factor(*place) for place in places)], tf.float32)


def set_rates(optimizer: Any, rates: tf.Tensor) -> None:
    """Sets the rates that `rates_of_step` returned, for the next steps."""
    optimizer.learning_rate.assign(rates[0])
    if optimizer.drop_factors is not None:
        optimizer.drop_factors.assign(rates[1:])
