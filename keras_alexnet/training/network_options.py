"""The settings of a run that change the network of its variant."""

from keras_alexnet.errors import UsageError
from keras_alexnet.networks import customize, variants
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.training.config import TrainConfig

# `build` has arguments with these names.
NETWORK_OPTIONS = (
    "activation",
    "lrn",
    "dropout",
    "overlapping_pooling",
    "initial_weights",
    "pixel_std",
)


def network_of(config: TrainConfig) -> NetworkSpec:
    """Returns the variant's network with the changes of a run; all but the activation.

    Raises:
        UsageError: for the first change that the network cannot take.

    Example:
        >>> spec = network_of(TrainConfig(variant="alexnet_half", dropout=0))
        >>> [layer.name for layer in spec.layers if "drop" in layer.name]
        []
    """
    changes = {name: getattr(config, name) for name in NETWORK_OPTIONS if name != "activation"}
    return customize.customized(variants.get(config.variant), **changes)


def check_network(config: TrainConfig) -> None:
    """Checks the changes to the variant's network; needs neither TensorFlow nor Keras.

    Raises:
        UsageError: for the first that the network cannot take.

    Example:
        >>> check_network(TrainConfig(variant="cifar_v2", lrn=True))
        Traceback (most recent call last):
        ...
        keras_alexnet.errors.UsageError: cifar_v2 has no response normalization: leave lrn out. \
Received: lrn=True.
    """
    network_of(config)
    if config.pixel_std is not None and config.weights is not None:
        raise UsageError(
            "pixel_std does not go with weights, which have a pixel scale of their own: omit one "
            f"of them. Received: pixel_std={config.pixel_std:g} and weights={config.weights}."
        )
