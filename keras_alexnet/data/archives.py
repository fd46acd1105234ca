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
from collections.abc import Callable, Iterator
from typing import Any

from absl import logging

from keras_alexnet.data import cache_limit, unpacked_files
from keras_alexnet.data.archive_room import Room, most_unpacked
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files
from keras_alexnet.utils.files import open_regular
from keras_alexnet.utils.text import printable
from keras_alexnet.utils.values import path_text

CACHE_VARIABLE = "KERAS_ALEXNET_CACHE"

ANOTHER_DISK = f"set {CACHE_VARIABLE} to a folder on another disk"


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
    unpacked: neither a changed archive nor a killed process can leave wrong contents in it. A list
    of its files lies beside it; if files were lost or changed since, all are unpacked again.

    Raises:
        UserError: if the archive is damaged, if a member's path leads out of the folder, or if
            there is not enough room for what it says to hold.

    Example:
        >>> unpacked("flowers.zip").name  # doctest: +SKIP
        'flowers-5f70bf18a0860070'
    """
    archive = pathlib.Path(archive)
    with reading(archive):
        with open_regular(archive) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        target = cache_folder() / f"{stem(archive)}-{digest[:16]}"
        cache_limit.hold(target)
        if not unpacked_files.are_whole(target):
            logging.info("Unpacking %s into %s.", printable(archive), printable(target))
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(target)
            _unpack_beside(archive, target)
            cache_limit.hold(target)
            with contextlib.suppress(OSError):  # a single archive may be larger than the limit
                cache_limit.make_room(target.parent)
        cache_limit.note_use(unpacked_files.list_of(target))
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
        raise UserError(
            f"{printable(archive)} was not unpacked, because it is not safe: {error}."
        ) from error
    except OSError as error:
        raise UserError(f"{printable(archive)} could not be read or unpacked: {error}.") from error
    except _DAMAGE as error:
        raise UserError(
            f"{printable(archive)} is cut off, damaged, or not a tar or zip archive: "
            f"{printable(error)}. Copy or download it again."
        ) from error


def _unpack_beside(archive: pathlib.Path, target: pathlib.Path) -> None:
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    try:
        room = Room(archive, partial, ANOTHER_DISK)
        extract = _extract_zip if archive.name.lower().endswith(".zip") else _extract_tar
        extract(archive, partial, room)
        with files.locked(target.parent):  # others may unpack the same archive
            if unpacked_files.are_whole(target, silent=True):
                return  # another process was faster, with the same contents
            if target.exists():
                target.rename(partial.with_name(f"{partial.name}-old"))
            unpacked_files.write_list(partial, target)
            partial.rename(target)
    finally:
        for folder in (partial, partial.with_name(f"{partial.name}-old")):
            shutil.rmtree(folder, ignore_errors=True)


def _extract_tar(archive: pathlib.Path, folder: pathlib.Path, room: Room) -> None:
    with opened_tar(archive) as source:
        found = []
        for member in members(source):
            room.take(member.name, member.size)
            found.append(member)
        source.extractall(folder, members=found, filter="data")


_COMPRESSED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


@contextlib.contextmanager
def opened_tar(path: str | os.PathLike) -> Iterator[tarfile.TarFile]:
    """Opens a tar archive, uncompressed or compressed with gzip, bzip2 or xz."""
    opener = decompressor(path)
    most = None if opener is None else most_unpacked(os.path.getsize(path))
    with (opener or open)(path, "rb") as unpacked_file, tar_in(unpacked_file, most) as archive:
        yield archive


def decompressor(path: str | os.PathLike) -> Callable[..., Any] | None:
    """Returns what opens a compressed file as `open` does, or None if it is not compressed."""
    with open(path, "rb") as file:
        start = file.read(6)
    return next((opener for magic, opener in _COMPRESSED if start.startswith(magic)), None)


def tar_in(file: Any, most: int | None = None) -> tarfile.TarFile:
    """Opens the tar archive in an open binary file, such as a member of another archive.

    If `most` is not None, it is damage if the archive is longer than that.
    """
    in_chunks: Any = _InChunks(file, most)  # it has all that tarfile needs of a file
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


_LARGEST_READ = 64 * _CHUNK  # of a header; contents are read in chunks


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

    def __init__(self, file: Any, most: int | None) -> None:
        self._file, self._most = file, most
        self.tell, self.seekable = file.tell, file.seekable
        self.is_plain = isinstance(file, io.BufferedReader)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if self._most is not None and position > self._most:
            raise tarfile.ReadError(f"more than {self._most:,} bytes, if the sizes in it are right")
        return self._file.seek(position, whence)

    def read(self, size: int) -> bytes:
        if size > _LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return read_up_to(self._file, size)


def _extract_zip(archive: pathlib.Path, folder: pathlib.Path, room: Room) -> None:
    with zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            if problem := zip_problem(member):
                raise UserError(
                    f"{printable(archive)} was not unpacked: {member.filename!r} {problem}."
                )
            room.take(member.filename, member.file_size)
        source.extractall(folder)


def zip_problem(member: zipfile.ZipInfo) -> str | None:
    """Returns why a member of a zip archive must not be unpacked, or None."""
    path = pathlib.PurePosixPath(member.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
        return "has a path that leads out of the folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    return "is encrypted" if member.flag_bits & 1 else None


def _remove_stale(target: pathlib.Path) -> None:
    """Removes partial copies of the archive that killed processes left more than a day ago."""
    for partial in target.parent.glob(f"{target.name}.partial-*"):
        if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)
