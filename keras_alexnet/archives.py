"""Archives: unpacked once into a cache, or read member by member."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib

from absl import logging

from keras_alexnet.errors import UserError

ENDINGS = (".tar.gz", ".tgz", ".tar", ".zip")
CACHE_VARIABLE = "KERAS_ALEXNET_CACHE"
_STALE_SECONDS = 24 * 3600


def is_archive(path: str | os.PathLike) -> bool:
    """Whether a path is named as an archive that can be read here."""
    return os.fspath(path).lower().endswith(ENDINGS)


def stem(path: str | os.PathLike) -> str:
    """A folder's or archive's name without the ending: `cifar10-jpeg.tar.gz` → `cifar10-jpeg`."""
    name = pathlib.Path(os.path.abspath(path)).name
    ending = next((e for e in ENDINGS if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]


def cache_folder() -> pathlib.Path:
    """`$KERAS_ALEXNET_CACHE`, by default `~/.cache/keras_alexnet`."""
    named = os.environ.get(CACHE_VARIABLE)
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache" / "keras_alexnet"


def unpacked(archive: str | os.PathLike) -> pathlib.Path:
    """Unpacks an archive into the cache, unless it is there already, and returns the folder.

    The folder is named after the archive's contents, and takes its name only when all is
    unpacked: neither a changed archive nor a killed process can leave one that misleads.

    Raises:
        UserError: if there is no such file, if it is damaged, or if a member's path leads out.
    """
    archive = pathlib.Path(archive)
    if not archive.is_file():
        raise UserError(f"No such archive: {archive}.")
    with open(archive, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = cache_folder() / f"{stem(archive)}-{digest[:16]}"
    if not target.is_dir():
        with reading(archive):
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(target)
            logging.info("Unpacking %s into %s.", archive, target)
            _unpack_beside(archive, target)
    return target


@contextlib.contextmanager
def reading(archive: str | os.PathLike):
    """Turns what a damaged archive raises into a `UserError` that names it."""
    try:
        yield
    except UserError:
        raise
    except (tarfile.FilterError, ValueError) as error:
        raise UserError(f"{archive} was not unpacked: {error}.") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"{archive} is damaged or no archive: {error}. Download or copy it again."
        ) from error
    except OSError as error:
        raise UserError(f"{archive} could not be read or unpacked: {error}.") from error


def _unpack_beside(archive: pathlib.Path, target: pathlib.Path) -> None:
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    try:
        if archive.name.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as source:
                _extract_zip(source, partial)
        else:
            with tarfile.open(archive) as source:
                source.extractall(partial, filter="data")
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same contents
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract_zip(source: zipfile.ZipFile, folder: pathlib.Path) -> None:
    for member in source.infolist():
        path = pathlib.PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            raise ValueError(f"member {member.filename!r} would leave the folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"member {member.filename!r} is a link")
        if member.flag_bits & 1:
            raise ValueError(f"member {member.filename!r} is encrypted")
        source.extract(member, folder)


def _remove_stale(target: pathlib.Path) -> None:
    """Removes what killed processes left of the same archive a day ago or earlier."""
    for partial in target.parent.glob(f"{target.name}.partial-*"):
        if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
