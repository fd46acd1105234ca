"""One limit for all that the cache keeps of data sets: archives' contents and decoded images."""

import functools
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import NamedTuple

from absl import logging

from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 8 * 2**30  # of all that is kept; what was used longest ago is removed first

DECODED = "decoded"  # the folder of decoded images
CONTENTS = ".contents"  # the ending of decompressed archives
LIST = ".files.json"  # the ending of the list that says where their files are

_UNPACKED = re.compile(r".+-[0-9a-f]{16}", re.DOTALL)  # a folder that an archive was unpacked into

_SECONDS_UNTOUCHED = 24 * 3600  # of a half-written file that nobody writes any more

_HELD: dict[tuple[int, int], int] = {}  # device and inode → descriptor that has a lock


class _Kept(NamedTuple):
    """A file or folder in the cache. `listed` is the file beside it whose time is the last use."""

    path: pathlib.Path
    listed: pathlib.Path
    size: int
    used: float


def hold(path: str | os.PathLike) -> None:
    """Keeps all processes from removing a file or folder of the cache until this process ends.

    Whoever holds it looks afterwards whether it is there.
    """
    if fcntl is None:
        return  # without locks, nothing that must stay is removed
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    about = os.fstat(descriptor)
    identity = about.st_dev, about.st_ino
    try:
        if identity in _HELD:
            os.close(descriptor)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            _HELD[identity] = descriptor
    except OSError:  # a file system without locks
        os.close(descriptor)


def note_use(path: str | os.PathLike) -> None:
    """Notes that a file was used now, if the cache can be written to."""
    try:
        os.utime(path)
    except OSError:
        return


def make_room(cache: pathlib.Path, size: int = 0) -> None:
    """Removes what was used longest ago, until what is left and `size` bytes are within the limit.

    Archives that a process reads stay.

    Args:
        cache: the cache folder.
        size: bytes that are about to be written; 0 if they are written already.

    Raises:
        OSError: there is not enough room.
    """
    _say_the_limit(cache)
    with files.locked(cache):
        files.remove_half_written(cache, cache / DECODED, seconds=_SECONDS_UNTOUCHED)
        kept = sorted(_all_kept(cache), key=lambda each: each.used)
        total, removed = size + sum(each.size for each in kept), 0
        for each in kept if size <= MOST_BYTES else ():
            if total <= MOST_BYTES:
                break
            if _remove(each):
                total -= each.size
                removed += each.size
    if removed:
        logging.info(
            "Removed %s from the cache, which were used longest ago.",
            f"{removed / 1e6:,.0f} MB",
        )
    if total > MOST_BYTES:
        raise OSError(f"there is no room for {size:,} bytes in {printable(cache)}")


@functools.cache
def _say_the_limit(cache: pathlib.Path) -> None:
    logging.info(
        "%s keeps contents of archives and decoded images for the next run, at most %s GiB; what "
        "was used longest ago is removed first.",
        *(printable(cache), f"{MOST_BYTES / 2**30:g}"),
    )


def _all_kept(cache: pathlib.Path) -> Iterator[_Kept]:
    for path in cache.iterdir():
        try:
            if path.suffix == CONTENTS:
                listed = path.with_name(path.name.removesuffix(CONTENTS) + LIST)
                about = path.stat()
                used = listed.stat().st_mtime if listed.exists() else about.st_mtime
                yield _Kept(path, listed, about.st_size, used)
            elif _UNPACKED.fullmatch(path.name) and path.is_dir():
                listed = path.with_name(f"{path.name}.json")
                sizes: dict[str, list[int]] = json.loads(listed.read_text(encoding="utf-8"))
                size = sum(of_file for of_file, _ in sizes.values())
                yield _Kept(path, listed, size, listed.stat().st_mtime)
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            continue  # another process removed it, or it is not of the cache
    for path in (cache / DECODED).glob("*.safetensors"):
        try:
            about = path.stat()
        except OSError:
            continue
        yield _Kept(path, path, about.st_size, about.st_mtime)


def _remove(kept: _Kept) -> bool:
    """Removes something, unless a process holds it; returns whether it is gone."""
    if kept.listed == kept.path:  # decoded images are read as a whole, at once
        kept.path.unlink(missing_ok=True)
        return True
    if fcntl is None:
        return False
    try:
        descriptor = os.open(kept.path, os.O_RDONLY)
    except FileNotFoundError:  # another process removed it
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if kept.path.is_dir():
            # The name of what a killed process leaves, which is removed a day later.
            doomed = kept.path.with_name(f"{kept.path.name}.partial-{os.getpid()}")
            kept.path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
        else:
            kept.path.unlink()
        kept.listed.unlink(missing_ok=True)
    except OSError:  # a process holds it
        return False
    finally:
        os.close(descriptor)
    return True
