"""Decoded images kept in the cache folder, by hashes of their files and of the decoder."""

import functools
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
import tensorflow as tf
from absl import logging

from keras_alexnet.data import archives, cache_limit
from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable

FEWEST = 500  # images of a set that is kept; others are decoded as fast as they are read

_PIXELS = "pixels"
_DAMAGED_FILE = (safetensors.SafetensorError, OSError, ValueError, LookupError, TypeError)


class Kept(NamedTuple):
    """What was found out by decoding images.

    Attributes:
        pixels: uint8 `[n, height, width, 3]`; n is 0 if they were only checked.
        warned: row → what the JPEG decoder warned of.
        damaged: row → why it cannot be decoded.
    """

    pixels: np.ndarray
    warned: dict[int, str]
    damaged: dict[int, str]


class DecodedCache:
    """The kept images of one set of files.

    Args:
        fingerprint: a hash of the contents of all files, in the order of the images.
        paths: the files, which must not have changed since then when something is kept.
        state: what `state_of(paths)` was before the fingerprint was computed.
    """

    def __init__(self, fingerprint: str, paths: Sequence[str | os.PathLike], state: str):
        self._fingerprint, self._paths, self._state = fingerprint, paths, state

    def load(self, *way: Any) -> Kept | None:
        """Returns what was kept for this way of decoding, whole and unchanged, or None."""
        path = self._path(way)
        if not os.path.exists(path):  # False also if the folder cannot be read
            return None
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                about, pixels = file.metadata(), file.get_tensor(_PIXELS)
            if about["sha256"] == _hash_of(pixels, about["notes"]):
                notes = [
                    {int(row): why for row, why in each} for each in json.loads(about["notes"])
                ]
                cache_limit.note_use(path)
                return Kept(pixels, *notes)
        except _DAMAGED_FILE:
            pass
        logging.warning("%s is damaged, so the images are decoded again.", printable(path))
        return None

    def keep(self, kept: Kept, *way: Any) -> None:
        """Keeps something for the next run, if there is room for it and the files are unchanged."""
        path = self._path(way)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if state_of(self._paths) != self._state:
                raise OSError("files have changed while they were decoded")
            if 2 * kept.pixels.nbytes > shutil.disk_usage(path.parent).free:
                raise OSError(f"the disk of {printable(path.parent)} is nearly full")
            cache_limit.make_room(archives.cache_folder(), kept.pixels.nbytes)
            notes = json.dumps([list(kept.warned.items()), list(kept.damaged.items())])
            about = {"sha256": _hash_of(kept.pixels, notes), "notes": notes}
            # Damage is found by the hash, so there is no need to wait for the disk.
            with files.atomic_write(path, synced=False) as temporary:
                safetensors.numpy.save_file({_PIXELS: kept.pixels}, temporary, about)
        except (OSError, safetensors.SafetensorError) as error:
            logging.info("The decoded images are not kept for the next run: %s.", error)

    def _path(self, way: Sequence[Any]) -> pathlib.Path:
        named = json.dumps([self._fingerprint, way, _decoder()])
        key = hashlib.sha256(named.encode()).hexdigest()
        return archives.cache_folder() / cache_limit.DECODED / f"{key[:32]}.safetensors"


def state_of(paths: Sequence[str | os.PathLike]) -> str:
    """Returns a hash of the sizes and times of files, by which a change is noticed.

    Example:
        >>> state_of(["missing.jpg"]) == state_of(["missing.jpg"])
        True
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            about = os.stat(path)
            state = about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
            digest.update(b"%d %d %d %d;" % state)
        except OSError:
            digest.update(b"none;")
    return digest.hexdigest()


def _hash_of(pixels: np.ndarray, notes: str) -> str:
    digest = hashlib.sha256(f"{pixels.dtype} {pixels.shape} {notes}".encode())
    digest.update(np.ascontiguousarray(pixels).reshape(-1).data)
    return digest.hexdigest()


@functools.cache
def _decoder() -> str:
    """A hash of TensorFlow's version and of the code that decodes, whose changes end the cache."""
    digest = hashlib.sha256(tf.__version__.encode())
    data = pathlib.Path(__file__).parents[1]
    for path in sorted([data / "decode.py", data / "squares.py", *data.glob("decod*/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
