"""What multiplies rate and decay of each variable of a network, and which variables are frozen."""

from collections.abc import Iterable

import keras

from keras_alexnet.errors import UsageError
from keras_alexnet.training.recipe import Recipe


def rates(model: keras.Model, recipe: Recipe) -> tuple[float, ...]:
    """Returns the factor of the learning rate for each trainable variable.

    Raises:
        UsageError: if the recipe has a rate for a layer that the model lacks.

    Example:
        >>> import keras_alexnet as ka
        >>> rates(ka.build("cifar_v2"), ka.recipes.get("cifar_v2", "document", bias_rate=2.0))[:4]
        (1.0, 2.0, 1.0, 2.0)
    """
    check_layers(model, recipe.layer_rates, "layer_rates")
    found = [
        recipe.layer_rates.get(layer, 1.0) * (recipe.bias_rate if name == "bias" else 1.0)
        for layer, name in places(model)
    ]
    if recipe.optimizer == "muon":
        orthogonal = recipe.muon_rate / recipe.learning_rate
        pairs = zip(found, matrices(model), strict=True)
        found = [rate * orthogonal if matrix else rate for rate, matrix in pairs]
    return tuple(found)


def matrices(model: keras.Model) -> tuple[bool, ...]:
    """Returns for each trainable variable whether Muon makes its steps orthogonal.

    It does for the kernels of convolutions and of locally connected layers.

    Example:
        >>> import keras_alexnet as ka
        >>> matrices(ka.build("cifar_v2"))[:6]
        (True, False, True, False, False, False)
    """
    return tuple(
        variable.name == "kernel" and len(variable.shape) > 2
        for variable in model.trainable_variables
    )


def decays(model: keras.Model, recipe: Recipe) -> tuple[float, ...]:
    """Returns the weight decay in the gradient of each trainable variable.

    It is 0 for all but kernels, and for those whose decay Muon decouples.

    Raises:
        UsageError: if the recipe has a decay for a layer that the model lacks.

    Example:
        >>> import keras_alexnet as ka
        >>> decays(ka.build("cifar_v1"), ka.recipes.get("cifar_v1", "paper"))[:4]
        (0.0005, 0.0, 0.0005, 0.0)
    """
    found = all_decays(model, recipe)
    if recipe.optimizer != "muon":
        return found
    pairs = zip(found, matrices(model), strict=True)
    return tuple(0.0 if matrix else decay for decay, matrix in pairs)


def all_decays(model: keras.Model, recipe: Recipe) -> tuple[float, ...]:
    """Returns the decay of each trainable variable, in its gradient or decoupled."""
    check_layers(model, recipe.layer_decay, "layer_decay")
    return tuple(
        recipe.weight_decay * recipe.layer_decay.get(layer, 1.0) if name == "kernel" else 0.0
        for layer, name in places(model)
    )


def thawed(model: keras.Model, freeze_until: str) -> list[keras.Variable]:
    """Returns the trainable variables of layer `freeze_until` and of those after it.

    Args:
        model: a network whose layers form a sequence.
        freeze_until: name of a layer; "" returns all variables.

    Raises:
        UsageError: if the model has no such layer.

    Example:
        >>> import keras_alexnet as ka
        >>> [v.path for v in thawed(ka.build("cifar_v2"), "logits")]
        ['logits/kernel', 'logits/bias']
    """
    variables = model.trainable_variables
    if not freeze_until:
        return variables
    frozen = layers_before([layer.name for layer in model.layers[1:]], freeze_until)
    pairs = zip(places(model), variables, strict=True)
    return [variable for (layer, _), variable in pairs if layer not in frozen]


def layers_before(names: list[str], freeze_until: str) -> list[str]:
    """Returns the names before `freeze_until`.

    Raises:
        UsageError: if it is not one of `names`.

    Example:
        >>> layers_before(["conv1", "pool1", "logits"], "logits")
        ['conv1', 'pool1']
    """
    if freeze_until not in names:
        raise UsageError(
            f"freeze_until must be a layer of the network: {', '.join(names)}. "
            f"Received: {freeze_until!r}."
        )
    return names[: names.index(freeze_until)]


def places(model: keras.Model) -> list[tuple[str, str]]:
    """Returns layer and name, such as ("conv1", "kernel"), of each trainable variable."""
    return [
        (layer.name, variable.name)
        for layer in model.layers
        for variable in layer.trainable_variables
    ]


def check_layers(model: keras.Model, table: Iterable[str], name: str) -> None:
    """Raises a UsageError if a recipe's table names a layer that has no weights in the model."""
    known = [layer.name for layer in model.layers if layer.trainable_variables]
    unknown = [layer for layer in table if layer not in known]
    if unknown:
        raise UsageError(
            f"The recipe's {name} is for a network with a layer {unknown[0]}, but the layers with "
            f"weights in this network are {', '.join(known)}. Choose a recipe of this variant."
        )
