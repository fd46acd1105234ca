"""What is asked of a run that goes on, against what it was started with."""

import dataclasses

from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.training import recipes
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import OVERRIDABLE, Recipe

# What may change between stop and resume without changing the experiment; when it is not given,
# it is what it was. The place of the data may, since their hash may not.
_FREE = (
    "record",
    "data_dir",
    "num_devices",
    "logical_cpu_devices",
    "checkpoint_every_steps",
    "keep_checkpoints",
    "deterministic",
    "on_nonfinite",
    "step_back_factor",
    "step_backs",
)


_OF_THE_CALL = ("workdir", "resume", "allow_change")  # never those of config.json


_DATA = "data"


# What of a recipe no flag overrides: settings taken from it where they are open, and tables.
RECIPES_OWN = ("input_size", "views", "freeze_until")


_TABLES = ("layer_rates", "layer_decay", *RECIPES_OWN)


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting, or the data, that are not what they were."""

    name: str
    before: object
    now: object

    def __str__(self) -> str:
        return f"{self.name}: {self.before} before, now {self.now}"


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """What is to be run.

    Attributes:
        config: with the settings of config.json where none are given.
        recipe: with all overrides.
        changes: the settings that differ from config.json.
        saved: config.json of a run that goes on, else None.
    """

    config: TrainConfig
    recipe: Recipe
    changes: list[Change]
    saved: dict | None

    def changes_with(self, data) -> list[Change]:
        """Returns the changes, those of the data included, if they are all allowed.

        Raises:
            UserError: with all that differs, if something is not.
        """
        changes = list(self.changes)
        if self.saved is not None and self.saved["data"]["sha256"] != data.sha256:
            before, now = (f"SHA-256 {sha}" for sha in (self.saved["data"]["sha256"], data.sha256))
            changes.append(Change(_DATA, before, now))
        self._refuse_unless_allowed(changes)
        return changes

    def check_settings(self) -> None:
        """Raises a `UserError` as `changes_with` does, for a run whose data cannot be looked at."""
        self._refuse_unless_allowed(self.changes)

    def _refuse_unless_allowed(self, changes: list[Change]) -> None:
        if any(change.name not in _allowed(self.config) for change in changes):
            names = ",".join(change.name for change in changes)
            raise UserError(
                f"The run in {self.config.workdir} was started otherwise. "
                f"{'; '.join(map(str, changes))}. Leave out what differs, or start another run in "
                f"another --workdir, or go on all the same with --allow_change={names}: the "
                "results then say what changed."
            )


def new_run(config: TrainConfig) -> RunRequest:
    """Returns what a new run is asked for.

    Raises:
        UsageError: if `config` allows changes, or names what there is not.

    Example:
        >>> none(TrainConfig(variant="cifar_v2", overrides={"epochs": 3})).recipe.epochs
        3
    """
    if config.allow_change is not None:
        raise UsageError("--allow_change is for a run that goes on: pass --resume with it.")
    recipe = recipes.get(config.variant, config.recipe, **config.overrides)
    return RunRequest(_with_recipes_own(config, recipe), recipe, [], None)


def resumed_run(saved: dict, config: TrainConfig) -> RunRequest:
    """Returns what a run that goes on is asked for.

    A setting that equals the default counts as not given, unless `config.allow_change` names it.

    Args:
        saved: config.json of the run.
        config: what is given now.

    Raises:
        UsageError: if `config.allow_change` names what there is not, or a value cannot be.
    """
    allowed, before = _allowed(config), TrainConfig(**saved["config"])
    defaults, merged, changes = TrainConfig(), {}, []
    for field in dataclasses.fields(TrainConfig):
        name = field.name
        given, was = getattr(config, name), getattr(before, name)
        merged[name] = was
        if name in _OF_THE_CALL:
            merged[name] = given
        elif name != "overrides" and given != was:
            if given != getattr(defaults, name) or name in allowed:
                merged[name] = given
                if name not in _FREE:
                    changes.append(Change(name, was, given))
    given = {name: value for name, value in config.overrides.items() if value is not None}
    recipe, differing = _recipe(Recipe(**saved["recipe"]), given, merged, changes)
    merged["overrides"] = {**before.overrides, **given}
    config = _with_recipes_own(TrainConfig(**merged), recipe)
    return RunRequest(config, recipe, changes + differing, saved)


def _with_recipes_own(config: TrainConfig, recipe: Recipe) -> TrainConfig:
    """The settings that a recipe has an opinion on, where they are left open."""
    own = {name: getattr(recipe, name) for name in RECIPES_OWN if getattr(config, name) is None}
    return dataclasses.replace(config, **own)


def _recipe(was: Recipe, given: dict, merged: dict, changes: list[Change]):
    """The recipe as it was when the run started, with what is given now."""
    unknown = [name for name in given if name not in _RECIPE_FIELDS]
    if unknown:
        raise unknown_name("recipe field", unknown[0], _RECIPE_FIELDS)
    now = dataclasses.replace(was, **given)  # with drop_epochs as it is kept, not as it came
    differing = [
        Change(name, getattr(was, name), getattr(now, name))
        for name in given
        if getattr(was, name) != getattr(now, name)
    ]
    if any(change.name == "recipe" for change in changes):
        return recipes.get(merged["variant"], merged["recipe"], **given), differing
    as_it_was = {name: getattr(was, name) for name in _RECIPE_FIELDS}
    recipe = recipes.get(merged["variant"], merged["recipe"], **as_it_was | given)
    kept = {name: getattr(was, name) for name in ("note", *_TABLES)}
    return dataclasses.replace(recipe, **kept), differing


def _allowed(config: TrainConfig) -> set[str]:
    names = [] if config.allow_change is None else config.allow_change.split(",")
    known = {_DATA, *_RECIPE_FIELDS, *(field.name for field in dataclasses.fields(TrainConfig))}
    for name in names:
        if name not in known:
            raise unknown_name("setting in allow_change", name, sorted(known))
        if name == "weights":
            raise UsageError(
                "A run that goes on has its weights in its checkpoints and reads no others: leave "
                "weights out of --allow_change, or start another run in another --workdir."
            )
    return set(names)


_RECIPE_FIELDS = tuple(field.name for field in OVERRIDABLE)
