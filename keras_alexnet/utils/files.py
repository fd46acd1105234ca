"""Atomic writes, folder locks, CSV and JSON."""

import contextlib
import csv
import errno
import functools
import glob
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.utils import cells, machine, outputs
from keras_alexnet.utils.text import printable

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

# What a kill in the middle of a write leaves: the number of the process, and the file's name.
_HALF_WRITTEN = re.compile(r"\.(\d{1,9})-(.+)", re.DOTALL)

# A process of another machine, of which nothing is known here, writes more often.
_SECONDS_UNTOUCHED = 60.0


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, *, synced: bool = True) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`, which takes its place when the body succeeds.

    The temporary name ends as `path` does, because writers choose their format by the ending. A
    link stays one, and what it leads to is replaced. An existing file keeps its permissions. What
    cannot be replaced, such as a pipe or /dev/stdout, is written to at the end.

    Args:
        path: the file to write.
        synced: whether to wait until the contents are safe on the disk. Only files that can be
            checked and made again need not be.

    Raises:
        OSError: `path` is a folder, or cannot be written to.

    Example:
        >>> with atomic_write("labels.txt") as temporary:
        ...     _ = temporary.write_text("cat")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    target, is_plain = outputs.destination(path)
    if is_plain:
        _remove_left_behind(target.parent, glob.escape(target.name), _SECONDS_UNTOUCHED)
    try:
        if not is_plain:
            with outputs.copied_to(target) as temporary:
                yield temporary
            return
        with outputs.replacement(target) as temporary:
            yield temporary
            if synced:
                sync(temporary)
            outputs.take_place(temporary, target)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which file it had no room for
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def link_or_copy(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Gives a file a second name, or copies it where the file system has no hard links.

    Args:
        source: a file that nobody changes in place.
        path: its other name, in a folder of the same file system; an existing file is replaced.

    Example:
        >>> _ = pathlib.Path("labels.txt").write_text("cat")
        >>> link_or_copy("labels.txt", "same.txt")
        >>> pathlib.Path("same.txt").read_text()
        'cat'
    """
    with atomic_write(path) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


@contextlib.contextmanager
def locked(folder: str | os.PathLike, refusal: str | None = None) -> Iterator[None]:
    """Keeps other processes from locking a folder while the body runs.

    The operating system releases the lock when the process ends, however it ends. Windows and some
    network file systems have no such locks: a message is logged, and the body runs anyway.

    Args:
        folder: a folder that exists.
        refusal: the message of the error raised if the lock is held. Without it, this process
            waits until another one has released the lock, but never for a lock of its own.

    Raises:
        UserError: if the lock is held and there is a `refusal`.

    Example:
        >>> with locked(".", "Another process is writing here."):
        ...     pass
    """
    if fcntl is None:
        _say_that_nothing_is_locked()
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    identity = os.fstat(descriptor).st_dev, os.fstat(descriptor).st_ino
    try:
        try:
            if refusal:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            elif identity not in _LOCKED_HERE:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BlockingIOError as error:
            raise UserError(refusal) from error
        except OSError as error:
            logging.info(
                "%s cannot be locked (%s): make sure that no other process writes to it.",
                folder,
                error.strerror,
            )
        _LOCKED_HERE.append(identity)
        try:
            yield
        finally:
            _LOCKED_HERE.remove(identity)
    finally:
        os.close(descriptor)


_LOCKED_HERE: list[tuple[int, int]] = []  # device and inode of the folders that this process holds


@functools.cache
def _say_that_nothing_is_locked() -> None:
    logging.info(
        "This system cannot lock folders: make sure that no other process writes to the same ones."
    )


def sync(path: str | os.PathLike) -> None:
    """Waits until a file's contents, or a folder's list of names, are safe on the disk.

    Does nothing for a folder on Windows, which cannot open folders and saves their names itself.
    """
    if fcntl is None and os.path.isdir(path):
        return
    # Windows flushes only what is open for writing.
    descriptor = os.open(path, os.O_RDONLY if fcntl is not None else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_half_written(*folders: str | os.PathLike, seconds: float = 0) -> None:
    """Removes what `atomic_write` left in folders when its process was killed.

    Call it only while holding the lock of `locked`, because a process of another machine may be
    writing; or with the seconds for which nothing has been written to what is removed.
    """
    for folder in folders:
        _remove_left_behind(pathlib.Path(folder), "*", seconds)


def _remove_left_behind(folder: pathlib.Path, name: str, seconds: float) -> None:
    """Removes half-written files of processes that have ended, unchanged for some seconds."""
    for path in folder.glob(f".[0-9]*-{name}"):
        found = _HALF_WRITTEN.fullmatch(path.name)
        if found is None or machine.is_running(int(found[1])):
            continue
        with contextlib.suppress(OSError):  # another process removed it
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime >= seconds:
                path.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        # Bytes of file names that are not UTF-8 are escaped; JSON reads them back unchanged.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def open_regular(path: str | os.PathLike) -> io.BufferedReader:
    """Opens a regular file for reading, at once.

    Opening a named pipe would wait for a process that writes to it, and a device may never end.

    Raises:
        OSError: it is not a regular file, or cannot be opened.

    Example:
        >>> pathlib.Path("a.txt").write_text("cat")
        3
        >>> with open_regular("a.txt") as file:
        ...     file.read()
        b'cat'
    """
    # A pipe that was opened without waiting is found out below. (Windows has no such files.)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


_BINARY = getattr(os, "O_BINARY", 0)  # on Windows


def sha256_of(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file's contents in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(path: str | os.PathLike, results: Mapping[str, Any], columns: tuple[str, ...]) -> None:
    """Adds a row of `columns` to the CSV file at `path`, which is created if it does not exist.

    A row that is already there is not added again. Runs that record at the same time take turns.
    A pipe or device gets the names of the columns and the row.

    Raises:
        UserError: if the file has other columns.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {name: cells.text_of(cells.cell(results[name])) for name in columns}
    target = outputs.destination(path).path
    with locked(target.parent):  # the folder, because the file itself is replaced
        rows = read_rows(path, columns)
        write_csv(path, rows if row in rows else [*rows, row])


def write_csv(path: str | os.PathLike, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes `rows`, which all have the same keys, to `path`, whole or not at all.

    Text that a spreadsheet would take for a formula gets an apostrophe; see `utils.cells`.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: cells.cell(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def read_csv(path: str | os.PathLike) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Returns the names of the columns and the rows of a CSV file that `write_csv` wrote.

    Spreadsheets may have saved it again. Apostrophes before formulas are removed.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8, or not all rows have the cells of all columns.
    """
    with open_regular(path) as file:
        text = file.read().decode("utf-8-sig")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        table = [[cells.text_of(each) for each in row] for row in reader if row]
    except csv.Error as error:
        raise ValueError(str(error)) from error
    columns, *rows = table or [[]]
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"a row does not have {len(columns)} cells")
    return tuple(columns), [dict(zip(columns, row, strict=True)) for row in rows]


def read_rows(path: str | os.PathLike, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Returns the rows of a results file, or an empty list if there is no file.

    Raises:
        UserError: if the file has other columns, or is no CSV file.
    """
    path = pathlib.Path(path)
    if not path.exists() or not outputs.destination(path).is_plain:
        return []
    try:
        found, rows = read_csv(path)
    except ValueError as error:
        raise UserError(
            f"{printable(path)} is not a CSV file ({printable(error)}). "
            "Give --record a different file."
        ) from error
    if found != columns:
        raise UserError(
            f"{printable(path)} has the columns {printable(', '.join(found))}, not "
            f"{', '.join(columns)}. Give --record a different file."
        )
    return rows
