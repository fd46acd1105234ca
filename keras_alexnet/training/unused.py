"""Settings that are given and change nothing, which are refused and not ignored."""

from collections.abc import Collection

from keras_alexnet.errors import UsageError
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import Recipe

# Fields that are used only with some values of another one.
_ONLY_WITH = {
    "momentum": ("optimizer", ("sgd", "muon")),
    "muon_rate": ("optimizer", ("muon",)),
    "one_cycle_rise": ("schedule", ("one_cycle",)),
    "drop_factor": ("schedule", ("drops",)),
    "drops_divide": ("schedule", ("drops", "plateau")),
    **dict.fromkeys(
        ("plateau_patience", "plateau_factor", "plateau_drops"), ("schedule", ("plateau",))
    ),
}
_OF_DROPS = ("drop_factor", "drops_divide")  # used by the drops of single layers, too


def unused(recipe: Recipe, given: Collection[str]) -> dict[str, str]:
    """Returns which of the values that somebody has given change nothing in this recipe, and why.

    Args:
        recipe: the recipe with the values.
        given: names of the fields that were given.

    Example:
        >>> list(unused(Recipe("mine", note="", schedule="plateau"), ["drop_factor", "epochs"]))
        ['drop_factor']
    """
    found = {}
    for name, (other, values) in _ONLY_WITH.items():
        used = getattr(recipe, other) in values or (name in _OF_DROPS and recipe.layer_drops)
        if name in given and not used:
            found[name] = (
                f"{name} has no effect unless {other} is {' or '.join(values)}. Omit it, or change "
                f"--{other}. Received: {name}={getattr(recipe, name)} with "
                f"{other}={getattr(recipe, other)}."
            )
    if recipe.min_steps and "min_steps" in given and "epochs" in given:
        found["min_steps"] = (
            "min_steps has no effect if the number of epochs is given. Omit one of them. Received: "
            f"min_steps={recipe.min_steps} with epochs={recipe.epochs}."
        )
    return found


def check_used(config: TrainConfig, recipe: Recipe) -> None:
    """Refuses a setting of a new run that is given and changes nothing beside the others.

    Args:
        config: the settings.
        recipe: the recipe with the overrides of `config`.

    Raises:
        UsageError: for the first such setting.

    Example:
        >>> check_used(TrainConfig(overrides={"epochs": 3}), Recipe("mine", note="", epochs=3))
    """
    for message in unused(recipe, config.overrides).values():
        raise UsageError(message)
    if config.validation_images is not None and "validation_fraction" in config.overrides:
        raise UsageError(
            "validation_fraction has no effect if validation_images is given. Omit one of them. "
            f"Received: validation_fraction={recipe.validation_fraction} with "
            f"validation_images={config.validation_images}."
        )
    for name in ("step_back_factor", "step_backs"):
        given = getattr(config, name)
        if config.on_nonfinite == "stop" and given != getattr(TrainConfig(), name):
            raise UsageError(
                f"{name} has no effect unless on_nonfinite is step_back. Omit it, or pass "
                f"--on_nonfinite=step_back. Received: {name}={given} with on_nonfinite=stop."
            )
