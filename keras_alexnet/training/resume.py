"""The request for a run: a new one, or a resumed one with allowed changes."""

import dataclasses
import json
import pathlib
from typing import Any

from keras_alexnet import run_folder
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.distributed.precision_choice import GIVEN
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.training import recipes, traces
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import OVERRIDABLE, Recipe
from keras_alexnet.training.unused import check_used
from keras_alexnet.utils import json_files, json_schema

# Fields of a recipe that no flag overrides: tables, and defaults of settings of the run.
SETTINGS_OF_RECIPES = ("input_size", "views", "freeze_until")

_TABLES = ("layer_rates", "layer_decay", "layer_drops", *SETTINGS_OF_RECIPES)

# What may change when a run is resumed without changing the experiment; it keeps its value if it is
# not given. The location of the data may change, because their SHA-256 may not, which depends on
# splits and labels, too.
_MAY_CHANGE = (
    "record",
    "log",
    "data_dir",
    "splits",
    "labels_csv",
    "num_devices",
    "logical_cpu_devices",
    "join_timeout",
    "checkpoint_every_steps",
    "keep_checkpoints",
    "deterministic",
    "on_nonfinite",
    "step_back_factor",
    "step_backs",
)

_OF_THE_CALL = ("workdir", "resume", "allow_change")  # never taken from config.json

_DATA = "data"

_RECIPE_FIELDS = tuple(field.name for field in OVERRIDABLE)

# What is read of config.json here.
_SAVED = {
    "config": json_schema.of_fields((f.name, f.type) for f in dataclasses.fields(TrainConfig)),
    "recipe": {
        **json_schema.of_fields((f.name, f.type) for f in dataclasses.fields(Recipe)),
        **{"name": str, "note": str},
    },
    "precision_why?": str,
}


@dataclasses.dataclass(frozen=True)
class Change:
    """A setting, or the data, that is not the one that the run was started with."""

    name: str
    before: object
    now: object

    def __str__(self) -> str:
        return f"{self.name}: was {self.before}, is now {self.now}"


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """What a run is requested to do.

    Attributes:
        config: the settings, with those of config.json for what is not given.
        recipe: the recipe with all overrides.
        changes: the settings that differ from config.json.
        saved: config.json of a resumed run, else None.
        precision_why: why it has its precision, as `run_precision` finds out.
    """

    config: TrainConfig
    recipe: Recipe
    changes: list[Change]
    saved: dict | None
    precision_why: str = GIVEN

    def changes_with(self, data_sha256: str) -> list[Change]:
        """Returns the changes, including that of the data, if all of them are allowed.

        Raises:
            UserError: if a change is not allowed; the message names everything that differs.
        """
        changes = list(self.changes)
        if self.saved is not None and self.saved["data"]["sha256"] != data_sha256:
            before = self.saved["data"]["sha256"]
            changes.append(Change(_DATA, f"SHA-256 {before}", f"SHA-256 {data_sha256}"))
        self._refuse_unless_allowed(changes)
        return changes

    def check_settings(self) -> None:
        """Like `changes_with`, without the data, for when they could not be loaded.

        Raises:
            UserError: as `changes_with`.
        """
        self._refuse_unless_allowed(self.changes)

    def _refuse_unless_allowed(self, changes: list[Change]) -> None:
        if any(change.name not in _allowed(self.config) for change in changes):
            names = ",".join(change.name for change in changes)
            raise UserError(
                f"The run in {self.config.workdir} was started with different settings. "
                f"{'; '.join(map(str, changes))}. Omit what differs, or start another run in "
                f"another --workdir, or pass --allow_change={names} to resume with the changes: "
                "the results will record them."
            )


def request_for(config: TrainConfig, cluster: Cluster) -> RunRequest:
    """Returns what this run is requested to do, the same on every worker.

    With several workers, a run that exists in the folder is resumed even without `config.resume`,
    because a scheduler restarts all of them with the same command.

    Raises:
        UsageError: for `resume` without a folder, a setting that does not exist, or workers that
            were started with different settings.
        UserError: if there is no run to resume, or if there is a run and `resume` is not set.
    """
    if cluster.count > 1:
        _check_same_settings(config, cluster)
        # Only the chief's file system must have the run's folder.
        resume = config.resume or cluster.from_chief(lambda: traces.can_resume(config.workdir))
        config = dataclasses.replace(config, resume=resume)
    saved = cluster.from_chief(lambda: _saved_config(config))
    return new_run(config) if saved is None else resumed_run(saved, config)


def new_run(config: TrainConfig) -> RunRequest:
    """Returns what a new run is requested to do.

    Raises:
        UsageError: if `config` allows changes, or has an unknown name or an unusable value.

    Example:
        >>> new_run(TrainConfig(variant="cifar_v2", overrides={"epochs": 3})).recipe.epochs
        3
    """
    if config.allow_change is not None:
        raise UsageError("--allow_change is for a resumed run: pass --resume with it.")
    recipe = recipes.get(config.variant, config.recipe, **config.overrides)
    check_used(config, recipe)
    return RunRequest(_with_settings_of(recipe, config), recipe, [], None)


def resumed_run(saved: dict, config: TrainConfig) -> RunRequest:
    """Returns what a resumed run is requested to do.

    A setting that equals the default counts as not given, unless `config.allow_change` names it.

    Args:
        saved: config.json of the run.
        config: what is given now.

    Raises:
        UsageError: if `config.allow_change` has an unknown name, or a value cannot be used.
        UserError: if a saved value cannot be used.
    """
    allowed, before = _allowed(config), _as_saved(TrainConfig, saved["config"], config)
    defaults = TrainConfig()
    merged: dict[str, Any] = {}
    changes: list[Change] = []
    for field in dataclasses.fields(TrainConfig):
        name = field.name
        given, was = getattr(config, name), getattr(before, name)
        merged[name] = was
        if name in _OF_THE_CALL:
            merged[name] = given
        elif name != "overrides" and given != was:
            if given != getattr(defaults, name) or name in allowed:
                merged[name] = given
                if name not in _MAY_CHANGE:
                    changes.append(Change(name, was, given))
    overrides = {name: value for name, value in config.overrides.items() if value is not None}
    was_recipe = _as_saved(Recipe, saved["recipe"], config)
    recipe, differing = _resumed_recipe(was_recipe, overrides, merged, changes)
    merged["overrides"] = {**before.overrides, **overrides}
    config = _with_settings_of(recipe, TrainConfig(**merged))
    return RunRequest(config, recipe, changes + differing, saved)


def _check_same_settings(config: TrainConfig, cluster: Cluster) -> None:
    own = json.dumps(dataclasses.asdict(config))
    everyone = [json.loads(other) for other in cluster.gather(own.encode())]
    for index, other in enumerate(everyone):
        names = [name for name, value in other.items() if value != everyone[0][name]]
        if names:
            raise UsageError(
                "All workers must be started with the same settings. Received: "
                f"{names[0]}={everyone[0][names[0]]} on worker 0 and "
                f"{names[0]}={other[names[0]]} on worker {index}."
            )


def _saved_config(config: TrainConfig) -> dict | None:
    """config.json of the run to resume, or None for a new run."""
    if not config.resume:
        if config.workdir is not None:
            traces.refuse_traces(config.workdir)
        return None
    if config.workdir is None:
        raise UsageError("--resume needs --workdir, the folder of the run to resume.")
    if (saved := run_folder.read_config(config.workdir)) is None:
        raise UserError(
            f"There is no run to resume in {config.workdir}: it has no {run_folder.CONFIG}."
            + (f" {traces.WITHOUT_CONFIG}" if traces.holds_run(config.workdir) else "")
        )
    path = pathlib.Path(config.workdir) / run_folder.CONFIG
    return json_files.matched(saved, _SAVED, path, run_folder.CONFIG_ADVICE, nan=True)


def _as_saved(kind: Any, fields: dict[str, Any], config: TrainConfig) -> Any:
    """Returns a TrainConfig or a Recipe of config.json."""
    try:
        return kind(**fields)
    except UsageError as error:  # which is about no flag
        path = pathlib.Path(config.workdir or "") / run_folder.CONFIG
        raise UserError(f"{path} is damaged: {error} {run_folder.CONFIG_ADVICE}") from error


def _with_settings_of(recipe: Recipe, config: TrainConfig) -> TrainConfig:
    """Returns the config, with the recipe's values for the settings that are None."""
    names = [name for name in SETTINGS_OF_RECIPES if getattr(config, name) is None]
    return dataclasses.replace(config, **{name: getattr(recipe, name) for name in names})


def _resumed_recipe(
    was: Recipe, given: dict[str, Any], merged: dict[str, Any], changes: list[Change]
) -> tuple[Recipe, list[Change]]:
    """Returns the run's recipe with what is given now, and the changes."""
    unknown = [name for name in given if name not in _RECIPE_FIELDS]
    if unknown:
        raise unknown_name("recipe field", unknown[0], _RECIPE_FIELDS)
    now = dataclasses.replace(was, **given)  # converts lists to tuples
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
                "A resumed run has its weights in its checkpoints and reads no others: omit "
                "weights from --allow_change, or start another run in another --workdir."
            )
    return set(names)
