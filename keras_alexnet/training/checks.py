"""Checks of a run's settings, before its data are read."""

from keras_alexnet.errors import UsageError
from keras_alexnet.networks import variants
from keras_alexnet.networks.options import check_image_size
from keras_alexnet.training import layer_factors
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.network_options import check_network, network_of
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.tracking.names import check_installed


def check_settings(config: TrainConfig, recipe: Recipe, replicas: int) -> None:
    """Checks settings that would otherwise fail only later, possibly after hours.

    Raises:
        UsageError: for the first setting that cannot be used.
    """
    check_network(config)
    size = variants.get(config.variant).image_plan_for(config.input_size).input_size
    check_image_size(config.variant, network_of(config).layers, (size, size))
    check_installed(config.log)
    _check_freezing(config, recipe)
    if recipe.global_batch_size % replicas:
        raise UsageError(
            f"global_batch_size must be divisible by the {replicas} replicas. "
            f"Received: {recipe.global_batch_size}."
        )


def _check_freezing(config: TrainConfig, recipe: Recipe) -> None:
    if config.freeze_until:
        names = [layer.name for layer in variants.get(config.variant).layers]
        if not layer_factors.layers_before(names, config.freeze_until):
            raise UsageError(
                "freeze_until freezes the layers before it, and there are none before the first: "
                f"omit it, or name a later layer. Received: freeze_until={config.freeze_until}."
            )
    elif recipe.freeze_from_epoch:
        raise UsageError(
            "freeze_from_epoch is the epoch in which freezing begins, but no layer is frozen. Pass "
            "a layer with --freeze_until, or pass --freeze_from_epoch=0. "
            f"Received: freeze_from_epoch={recipe.freeze_from_epoch}."
        )
