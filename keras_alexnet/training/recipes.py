"""The recipes of a network: `list_recipes` and `get`.

There are five names; every network has all but `document` and `fast`, which some networks lack:

- `document`: what the network's own document, layer file or program does.
- `paper`: section 5 of the 2012 paper, with the patience that its "when the validation error
  stopped improving" leaves open.
- `default`: the best that this project has found; its note says if no training run backs it.
- `fast`: for the least time from the command to a result.
- `fine_tune`: a few epochs on other data, from trained weights.

With an optimizer other than the recipe's, the recipe's learning rate and what else was found for
its own optimizer would not train: `get` takes `USUAL_RATES` then.
"""

import dataclasses
from typing import Any

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks import variants
from keras_alexnet.training.recipe import OVERRIDABLE, Recipe, check
from keras_alexnet.training.recipe_table import FINE_TUNE, IMAGENET, RECIPES

# For an optimizer that the recipe does not have, unless a rate is given.
USUAL_RATES = {"sgd": 0.01, "adam": 0.001, "muon": 0.01}

# What timm and torchvision call fields → how it is said here.
_SAID_ELSEWHERE = {
    **dict.fromkeys(
        ("auto_augment", "rand_augment", "randaugment", "aa"), 'augment, "randaugment(2,9)"'
    ),
    **dict.fromkeys(
        ("random_erase", "random_erasing", "reprob"), 'augment, "random_erasing(0.25)"'
    ),
    "cutout": 'augment, "cutout(8)"',
    **dict.fromkeys(("ema", "model_ema", "model_ema_decay"), "ema_decay"),
    **{"mixup_alpha": "mixup", "cutmix_alpha": "cutmix", "smoothing": "label_smoothing"},
    **{"lr": "learning_rate", "wd": "weight_decay", "batch_size": "global_batch_size"},
}


def list_recipes(variant: str) -> list[str]:
    """Returns the names of the recipes of `variant`, `default` first.

    Raises:
        UsageError: if there is no such variant.

    Example:
        >>> list_recipes("cifar_v2")
        ['default', 'paper', 'fast', 'document', 'fine_tune']
    """
    return [recipe.name for recipe in _recipes_of(variant)]


def get(variant: str, name: str = "default", **overrides: Any) -> Recipe:
    """Returns the recipe `name` of `variant`, with `overrides` in place of its fields.

    Args:
        variant: name of a network, as in `list_variants()`.
        name: name of a recipe, as in `list_recipes(variant)`.
        **overrides: fields of `Recipe`; those that are None leave the recipe as it is. With another
            `optimizer`, the rate is that of `USUAL_RATES` unless it is given too, and `nesterov`
            is off; with another than muon, so is the decay of layers that was found for it.

    Raises:
        UsageError: for an unknown variant, recipe or field, or a value out of range.

    Example:
        >>> get("cifar_v1", "paper", epochs=3).epochs
        3
    """
    rows = {recipe.name: recipe for recipe in _recipes_of(variant)}
    if name not in rows:
        raise unknown_name(f"recipe of {variant}", name, rows)
    overrides = {key: value for key, value in overrides.items() if value is not None}
    fields = [field.name for field in OVERRIDABLE]
    for key in overrides:
        if key in _SAID_ELSEWHERE:
            raise UsageError(f"{key} is no recipe field. Here it is {_SAID_ELSEWHERE[key]}.")
        if key not in fields:
            raise unknown_name("recipe field", key, fields)
    recipe = dataclasses.replace(
        _for_optimizer(rows[name], overrides.get("optimizer")), **overrides
    )
    check(recipe)
    return recipe


def _for_optimizer(recipe: Recipe, optimizer: str | None) -> Recipe:
    """Returns the recipe without what was found for its own optimizer, if this is another."""
    if optimizer not in USUAL_RATES or optimizer == recipe.optimizer:
        return recipe
    return dataclasses.replace(
        recipe,
        learning_rate=USUAL_RATES[optimizer],
        nesterov=False,
        # Muon's decay is decoupled, so that its factors are not those of other optimizers.
        layer_decay={} if recipe.optimizer == "muon" else recipe.layer_decay,
    )


def _recipes_of(variant: str) -> tuple[Recipe, ...]:
    variants.get(variant)
    return (*RECIPES.get(variant, IMAGENET), FINE_TUNE)
