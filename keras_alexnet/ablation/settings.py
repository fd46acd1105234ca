"""The settings of a study in its folder: saved, taken back, and compared with those of a call."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_alexnet.ablation.config import AblateConfig
from keras_alexnet.ablation.versions import OF_THE_STUDY, Version
from keras_alexnet.distributed import precision_choice
from keras_alexnet.distributed.precision_choice import AUTO
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.utils import json_files

FILE = "ablation.json"

_ADVICE = "Put a copy back, or start another study in another --workdir."
_OF_THE_CALL = ("workdir", "resume")
_SAVED = {"settings": {"train": dict, "seeds": int}, "versions": {...: dict}}


def described(config: AblateConfig, versions: Sequence[Version]) -> dict[str, Any]:
    """Returns what is saved: all settings, and what each version changes with its recipe."""
    settings = dataclasses.asdict(config)
    for name in _OF_THE_CALL:
        del settings[name]
    for name in OF_THE_STUDY:
        del settings["train"][name]
    found = {
        "settings": settings,
        "versions": {
            version.name: {
                "changes": version.changes,
                "recipe": version.recipe(config.train).as_json(),
            }
            for version in versions
        },
    }
    return json.loads(json.dumps(found))


def saved(config: AblateConfig) -> dict[str, Any] | None:
    """Returns what the folder's file holds, or None if there is none.

    Raises:
        UserError: it is damaged.
    """
    path = _path(config)
    return json_files.read(path, _SAVED, _ADVICE, nan=True) if path.exists() else None


def resumed(config: AblateConfig) -> AblateConfig:
    """Returns the settings of the study in the folder, if the call is to resume it.

    Raises:
        UsageError: the call has other settings, too, or the folder is not given.
        UserError: there is no study to resume, or its file is damaged.
    """
    if config.workdir is None:
        raise UsageError("workdir is needed: the folder that the study writes.")
    if not config.resume:
        return config
    bare = AblateConfig(workdir=config.workdir, resume=True)
    names = [field.name for field in dataclasses.fields(config)]
    if more := [name for name in names if getattr(config, name) != getattr(bare, name)]:
        raise UsageError(
            "resume takes all settings from the study's folder. To continue it with more seeds or "
            "versions, omit --resume and give all settings. Received, besides workdir and resume: "
            f"{', '.join(more)}."
        )
    found = saved(config)
    if found is None:
        raise UserError(f"There is no study to resume in {config.workdir}: it has no {FILE}.")
    try:
        settings = dict(found["settings"])
        train = TrainConfig(**settings.pop("train"))
        return AblateConfig(**settings, train=train, workdir=config.workdir)
    except (TypeError, UsageError) as error:
        raise UserError(f"{_path(config)} is damaged: {error}. {_ADVICE}") from error


def with_precision(config: AblateConfig) -> AblateConfig:
    """Returns the settings with the precision that `auto` stands for, the same for all runs.

    A study that has begun keeps its own, also on another machine.

    Raises:
        UserError: the study's file is damaged.
    """
    train = config.train
    if train.precision != AUTO:
        return config
    before = saved(config)
    if before is None:
        on_cpu = train.logical_cpu_devices is not None
        found = precision_choice.choose(AUTO, train.variant, on_cpu=on_cpu)
        found.log()
        name = found.name
    else:
        name = before["settings"]["train"].get("precision", "float32")
    return dataclasses.replace(config, train=dataclasses.replace(train, precision=name))


def check_same(config: AblateConfig, versions: Sequence[Version]) -> None:
    """Checks that the study in the folder is the one that is asked for, or a part of it.

    Raises:
        UserError: its settings differ in more than fewer seeds, versions or learning rates.
    """
    before = saved(config)
    if before is None:
        return
    now = described(config, versions)
    changes = _changes_of_settings(before["settings"], now["settings"])
    for name, was in before["versions"].items():
        if name not in now["versions"]:
            changes.append(f"version {name}: is missing now")
        elif was != now["versions"][name]:
            changes += _differing(f"version {name}: ", was, now["versions"][name])
    if changes:
        raise UserError(
            f"The study in {config.workdir} was started with different settings. "
            f"{'; '.join(changes)}. Give what it had (more seeds, versions and learning rates may "
            "be added), or start another study in another --workdir."
        )


def _changes_of_settings(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    changes = _differing("", was["train"], now["train"])
    if now["seeds"] < was["seeds"]:
        changes.append(f"seeds: was {was['seeds']}, is now {now['seeds']}")
    rates = was["learning_rates"], now["learning_rates"]
    # Without several rates, the recipe's is used: the runs are others.
    if not set(rates[0]) <= set(rates[1]) or (rates[1] and not rates[0]):
        changes.append(f"learning_rates: was {rates[0]}, is now {rates[1]}")
    if rates[0] and was["best_rate_by"] != now["best_rate_by"]:
        changes.append(f"best_rate_by: was {was['best_rate_by']}, is now {now['best_rate_by']}")
    return changes


def _differing(prefix: str, was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    changes = []
    for name in dict.fromkeys([*was, *now]):
        before, after = was.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += _differing(prefix, before, after)
        elif before != after:
            changes.append(f"{prefix}{name}: was {before}, is now {after}")
    return changes


def _path(config: AblateConfig) -> pathlib.Path:
    return pathlib.Path(config.workdir) / FILE
