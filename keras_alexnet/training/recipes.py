"""The recipes of a network: `list_recipes` and `get`.

There are five names; every network has all but `document` and `fast`, which some networks lack:

- `document`: what the network's own document, layer file or program does.
- `paper`: section 5 of the 2012 paper, with the patience that its "when the validation error
  stopped improving" leaves open.
- `default`: the best that this project has found; its note says if no training run backs it.
- `fast`: for the least time from the command to a result.
- `fine_tune`: a few epochs on other data, from trained weights.
"""

import dataclasses
from typing import Any

from keras_alexnet.errors import unknown_name
from keras_alexnet.networks import variants
from keras_alexnet.training.recipe import OVERRIDABLE, Recipe, check
from keras_alexnet.training.recipe_table import FINE_TUNE, IMAGENET, RECIPES


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
        **overrides: fields of `Recipe`; those that are None leave the recipe as it is.

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
        if key not in fields:
            raise unknown_name("recipe field", key, fields)
    recipe = dataclasses.replace(rows[name], **overrides)
    check(recipe)
    return recipe


def _recipes_of(variant: str) -> tuple[Recipe, ...]:
    variants.get(variant)
    return (*RECIPES.get(variant, IMAGENET), FINE_TUNE)
