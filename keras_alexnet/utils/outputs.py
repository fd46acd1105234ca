"""Where outputs go: links that are followed, devices, and checks before long work."""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

_MOST_LINKS = 40  # the system's own limit
_BLOCK = bytes(4096)
_LONGEST_NAME = 60  # characters of at most 4 bytes: file systems allow 255 bytes


class Destination(NamedTuple):
    """What a write to a path changes.

    Attributes:
        path: the file at the end of all links, or the device, pipe or open file itself.
        is_plain: whether it is a regular file, or nothing yet, and can be replaced as a whole.
    """

    path: pathlib.Path
    is_plain: bool


def destination(path: str | os.PathLike) -> Destination:
    """Returns what a write to a path changes.

    Raises:
        OSError: it is a folder, or its links lead nowhere.

    Example:
        >>> destination("/dev/null").is_plain, destination("new.csv").is_plain
        (False, True)
    """
    given, path = path, pathlib.Path(path)
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            break
        if _holds_open_files(path.parent):  # /dev/stdout, or a shell's >(command)
            return Destination(path, False)
        path = path.parent / os.readlink(path)
    else:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(given))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Destination(path, True)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(given))
    return Destination(path, stat.S_ISREG(mode))


@contextlib.contextmanager
def replacement(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside a plain file, to be renamed to it by `take_place`.

    What is left at the temporary path is removed at the end.

    Raises:
        PermissionError: the file exists, and must not be written to.
    """
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    name = path.name
    if len(os.fsencode(name)) > 4 * _LONGEST_NAME:
        name = name[-_LONGEST_NAME:]
    temporary = path.with_name(f".{os.getpid()}-{name}")
    try:
        yield temporary
    except OSError as error:
        if error.filename == str(temporary):  # the user knows only the file itself
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def take_place(temporary: pathlib.Path, path: pathlib.Path) -> None:
    """Renames a file to a path; a file that was there gives it its owner and permissions."""
    with contextlib.suppress(FileNotFoundError):
        before, own = path.stat(), temporary.stat()
        if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (own.st_uid, own.st_gid):
            with contextlib.suppress(OSError):  # only root may give files away
                os.chown(temporary, before.st_uid, before.st_gid)
        os.chmod(temporary, stat.S_IMODE(before.st_mode))
    os.replace(temporary, path)


@contextlib.contextmanager
def copied_to(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path, whose contents are written to a device or pipe at the end."""
    with tempfile.TemporaryDirectory() as folder:
        temporary = pathlib.Path(folder) / path.name
        yield temporary
        try:
            # Appended, because standard output may be a file that already holds something.
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            with open(temporary, "rb") as source, open(descriptor, "wb") as device:
                shutil.copyfileobj(source, device)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def check_file(path: str | os.PathLike, name: str) -> None:
    """Checks that a file can be written later; call it before long work. Nothing is left behind.

    Args:
        path: the file.
        name: what the message calls it, such as "record".

    Raises:
        UserError: it is a folder, or it or its folder cannot be written to.

    Example:
        >>> check_file("new/results.csv", "record")
        >>> check_file(".", "record")
        Traceback (most recent call last):
        ...
        keras_alexnet.errors.UserError: record must be a file that can be written. Received: ., \
which is a folder.
    """
    with _explained(path, f"{name} must be a file that can be written"):
        if os.fspath(path).endswith(os.sep):
            raise IsADirectoryError
        found = destination(path)
        if found.is_plain:
            _try_to_write(found.path.parent)
        if found.path.exists() and not os.access(found.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_folder(path: str | os.PathLike, name: str) -> None:
    """Checks that a folder can be written to later; call it before long work.

    It need not exist, and is not created.

    Args:
        path: the folder.
        name: what the message calls it, such as "workdir".

    Raises:
        UserError: it is a file, or cannot be created or written to.

    Example:
        >>> check_folder("runs/mine", "workdir")
    """
    with _explained(path, f"{name} must be a folder that can be written to"):
        if os.path.exists(path) and not os.path.isdir(path):
            raise NotADirectoryError
        _try_to_write(pathlib.Path(path))


@contextlib.contextmanager
def _explained(path: str | os.PathLike, wanted: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        received = printable(os.fspath(path))
        if isinstance(error, IsADirectoryError):
            why = "which is a folder"
        elif isinstance(error, NotADirectoryError) and error.filename is None:
            why = "which is a file"
        else:
            place = error.filename
            where = "" if place in (None, path) else f" ({printable(os.fspath(place))})"
            why = f"which fails: {error.strerror}{where}"
        raise UserError(f"{wanted}. Received: {received}, {why}.") from error


def _try_to_write(folder: pathlib.Path) -> None:
    """Writes a block to an unnamed file in a folder, or in the nearest one above that exists."""
    while True:
        try:
            mode = folder.stat().st_mode
            break
        except FileNotFoundError:
            if folder.is_symlink():
                raise
            folder = folder.parent
        except NotADirectoryError:
            folder = folder.parent
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=f".{os.getpid()}-") as file:
            file.write(_BLOCK)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _holds_open_files(folder: pathlib.Path) -> bool:
    place = os.path.realpath(folder)
    return place == "/dev/fd" or re.fullmatch(r"/proc/\d+(/task/\d+)?/fd", place) is not None
