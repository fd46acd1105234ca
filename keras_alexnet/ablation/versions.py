"""The versions of a network that a study compares: a name, and what each changes.

Reading them needs neither TensorFlow nor Keras, so a wrong one is found before they are loaded.
"""

import dataclasses
import re
from typing import Any

from keras_alexnet.ablation.config import AblateConfig
from keras_alexnet.ablation.paper import CLAIMS, Claim
from keras_alexnet.data import augment_list
from keras_alexnet.data.config import DataSpec
from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks import customize
from keras_alexnet.networks import spec as specs
from keras_alexnet.training import recipes
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.network_options import NETWORK_OPTIONS, check_network, network_of
from keras_alexnet.training.recipe import OVERRIDABLE, Recipe
from keras_alexnet.training.unused import check_used, unused
from keras_alexnet.utils import values

WHOLE = "whole"

# Settings of runs that are the study's own.
OF_THE_STUDY = ("workdir", "resume", "allow_change", "seed", "record", "views")

_RECIPE = tuple(field.name for field in OVERRIDABLE)
_DATA = tuple(field.name for field in dataclasses.fields(DataSpec))
_TRAIN = tuple(field.name for field in dataclasses.fields(TrainConfig) if "help" in field.metadata)

# What a version may change.
CHANGEABLE = (
    *(name for name in _TRAIN if name not in (*OF_THE_STUDY, *_DATA, "validation_images")),
    *_RECIPE,
)

_AUGMENTATIONS = {"flip": "flip", "crop": "crop", "color": "color_noise"}


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of the network.

    Attributes:
        name: what tables and pictures call it.
        changes: fields of `TrainConfig` or `Recipe` → values.
        claim: what the paper says of the part that is left out, if it does.
    """

    name: str
    changes: dict[str, Any]
    claim: Claim | None = None

    @property
    def folder(self) -> str:
        """The name as part of the name of a folder."""
        return re.sub(r"[^\w.+-]+", "_", self.name)

    def applied_to(self, train: TrainConfig, **settings: Any) -> TrainConfig:
        """Returns the settings of a run of this version; `settings` are applied last.

        What the study gives to all versions and has no effect in this one, such as the momentum for
        a version with Adam, is left out.
        """
        both = {**self.changes, **settings}
        changed = {name: value for name, value in both.items() if name in _RECIPE}
        own = {name: value for name, value in both.items() if name not in _RECIPE}
        config = dataclasses.replace(train, **own, overrides={**train.overrides, **changed})
        idle = unused(_recipe_of(config), config.overrides).keys() - changed.keys()
        overrides = {name: value for name, value in config.overrides.items() if name not in idle}
        return dataclasses.replace(config, overrides=overrides)

    def recipe(self, train: TrainConfig) -> Recipe:
        """Returns the recipe of this version's runs."""
        return _recipe_of(self.applied_to(train))


def _recipe_of(train: TrainConfig) -> Recipe:
    return recipes.get(train.variant, train.recipe, **train.overrides)


def versions_of(config: AblateConfig) -> list[Version]:
    """Returns the versions of a study: the whole network, and those that are compared with it.

    Raises:
        UsageError: there is nothing to compare; the network or the recipe lacks a part; or a
            version has a name that another has, or changes that cannot be made.

    Example:
        >>> train = TrainConfig(variant="cifar_v2")
        >>> config = AblateConfig(workdir="w", train=train, without=["overlap"], activation="tanh")
        >>> [(version.name, version.changes) for version in versions_of(config)][1:]
        [('without overlap', {'overlapping_pooling': False}), ('tanh', {'activation': 'tanh'})]
    """
    found = [Version(WHOLE, {})]
    parts = removable_parts(config.train)
    if lacking := [part for part in config.without if part not in parts]:
        raise _lacks(config, lacking, parts)
    for part in dict.fromkeys(config.without):
        found.append(Version(f"without {part}", parts[part], CLAIMS[part]))
    if (activation := config.activation) is not None:
        found.append(Version(activation, {"activation": activation}, CLAIMS.get(activation)))
    for name, changes in config.versions.items():
        found.append(Version(values.text("A version's name", name), dict(changes)))
    if len(found) == 1 and not config.learning_rates:
        raise UsageError(
            "There is nothing to compare: pass --without, --activation or --versions. What "
            f"{_described(config.train)} has, and --without can leave out: {', '.join(parts)}."
        )
    _check_names(found)
    if config.best_rate_by != "validation" and not config.learning_rates:
        raise UsageError(
            "best_rate_by chooses among learning_rates: give these, or omit it. Received: "
            f"best_rate_by={config.best_rate_by} without learning_rates."
        )
    for version in found:
        _check(version, config)
    _check_all_used(found, config.train)
    return found


def removable_parts(train: TrainConfig) -> dict[str, dict[str, Any]]:
    """Returns what can be left out: part → the changes that do it.

    Example:
        >>> list(removable_parts(TrainConfig(variant="cifar_v2", overrides={"augment": ["flip"]})))
        ['overlap', 'flip']
    """
    check_network(train)
    spec = network_of(train)
    norms = (specs.LocalResponseNormSpec, specs.SameMapNormSpec)
    parts: dict[str, dict[str, Any]] = {}
    if any(isinstance(layer, norms) for layer in spec.layers):
        parts["lrn"] = {"lrn": False}
    if any(isinstance(layer, specs.DropoutSpec) for layer in spec.layers):
        parts["dropout"] = {"dropout": 0.0}
    if customize.overlapping(spec):
        parts["overlap"] = {"overlapping_pooling": False}
    augment = _recipe_of(train).augment
    names = [each.augmentation.name for each in augment_list.parse(augment)]
    for part, name in _AUGMENTATIONS.items():
        if name in names:
            others = (entry for entry, its in zip(augment, names, strict=True) if its != name)
            parts[part] = {"augment": tuple(others)}
    return parts


def _described(train: TrainConfig) -> str:
    return f"{train.variant} with recipe {train.recipe}"


def _lacks(config: AblateConfig, lacking: list[str], parts: dict) -> UsageError:
    message = (
        f"{_described(config.train)} has no {', '.join(lacking)}. What it has, and --without "
        f"can leave out: {', '.join(parts) or 'none of them'}. Received: "
        f"without={','.join(config.without)}."
    )
    if "color" in lacking:
        augment = config.train.overrides.get("augment")
        if augment is None:
            augment = recipes.get(config.train.variant, config.train.recipe).augment
        more = ",".join([*augment, "color_noise(paper)"])
        message += f" To train the whole network with color noise, pass --augment '{more}'."
    return UsageError(message)


def _check_names(found: list[Version]) -> None:
    folders: dict[str, str] = {}
    for version in found:
        other = folders.setdefault(version.folder.casefold(), version.name)
        if other != version.name or [each.name for each in found].count(version.name) > 1:
            raise UsageError(
                f"Two versions have the names {other!r} and {version.name!r}, which must differ in "
                f"letters or digits; {WHOLE!r} is the network as it is."
            )


def _made_of(version: Version, config: AblateConfig) -> tuple[Any, ...]:
    """What a version's runs train: network, recipe and all other settings."""
    run = version.applied_to(config.train)
    others = {
        field.name: getattr(run, field.name)
        for field in dataclasses.fields(run)
        if field.name not in (*NETWORK_OPTIONS, "overrides")
    }
    return network_of(run), run.activation or "relu", version.recipe(config.train), others


def _check(version: Version, config: AblateConfig) -> None:
    for name in version.changes:
        if name not in CHANGEABLE:
            raise unknown_name(f"setting of version {version.name}", name, CHANGEABLE)
    try:
        run = version.applied_to(config.train)
        check_network(run)
        recipe = version.recipe(config.train)
        check_used(run, recipe)
    except UsageError as error:
        raise UsageError(f"Version {version.name}: {error}") from error
    if version.name != WHOLE and _made_of(version, config) == _made_of(Version(WHOLE, {}), config):
        raise UsageError(
            f"Version {version.name} is the whole network once more: {config.train.variant} with "
            f"recipe {config.train.recipe} has what it asks for already. Received: "
            f"{', '.join(f'{name}={value!r}' for name, value in version.changes.items())}."
        )
    if config.learning_rates and "learning_rate" in version.changes:
        raise UsageError(
            f"Version {version.name} has a learning_rate of its own, but learning_rates are for "
            "all versions: omit one of them."
        )
    held_out = run.validation_images
    by_validation = bool(config.learning_rates) and config.best_rate_by == "validation"
    if by_validation and not (recipe.validation_fraction if held_out is None else held_out):
        raise UsageError(
            f"The best of learning_rates needs validation images, which recipe {recipe.name} does "
            "not hold out: pass --validation_images, or --best_rate_by training_error."
        )


def _check_all_used(found: list[Version], train: TrainConfig) -> None:
    """Refuses what is given for all versions and has no effect in any of them."""
    everywhere = [unused(version.recipe(train), train.overrides) for version in found]
    for name, why in unused(_recipe_of(train), train.overrides).items():
        if all(name in each for each in everywhere):
            raise UsageError(why)
