"""Archives of image folders, unpacked once into a cache."""

import contextlib
import hashlib
import io
import os
import pathlib
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator

from absl import logging

from keras_alexnet.errors import UserError

CACHE_VARIABLE = "KERAS_ALEXNET_CACHE"


_ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


_STALE_SECONDS = 24 * 3600


def stem(path: str | os.PathLike) -> str:
    """A folder's or archive's name without the ending.

    Example:
        >>> stem("data/cifar10-jpeg.tar.gz")
        'cifar10-jpeg'
    """
    name = os.path.basename(os.path.abspath(path))
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def cache_folder() -> pathlib.Path:
    """`$KERAS_ALEXNET_CACHE`, by default `~/.cache/keras_alexnet`."""
    named = os.environ.get(CACHE_VARIABLE)
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache" / "keras_alexnet"


def unpacked(archive: str | os.PathLike) -> pathlib.Path:
    """Unpacks an archive into the cache, unless it is there already, and returns the folder.

    The folder is named after the archive's contents, and gets its name only when all is
    unpacked: neither a changed archive nor a killed process can leave one that misleads.

    Raises:
        UserError: if the archive is damaged, or if a member's path leads out of the folder.

    Example:
        >>> unpacked("flowers.zip").name  # doctest: +SKIP
        'flowers-5f70bf18a0860070'
    """
    archive = pathlib.Path(archive)
    with reading(archive):
        with open(archive, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = cache_folder() / f"{stem(archive)}-{digest[:16]}"
        if not target.is_dir():
            logging.info("Unpacking %s into %s.", archive, target)
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(target)
            _unpack_beside(archive, target)
    return target


@contextlib.contextmanager
def reading(archive: str | os.PathLike) -> Iterator[None]:
    """Turns what a damaged archive raises into a `UserError` that names it."""
    try:
        yield
    except UserError:
        raise
    except tarfile.FilterError as error:
        raise UserError(f"{archive} was not unpacked, since it is not safe to: {error}.") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"{archive} is cut off, damaged or no tar or zip archive: {error}. Copy or download "
            "it again."
        ) from error
    except OSError as error:
        raise UserError(f"{archive} could not be read or unpacked: {error}.") from error


def _unpack_beside(archive: pathlib.Path, target: pathlib.Path) -> None:
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    try:
        (_extract_zip if archive.name.lower().endswith(".zip") else _extract_tar)(archive, partial)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same contents
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract_tar(archive: pathlib.Path, folder: pathlib.Path) -> None:
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
        check_end(source)


def check_end(source: tarfile.TarFile) -> None:
    """Raises `tarfile.ReadError` if an archive that has been read through is cut off.

    One that is cut off between two members reads like a shorter one, but for the block of zeros
    with which every archive ends. (Compressed files notice by themselves.)
    """
    if isinstance(source.fileobj, io.BufferedReader):
        source.fileobj.seek(source.offset)
        if source.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the end is missing")


def _extract_zip(archive: pathlib.Path, folder: pathlib.Path) -> None:
    with zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            path = pathlib.PurePosixPath(member.filename.replace("\\", "/"))
            problem = (
                "has a path that leads out of the folder"
                if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
                else "is a link"
                if stat.S_ISLNK(member.external_attr >> 16)
                else "is encrypted"
                if member.flag_bits & 1
                else None
            )
            if problem:
                raise UserError(f"{archive} was not unpacked: {member.filename!r} {problem}.")
        source.extractall(folder)


def _remove_stale(target: pathlib.Path) -> None:
    """Removes what killed processes left of the same archive a day ago or earlier."""
    for partial in target.parent.glob(f"{target.name}.partial-*"):
        if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
