"""What the JPEG decoder only warns of: damage after which it goes on with wrong pixels.

libjpeg prints its first warning about an image to standard error, without the image's name, and
TensorFlow passes nothing else on. So standard error is read while images are decoded, and images of
a group about which there was a warning are decoded again in smaller groups.
"""

import contextlib
import functools
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.utils import machine

# "unknown JFIF revision number" is the only one that says nothing about the pixels.
_WARNING = re.compile(
    rb"(?:Corrupt JPEG data|Premature end of JPEG file|Inconsistent progression sequence|"
    rb"Invalid SOS parameters|Invalid progressive parameters|Unknown Adobe color transform)"
    rb"[^\n]*\n"
)
_READ_BYTES = 2**16
_SECONDS = 5.0  # to read what was printed; longer only if nothing reads standard error

Heard = Callable[[], list[str]]

_one_at_a_time = threading.RLock()  # standard error is one for the whole process


@contextlib.contextmanager
def listening() -> Iterator[Heard]:
    """Yields a function that returns the decoder's warnings since it was last called.

    Those that it returns are not printed; all else that is printed to standard error is passed on.

    Example:
        >>> with listening() as heard:
        ...     os.write(2, b"Corrupt JPEG data: 4 extraneous bytes before marker 0xd9\\n")
        ...     heard()
        57
        ['Corrupt JPEG data: 4 extraneous bytes before marker 0xd9']
    """
    with _one_at_a_time:
        try:
            standard_error = os.dup(2)
        except OSError:  # it is closed
            yield lambda: []
            return
        source, target = os.pipe()
        os.dup2(target, 2)
        os.close(target)
        listener = _Listener(source, standard_error)
        try:
            yield listener.heard
        finally:
            os.dup2(standard_error, 2)
            listener.end()


class _Listener:
    def __init__(self, source: int, passed_on: int):
        self._source, self._passed_on = source, passed_on
        self._lines: list[str] = []
        self._read_to = threading.Event()
        self._mark = b"\0%d %d read to here\n" % (os.getpid(), id(self))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def heard(self) -> list[str]:
        self._read_to.clear()
        os.write(2, self._mark)
        self._read_to.wait(_SECONDS)
        lines, self._lines = self._lines, []
        return lines

    def end(self) -> None:
        # The pipe ends when nothing writes to it; a program started meanwhile may go on to.
        self._thread.join(_SECONDS)

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._source, _READ_BYTES):
            *lines, rest = (rest + chunk).splitlines(keepends=True) + [b""]
            if lines and not lines[-1].endswith(b"\n"):
                rest = lines.pop()  # a line without its end
            for line in lines:
                self._take(line)
            if rest and not self._may_be_ours(rest):
                self._take(rest)
                rest = b""
        self._take(rest)
        for unheard in self._lines:
            os.write(self._passed_on, f"{unheard}\n".encode())
        os.close(self._source)
        os.close(self._passed_on)

    def _may_be_ours(self, start: bytes) -> bool:
        return b"JPEG" in start or b"\0" in start

    def _take(self, line: bytes) -> None:
        if self._mark in line:
            line = line.replace(self._mark, b"")
            self._read_to.set()
        for warning in _WARNING.findall(line):
            self._lines.append(warning.decode("ascii", "replace").strip())
        os.write(self._passed_on, _WARNING.sub(b"", line))


def blamed(rows: np.ndarray, decode: Callable[[tf.Tensor], Any], heard: Heard) -> dict[int, str]:
    """Finds the images that the decoder warns of, by halves.

    Args:
        rows: int64 `[n]`.
        decode: decodes the image of a row, int64 scalar; called from several threads.
        heard: see `listening`.

    Returns:
        A dict: row → warning.

    Example:
        >>> with listening() as heard:
        ...     blamed(np.arange(9), lambda row: row, heard)
        {}
    """
    with ThreadPoolExecutor(len(machine.processors())) as pool:

        def search(some: np.ndarray) -> dict[int, str]:
            heard()
            list(pool.map(decode, map(tf.constant, some)))
            warnings = heard()
            if not warnings:
                return {}
            if len(some) == 1:
                return {int(some[0]): f"the JPEG decoder warns: {warnings[0]}"}
            first, second = np.array_split(some, 2)
            return search(first) | search(second)

        return search(rows)


# A JPEG of 8 x 8 gray pixels that lacks all of its pixels.
_DAMAGED = bytes.fromhex(
    "ffd8ffdb004300" + "01" * 64 + "ffc0000b080008000801011100"
    "ffc40014000100000000000000000000000000000000"
    "ffc40014100100000000000000000000000000000000"
    "ffda0008010100003f00ffd9"
)


@functools.cache
def can_listen() -> bool:
    """Returns whether this machine's decoder prints its warnings where they can be read."""
    with listening() as heard:
        tf.io.decode_jpeg(_DAMAGED)
        return bool(heard())
