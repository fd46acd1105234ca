"""Version numbers, staging, and atomic publishing of an export."""

import contextlib
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator

from keras_alexnet.errors import UserError, whole_number
from keras_alexnet.utils import files, machine, signals

_STAGE = ".export-"
_LARGEST = 2**63 - 1  # TF Serving keeps versions in 64 bits


def free_version(folder: str | os.PathLike, wanted: int | None = None) -> int:
    """Returns the version to write: the requested one, or the one after the newest.

    Raises:
        UsageError: if the requested version is not a positive integer of 64 bits.
        UserError: if it exists, or `folder` is a file.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file. Pass a folder as --out.")
    taken = [int(each.name) for each in _entries(folder) if each.name.isdecimal()]
    if wanted is None:
        wanted = max(taken, default=0) + 1
        if wanted > _LARGEST:
            raise UserError(
                f"{folder} has the version {wanted - 1}, after which TF Serving knows no other. "
                "Pass a smaller --version."
            )
        return wanted
    wanted = whole_number("version", wanted, 1)
    if wanted in taken:
        raise UserError(
            f"{folder / str(wanted)} exists. Versions are never overwritten: omit --version for "
            "the next free one."
        )
    return wanted


@contextlib.contextmanager
def staged(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a new hidden folder inside `folder`, which is removed at the end.

    Hidden folders left by killed processes are removed first. `folder` itself is removed at the end
    if it was created here and is empty.
    """
    folder = pathlib.Path(folder)
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    own = f"{_STAGE}{platform.node()}-"  # processes on other machines cannot be checked
    for left in _entries(folder):
        if left.name.startswith(own) and not _is_at_work(left.name.removeprefix(own)):
            shutil.rmtree(left, ignore_errors=True)
    stage = folder / f"{own}{os.getpid()}"
    shutil.rmtree(stage, ignore_errors=True)
    try:
        stage.mkdir()
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if not existed and not _entries(folder):
            folder.rmdir()


def publish(stage: pathlib.Path, folder: pathlib.Path) -> None:
    """Moves everything from the stage to `folder`, after it has been synced to the disk.

    A version is a folder that appears complete; in other folders, such as `tflite`, each file
    replaces the one with its name, or the one that a link with its name leads to.

    Raises:
        UserError: if a different process wrote the same version in the meantime.
    """
    for parent, _, names in os.walk(stage):
        for path in (*names, "."):
            files.sync(os.path.join(parent, path))
    try:
        with signals.held():  # all of it, or nothing
            _move(stage, folder)
    except KeyboardInterrupt as error:
        error.add_note(f"The export in {folder} is complete.")
        raise
    files.sync(folder)


def _move(stage: pathlib.Path, folder: pathlib.Path) -> None:
    # Versions first, because only they can collide with those of another export.
    for source in sorted(stage.iterdir(), key=lambda path: not path.name.isdecimal()):
        if source.name.isdecimal():
            _rename_version(source, folder / source.name)
            continue
        _merge(source, folder / source.name)


def _merge(source: pathlib.Path, target: pathlib.Path) -> None:
    """Moves each file of a folder, and of the folders in it, to its place in another one."""
    target.mkdir(exist_ok=True)
    for each in source.iterdir():
        (_merge if each.is_dir() else _replace)(each, target / each.name)
    files.sync(target)


def _replace(source: pathlib.Path, target: pathlib.Path) -> None:
    if not target.is_symlink():
        os.replace(source, target)
        return
    with files.atomic_write(target) as temporary:  # of what the link leads to
        shutil.copyfile(source, temporary)


def _rename_version(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        if target.exists():
            raise UserError(f"{target} was written by another export in the meantime.") from error
        raise


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_at_work(process_id: str) -> bool:
    return process_id.isdecimal() and machine.is_running(int(process_id))
