"""Opening a run's folder: new, or again to go on."""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import time
from collections.abc import Iterator

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.training import checkpoints, report, resume
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.job import TrainingJob
from keras_alexnet.training.resume import RunRequest
from keras_alexnet.utils import files

# What only a run leaves in a folder.
_TRACES = (run_folder.CONFIG, run_folder.MODEL, checkpoints.FOLDER)


_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


def request_for(config: TrainConfig) -> RunRequest:
    """Returns what is to be run: a resumed run's settings come from its config.json.

    Raises:
        UsageError: for `resume` without a folder, or a setting that does not exist.
        UserError: if the folder holds no run, or another one.
    """
    return request_since(found_config(config), config)


def request_since(found: dict | None, config: TrainConfig) -> RunRequest:
    """Returns what is to be run, given what `found_config` found."""
    return resume.new_run(config) if found is None else resume.resumed_run(found, config)


def found_config(config: TrainConfig) -> dict | None:
    """Returns config.json of the run to go on with, or None for a new run.

    Raises:
        UsageError, UserError: as `asked`.
    """
    if not config.resume:
        if config.workdir is not None:
            _refuse_traces(pathlib.Path(config.workdir))
        return None
    if config.workdir is None:
        raise UsageError("--resume needs --workdir, the folder of the run to go on with.")
    if not _config_file(config.workdir).exists():
        raise UserError(
            f"There is no run to go on with in {config.workdir}: no {run_folder.CONFIG}."
        )
    return run_folder.read_config(config.workdir)


def holds_run(workdir) -> bool:
    """Whether a run was started in the folder."""
    return _config_file(workdir).exists()


def ended_results(config: TrainConfig) -> dict | None:
    """Returns the results of a resumed run that has already ended, else None."""
    path = pathlib.Path(config.workdir or ".") / run_folder.RESULTS
    if not config.resume or not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path} is damaged, so what came of the run cannot be told ({error}). Delete it and "
            "resume again: the test is repeated, the training is not."
        ) from error
    if config.record is not None:
        files.record(config.record, found, report.COLUMNS)
    return found


def path_for(config: TrainConfig, dataset_name: str) -> pathlib.Path:
    """Returns the run's folder: the one asked for, or runs/<variant>-<dataset>-<time>."""
    if config.workdir is not None:
        return pathlib.Path(config.workdir)
    when = time.strftime("%Y%m%d-%H%M%S")
    return pathlib.Path("runs") / f"{config.variant}-{dataset_name}-{when}-{os.getpid()}"


def open_workdir(workdir: pathlib.Path, job: TrainingJob, origin: dict) -> tuple[str, list[dict]]:
    """Makes the run's folder with its config.json, or goes on with the one that is there.

    Args:
        workdir: the folder.
        job: what will run.
        origin: `results.provenance()`.

    Returns:
        The commit of the run, of one that goes on with other code both, joined by "/"; and all
        changes of its settings so far.
    """
    if not job.config.resume:
        _refuse_traces(workdir)
        described = {**_described(job), "changes": [], **origin}
        with _writable(workdir):
            files.write_json(_config_file(workdir), described)
        return origin["commit"], []
    before = run_folder.read_config(workdir)
    if job.changes:
        rows = [{**dataclasses.asdict(change), "date": origin["date"]} for change in job.changes]
        before |= {**_described(job), "changes": before.get("changes", []) + rows}
        files.write_json(_config_file(workdir), before)
        # What stands there was the end of a run with other settings.
        (workdir / run_folder.RESULTS).unlink(missing_ok=True)
    commits = dict.fromkeys([before["commit"], origin["commit"]])
    return "/".join(commits), before.get("changes", [])


@contextlib.contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Keeps a run's folder, which is made if it is not there, to this process.

    Raises:
        UserError: if another process is training in the folder, or it cannot be written to.
    """
    with _writable(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    with files.locked(
        workdir,
        f"Another process is training in {workdir}. Wait for its end or stop it, then start "
        "again; or give another --workdir.",
    ):
        yield


@contextlib.contextmanager
def _writable(workdir: pathlib.Path) -> Iterator[None]:
    """Turns an error of its body into one that names the folder and what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The run's folder {workdir} cannot be written to: {error.strerror}. Name another "
            "with --workdir."
        ) from error


@contextlib.contextmanager
def disk_errors_explained(workdir: pathlib.Path) -> Iterator[None]:
    """Turns a full or broken disk, met by its body, into a `UserError` that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        newest = checkpoints.Checkpoints(workdir).newest_step()
        kept = "There is no checkpoint yet"
        if newest is not None:
            kept = f"The checkpoint of step {newest} is whole"
        raise UserError(
            f"{error.filename or workdir} could not be written: {error.strerror}. {kept}. Make "
            f"room, then go on with --resume --workdir={workdir}."
        ) from error


def _described(job: TrainingJob) -> dict:
    data = job.data
    return {
        "config": dataclasses.asdict(job.config),
        "recipe": job.recipe.as_json(),
        "weights": None if job.start is None else dataclasses.asdict(job.start),
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "sha256_of": data.sha256_of,
            "classes": len(data.class_names),
            "skipped_images": len(data.skipped),
            "note": data.note,
        },
    }


def _refuse_traces(workdir: pathlib.Path) -> None:
    if any((workdir / trace).exists() for trace in _TRACES):
        raise UserError(
            f"{workdir} already holds a run. Give another --workdir, or --resume to go on with "
            "that run."
        )


def _config_file(workdir) -> pathlib.Path:
    return pathlib.Path(workdir) / run_folder.CONFIG
