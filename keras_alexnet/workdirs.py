"""Opening a run's folder: new, or again to go on."""

import dataclasses
import json
import pathlib
import time

from keras_alexnet import files, runs
from keras_alexnet.config import TrainConfig
from keras_alexnet.errors import UsageError, UserError

# What may change between stop and resume without changing the experiment.
_FREE = ("workdir", "resume", "record", "num_devices", "logical_cpu_devices", "keep_checkpoints")


def resolved(config: TrainConfig) -> TrainConfig:
    """Returns `config` as it will run: a resumed run's settings come from its config.json.

    Settings left at their default are taken from the run; a setting that is given and differs
    is refused, since the run would become another experiment half-way.

    Raises:
        UsageError: for `resume` without a folder.
        UserError: if the folder holds no run, another run, or settings that differ.
    """
    if not config.resume:
        if config.workdir is not None and _config_file(config.workdir).exists():
            raise UserError(
                f"{config.workdir} already holds a run. Give another --workdir, or --resume to "
                "go on with that run."
            )
        return config
    if config.workdir is None:
        raise UsageError("--resume needs --workdir, the folder of the run to go on with.")
    path = _config_file(config.workdir)
    if not path.exists():
        raise UserError(f"There is no run to go on with in {config.workdir}: no {runs.CONFIG}.")
    saved = json.loads(path.read_text(encoding="utf-8"))["config"]
    return _merged(config, saved)


def ended_results(config: TrainConfig) -> dict | None:
    """Returns the results of a resumed run that has already ended, else None."""
    path = pathlib.Path(config.workdir or ".") / runs.RESULTS
    if not config.resume or not path.exists():
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def path_for(config: TrainConfig, dataset_name: str) -> pathlib.Path:
    """Returns the run's folder: the one asked for, or runs/<variant>-<dataset>-<time>."""
    if config.workdir is not None:
        return pathlib.Path(config.workdir)
    when = time.strftime("%Y%m%d-%H%M%S")
    return pathlib.Path("runs") / f"{config.variant}-{dataset_name}-{when}"


def open_workdir(workdir: pathlib.Path, config: TrainConfig, recipe, data, origin: dict) -> None:
    """Makes the run's folder with its config.json.

    Raises:
        UserError: if the data of a resumed run are not what they were.
    """
    described = {
        "config": dataclasses.asdict(config),
        "recipe": dataclasses.asdict(recipe),
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "sha256_of": data.sha256_of,
            "classes": len(data.class_names),
            "skipped_images": len(data.skipped),
            "note": data.note,
        },
        **origin,
    }
    path = _config_file(workdir)
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))["data"]["sha256"]
        if before != data.sha256:
            raise UserError(
                f"The data are not those that the run in {workdir} started with: SHA-256 "
                f"{data.sha256}, not {before}."
            )
    else:
        files.write_json(path, described)


def _config_file(workdir) -> pathlib.Path:
    return pathlib.Path(workdir) / runs.CONFIG


def _merged(config: TrainConfig, saved: dict) -> TrainConfig:
    defaults = dataclasses.asdict(TrainConfig())
    given = dataclasses.asdict(config)
    merged, differing = {}, []
    for name, value in given.items():
        if name in _FREE:
            merged[name] = value
        elif name == "overrides":
            merged[name] = saved[name]
            differing += [
                f"{key}: {saved[name].get(key)} before, now {new}"
                for key, new in value.items()
                if saved[name].get(key) != new
            ]
        else:
            merged[name] = saved[name]
            if value not in (defaults[name], saved[name]):
                differing.append(f"{name}: {saved[name]} before, now {value}")
    if differing:
        raise UserError(
            f"The run in {config.workdir} was started with other settings. "
            f"{'; '.join(differing)}. Leave them out, or start another run in another --workdir."
        )
    return TrainConfig(**merged)
