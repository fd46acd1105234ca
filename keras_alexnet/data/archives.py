"""Tar and zip archives: unpacked once into a cache, or read member by member."""

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import pathlib
import shutil
import stat
import struct
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.utils.values import path_text

CACHE_VARIABLE = "KERAS_ALEXNET_CACHE"


_ENDINGS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


_STALE_SECONDS = 24 * 3600


def stem(path: str | os.PathLike) -> str:
    """Returns a folder's or archive's name without the ending.

    Example:
        >>> stem("data/cifar10-jpeg.tar.gz")
        'cifar10-jpeg'
    """
    name = os.path.basename(os.path.abspath(path))
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def cache_folder() -> pathlib.Path:
    """Returns `$KERAS_ALEXNET_CACHE`, by default `~/.cache/keras_alexnet`."""
    named = os.environ.get(CACHE_VARIABLE)
    return (
        pathlib.Path(path_text(CACHE_VARIABLE, named))
        if named
        else pathlib.Path.home() / ".cache" / "keras_alexnet"
    )


def unpacked(archive: str | os.PathLike) -> pathlib.Path:
    """Unpacks an archive into the cache, unless it is there already, and returns the folder.

    The folder is named after a hash of the archive, and gets its name only when everything is
    unpacked: neither a changed archive nor a killed process can leave wrong contents in it.

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


# What tarfile, zipfile and the decompressors raise for one kind of damage or another.
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, LookupError, ValueError, OverflowError, RuntimeError, MemoryError),
)


@contextlib.contextmanager
def reading(archive: str | os.PathLike) -> Iterator[None]:
    """Turns the errors of a damaged archive into a `UserError` that names it."""
    try:
        yield
    except UserError:
        raise
    except tarfile.FilterError as error:
        raise UserError(f"{archive} was not unpacked, because it is not safe: {error}.") from error
    except OSError as error:
        raise UserError(f"{archive} could not be read or unpacked: {error}.") from error
    except _DAMAGE as error:
        raise UserError(
            f"{archive} is cut off, damaged, or not a tar or zip archive: {error}. Copy or "
            "download it again."
        ) from error


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
    with opened_tar(archive) as source:
        source.extractall(folder, members=list(members(source)), filter="data")


_COMPRESSED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


@contextlib.contextmanager
def opened_tar(path: str | os.PathLike) -> Iterator[tarfile.TarFile]:
    """Opens a tar archive, uncompressed or compressed with gzip, bzip2 or xz."""
    with open(path, "rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _COMPRESSED if start.startswith(magic)), open)
    with opener(path, "rb") as unpacked_file, tar_in(unpacked_file) as archive:
        yield archive


def tar_in(file: Any) -> tarfile.TarFile:
    """Opens the tar archive in an open binary file, such as a member of another archive."""
    in_chunks: Any = _InChunks(file)  # it has all that tarfile needs of a file
    return tarfile.open(fileobj=in_chunks, mode="r:")


def members(source: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yields the members of an archive, and checks its end.

    An archive that is cut off between two members looks like a shorter one, except that the block
    of zeros at the end is missing. (Decompressors notice a missing end themselves.)

    Raises:
        tarfile.ReadError: if the archive is damaged or cut off.
    """
    for member in source:
        if member.size < 0:  # this would lead back to the same member forever
            raise tarfile.ReadError(f"{member.name!r} has {member.size} bytes")
        yield member
    file: Any = source.fileobj
    if file.is_plain:
        file.seek(source.offset)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the end is missing")


_CHUNK = 2**20


def read_up_to(file: Any, size: int) -> bytes:
    """Reads `size` bytes, or fewer if the file ends, and needs no more memory than for these.

    `file.read(size)` allocates memory for all bytes that are asked for, and a damaged file may ask
    for any number.

    Example:
        >>> read_up_to(io.BytesIO(b"short"), 10**12)
        b'short'
    """
    chunks = []
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


class _InChunks:
    """A file for `tarfile` that is read by `read_up_to`."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable
        self.is_plain = isinstance(file, io.BufferedReader)

    def read(self, size: int) -> bytes:
        return read_up_to(self._file, size)


def _extract_zip(archive: pathlib.Path, folder: pathlib.Path) -> None:
    with zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            path = pathlib.PurePosixPath(member.filename.replace("\\", "/"))
            drive = ":" in (path.parts or ("",))[0]
            problem = (
                "has a path that leads out of the folder"
                if path.is_absolute() or ".." in path.parts or drive
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
    """Removes partial copies of the archive that killed processes left more than a day ago."""
    for partial in target.parent.glob(f"{target.name}.partial-*"):
        if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
