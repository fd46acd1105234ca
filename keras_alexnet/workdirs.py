"""Opening a run's folder: new, or again to go on."""

import dataclasses
import json
import os
import pathlib
import time

from keras_alexnet import checkpoints, files, results, runs
from keras_alexnet.config import TrainConfig
from keras_alexnet.errors import UsageError, UserError

# What may change between stop and resume without changing the experiment; when it is not given,
# it is what it was.
_FREE = ("record", "num_devices", "logical_cpu_devices", "keep_checkpoints")
# What only a run leaves in a folder.
_TRACES = (runs.CONFIG, runs.MODEL, checkpoints.FOLDER)


def resolved(config: TrainConfig) -> TrainConfig:
    """Returns `config` as it will run: a resumed run's settings come from its config.json.

    A setting that is given and is not the run's is refused, since the run would become another
    experiment half-way. One that equals the default counts as not given.

    Raises:
        UsageError: for `resume` without a folder.
        UserError: if the folder holds no run, another run, or settings that differ.
    """
    if not config.resume:
        if config.workdir is not None:
            _refuse_traces(pathlib.Path(config.workdir))
        return config
    if config.workdir is None:
        raise UsageError("--resume needs --workdir, the folder of the run to go on with.")
    if not _config_file(config.workdir).exists():
        raise UserError(f"There is no run to go on with in {config.workdir}: no {runs.CONFIG}.")
    return _merged(config, runs.read_config(config.workdir))


def holds_run(workdir) -> bool:
    """Whether a run was started in the folder."""
    return _config_file(workdir).exists()


def ended_results(config: TrainConfig) -> dict | None:
    """Returns the results of a resumed run that has already ended, else None."""
    path = pathlib.Path(config.workdir or ".") / runs.RESULTS
    if not config.resume or not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    if config.record is not None:
        results.record(config.record, found)
    return found


def path_for(config: TrainConfig, dataset_name: str) -> pathlib.Path:
    """Returns the run's folder: the one asked for, or runs/<variant>-<dataset>-<time>."""
    if config.workdir is not None:
        return pathlib.Path(config.workdir)
    when = time.strftime("%Y%m%d-%H%M%S")
    return pathlib.Path("runs") / f"{config.variant}-{dataset_name}-{when}-{os.getpid()}"


def open_workdir(workdir: pathlib.Path, config: TrainConfig, recipe, data, origin: dict) -> str:
    """Makes the run's folder with its config.json, or checks that of the run to go on with.

    Returns:
        The commit of the run; of a run that goes on with other code, both, joined by "/".

    Raises:
        UserError: if the data of a resumed run are not what they were.
    """
    if config.resume:
        before = runs.read_config(workdir)
        if before["data"]["sha256"] != data.sha256:
            raise UserError(
                f"The data are not those that the run in {workdir} started with: SHA-256 "
                f"{data.sha256}, not {before['data']['sha256']}."
            )
        commits = dict.fromkeys([before["commit"], origin["commit"]])
        return "/".join(commits)
    _refuse_traces(workdir)
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
    files.write_json(_config_file(workdir), described)
    return origin["commit"]


def _refuse_traces(workdir: pathlib.Path) -> None:
    if any((workdir / trace).exists() for trace in _TRACES):
        raise UserError(
            f"{workdir} already holds a run. Give another --workdir, or --resume to go on with "
            "that run."
        )


def _config_file(workdir) -> pathlib.Path:
    return pathlib.Path(workdir) / runs.CONFIG


def _merged(config: TrainConfig, saved: dict) -> TrainConfig:
    defaults = dataclasses.asdict(TrainConfig())
    before, merged, differing = saved["config"], {}, []
    for name, value in dataclasses.asdict(config).items():
        merged[name] = before[name]
        if name in ("workdir", "resume") or (name in _FREE and value != defaults[name]):
            merged[name] = value
        elif name == "overrides":
            differing += [
                f"{key}: {saved['recipe'].get(key)} before, now {new}"
                for key, new in value.items()
                if new is not None and saved["recipe"].get(key) != new
            ]
        elif value not in (defaults[name], before[name]):
            differing.append(f"{name}: {before[name]} before, now {value}")
    if differing:
        raise UserError(
            f"The run in {config.workdir} was started with other settings. "
            f"{'; '.join(differing)}. Leave them out, or start another run in another --workdir."
        )
    return TrainConfig(**merged)
