"""What a run leaves in its folder, and what a folder has lost."""

import os
import pathlib

from keras_alexnet import run_folder
from keras_alexnet.errors import UserError
from keras_alexnet.training import checkpoints

# What only a run leaves in a folder.
_TRACES = (run_folder.CONFIG, run_folder.MODEL, checkpoints.FOLDER)

WITHOUT_CONFIG = (
    "That file says how the run was trained: put it back from a copy, or start another run in "
    "another --workdir."
)


def holds_run(workdir: str | os.PathLike) -> bool:
    """Returns whether a run has left files in a folder."""
    return any((pathlib.Path(workdir) / trace).exists() for trace in _TRACES)


def can_resume(workdir: str | os.PathLike | None) -> bool:
    """Returns whether a folder holds a run with its settings."""
    return workdir is not None and (pathlib.Path(workdir) / run_folder.CONFIG).exists()


def refuse_traces(workdir: str | os.PathLike) -> None:
    """Raises a `UserError` if a folder holds a run."""
    if not holds_run(workdir):
        return
    if not can_resume(workdir):
        raise UserError(
            f"{workdir} already holds a run, but no {run_folder.CONFIG}. {WITHOUT_CONFIG}"
        )
    raise UserError(
        f"{workdir} already holds a run. Pass another --workdir, or --resume to resume that run."
    )


def refuse_without_checkpoints(workdir: str | os.PathLike) -> None:
    """Raises a `UserError` if a run that had checkpoints has none, and so would start again."""
    found = checkpoints.Checkpoints(workdir)
    if found.newest_step() is None and not found.may_be_empty():
        raise UserError(
            f"The run in {workdir} has been trained, but there are no checkpoints in "
            f"{found.folder}, so it cannot be resumed. Put them back from a copy, or start again "
            "in another --workdir, with the settings that its config.json lists."
        )
