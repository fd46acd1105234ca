"""Creating, reopening and locking the folder of a run."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.training import report, traces
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.job import RUNS, TrainingJob
from keras_alexnet.utils import files, json_files, outputs

_OWN_FILES = (
    *(run_folder.MODEL, run_folder.CONFIG, run_folder.METRICS, run_folder.RESULTS),
    *(run_folder.LABELS, "per_class.csv"),
)


def check_record(config: TrainConfig) -> None:
    """Checks that the table of results can take another row, before anything long is done.

    Raises:
        UsageError: it is a file that the run writes itself.
        UserError: it is a folder, has other columns, or cannot be written.
    """
    if config.record is not None:
        outputs.check_file(config.record, "record")
        folder, name = os.path.split(os.path.realpath(config.record))
        if name in _OWN_FILES and folder == os.path.realpath(config.workdir or RUNS):
            raise UsageError(
                f"record must not be a file of the run itself. Received: {config.record}."
            )
        files.read_rows(config.record, report.COLUMNS)


def check_folder(config: TrainConfig) -> None:
    """Checks that the run's folder can be written to, without creating it.

    Raises:
        UserError: it is a file, or cannot be created or written to.
    """
    outputs.check_folder(config.workdir or RUNS, "workdir")


def ended_results(config: TrainConfig) -> dict[str, Any] | None:
    """Returns the results of a resumed run that has already ended, else None.

    A run that has lost its model has not ended: its last checkpoint has the weights.

    Raises:
        UserError: if its results.json is damaged.
    """
    folder = pathlib.Path(config.workdir or ".")
    path = folder / run_folder.RESULTS
    if not config.resume or not os.path.lexists(path):
        return None
    found = json_files.read(path, run_folder.RESULTS_SCHEMA, run_folder.RESULTS_ADVICE, nan=True)
    for name in (run_folder.MODEL, run_folder.LABELS):
        if not (folder / name).exists():
            logging.warning("%s is missing, and is made again.", folder / name)
            return None
    if config.record is not None:
        files.record(config.record, found, report.COLUMNS)
    return found


@contextlib.contextmanager
def locked(workdir: pathlib.Path, cluster: Cluster) -> Iterator[None]:
    """Locks a run's folder for this run, and creates it if it does not exist.

    Raises:
        UserError: if another process is training in the folder, or it cannot be written to.
    """
    with contextlib.ExitStack() as stack:

        def lock() -> None:
            with _writable(workdir):
                workdir.mkdir(parents=True, exist_ok=True)
            message = (
                f"Another process is training in {workdir}. Wait for it to end or stop it, then "
                "start again; or pass another --workdir."
            )
            stack.enter_context(files.locked(workdir, message))
            files.remove_half_written(workdir)

        cluster.from_chief(lock)
        yield


def open_workdir(job: TrainingJob) -> None:
    """Writes config.json of a new run, or adds the changes of a resumed one to it.

    Raises:
        UserError: if a new run's folder holds a run, or cannot be written to.
    """
    path = job.workdir / run_folder.CONFIG
    if not job.config.resume:
        traces.refuse_traces(job.workdir)
        with _writable(job.workdir):
            Checkpoints(job.workdir).begin()
            files.write_json(path, {**_described(job), "changes": [], **job.origin})
    elif job.changes:
        before = run_folder.read_config(job.workdir) or {}
        date = job.origin["date"]
        rows = [{**dataclasses.asdict(change), "date": date} for change in job.changes]
        before |= {**_described(job), "changes": before.get("changes", []) + rows}
        files.write_json(path, before)
        # The results are those of a run with different settings.
        (job.workdir / run_folder.RESULTS).unlink(missing_ok=True)


@contextlib.contextmanager
def _writable(workdir: pathlib.Path) -> Iterator[None]:
    """Turns an error in its body into one that names the folder and says what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The run's folder {workdir} cannot be written to: {error.strerror}. Pass another "
            "--workdir."
        ) from error


def _described(job: TrainingJob) -> dict[str, Any]:
    data = job.data
    return {
        "config": dataclasses.asdict(job.config),
        "recipe": job.recipe.as_json(),
        "precision_why": job.precision_why,
        "weights": None if job.weights is None else dataclasses.asdict(job.weights),
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "sha256_of": data.sha256_of,
            "classes": len(data.class_names),
            "skipped_images": len(data.skipped),
            "left_out_files": dict(data.left_out),
            "note": data.note,
        },
    }
