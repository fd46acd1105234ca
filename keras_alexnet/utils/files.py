"""Files that are either whole or not there, in folders that one process writes to at a time."""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import os
import pathlib
from collections.abc import Iterator

from absl import logging

from keras_alexnet.errors import UserError

try:
    import fcntl
except ImportError:  # on Windows nothing keeps two processes apart
    fcntl = None


HALF_WRITTEN = ".[0-9]*-*"  # what a kill in the middle of a write leaves, as a pattern for glob


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`, which takes its place when the body succeeds.

    The temporary name ends as `path` does, since writers choose their format by the ending.

    Example:
        >>> with written_whole("labels.txt") as temporary:
        ...     _ = temporary.write_text("cat")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which file it had no room for
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: str | os.PathLike, otherwise: str) -> Iterator[None]:
    """Keeps a folder to this process while the body runs; the system ends that with the process.

    Raises:
        UserError: with the message `otherwise`, if another process has the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UserError(otherwise) from error
    except OSError as error:  # some network file systems keep nothing to one process
        logging.info("Start nothing else in %s: it cannot be kept (%s).", folder, error.strerror)
    try:
        yield
    finally:
        os.close(descriptor)


def remove_half_written(*folders: str | os.PathLike) -> None:
    """Removes what `atomic_write` left in folders when its process was killed.

    Only for whoever has `locked` them: it may be another process's that is still writing.
    """
    for folder in folders:
        for path in pathlib.Path(folder).glob(HALF_WRITTEN):
            path.unlink()


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        # Of a file name that is no UTF-8, the bytes; JSON reads such an escape back as it was.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike, value) -> None:
    """Writes `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def readable_name(name: str) -> str:
    r"""Returns a file's name for people: what of it is no UTF-8, as hexadecimal bytes.

    Example:
        >>> readable_name(os.fsdecode(b"caf\xe9.png"))
        'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def sha256_of(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a file's contents in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record(path: str | os.PathLike, results: dict, columns: tuple[str, ...]) -> None:
    """Adds a row of `columns` to the CSV file at `path`, which it creates if need be.

    A row that is there already is not added again. Runs that record at the same time take turns.

    Raises:
        UserError: if the file has other columns.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The folder is locked, since the file itself is replaced.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        rows, row = read_rows(path, columns), {name: _cell(results[name]) for name in columns}
        write_csv(path, rows if row in rows else [*rows, row])
    finally:
        os.close(folder)


def write_csv(path: str | os.PathLike, rows: list[dict]) -> None:
    """Writes `rows`, which have the keys of the first, to `path`, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_text(path, text.getvalue())


def read_rows(path: str | os.PathLike, columns: tuple[str, ...]) -> list[dict]:
    """Returns the rows of a results file, none where there is no file.

    Raises:
        UserError: if the file has other columns.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if tuple(reader.fieldnames or ()) != columns:
        raise UserError(
            f"{path} has the columns {reader.fieldnames}, not {', '.join(columns)}. "
            "Give --record another file."
        )
    return rows


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
