"""Checks of a run's settings, before its data are read."""

from keras_alexnet.distributed import precision
from keras_alexnet.errors import UsageError
from keras_alexnet.networks import image_plan, variants
from keras_alexnet.training import optimizer
from keras_alexnet.training.config import ON_NONFINITE, TrainConfig
from keras_alexnet.training.recipe import Recipe


def check_settings(config: TrainConfig, recipe: Recipe, replicas: int) -> None:
    """Checks settings that would otherwise fail only later, possibly after hours.

    Raises:
        UsageError: for the first setting that cannot be used.
    """
    _check_freezing(config, recipe)
    known: dict[str, tuple] = {
        "views": image_plan.VIEWS,
        "precision": precision.PRECISIONS,
        "on_nonfinite": ON_NONFINITE,
    }
    for name, choices in known.items():
        if getattr(config, name) not in choices:
            listing = ", ".join(map(str, choices))
            raise UsageError(f"{name} must be one of {listing}. Received: {getattr(config, name)}.")
    least = {"seed": 0, "step_backs": 0, "max_steps": 1, "checkpoint_every_steps": 1}
    for name, lowest in {**least, "keep_checkpoints": 1}.items():
        value = getattr(config, name)
        if value is not None and value < lowest:
            wanted = "0 or more" if lowest == 0 else "at least 1"
            raise UsageError(f"{name} must be {wanted}. Received: {value}.")
    if config.seed >= 2**63:  # random keys are int64
        raise UsageError(f"seed must be less than 2**63. Received: {config.seed}.")
    if not 1 < config.step_back_factor < float("inf"):
        raise UsageError(
            f"step_back_factor must be greater than 1. Received: {config.step_back_factor}."
        )
    if recipe.global_batch_size % replicas:
        raise UsageError(
            f"global_batch_size must be divisible by the {replicas} replicas. "
            f"Received: {recipe.global_batch_size}."
        )


def _check_freezing(config: TrainConfig, recipe: Recipe) -> None:
    if config.freeze_until:
        names = [layer.name for layer in variants.get(config.variant).layers]
        optimizer.layers_before(names, config.freeze_until)
    elif recipe.freeze_from_epoch:
        raise UsageError(
            "freeze_from_epoch is the epoch in which freezing begins, but no layer is frozen. Pass "
            "a layer with --freeze_until, or pass --freeze_from_epoch=0. "
            f"Received: freeze_from_epoch={recipe.freeze_from_epoch}."
        )
