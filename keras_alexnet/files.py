"""Files that are either whole or not there, in folders that one process writes to at a time."""

import contextlib
import hashlib
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
def written_whole(path: str | os.PathLike) -> Iterator[pathlib.Path]:
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
def alone(folder: str | os.PathLike, otherwise: str) -> Iterator[None]:
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


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with written_whole(path) as temporary:
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
