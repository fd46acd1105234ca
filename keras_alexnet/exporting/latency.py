"""Seconds per image of exported programs, one image at a time, with one thread and with two.

The programs take turns, so that whatever else the machine does falls on all alike.
"""

import contextlib
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping

from keras_alexnet.errors import UserError

THREADS = (1, 2)


ROUNDS = 5


_WORKER = pathlib.Path(__file__).with_name("saved_model_worker.py")


# Seconds of each of so many calls.
Timed = Callable[[int], list[float]]


def medians(programs: Mapping[str, Timed], seconds_per_turn: float = 0.2) -> dict[str, float]:
    """Returns name → median seconds of a call, over `ROUNDS` turns of each program.

    Example:
        >>> medians({"nothing": lambda repeats: [0.001] * repeats})
        {'nothing': 0.001}
    """
    calls, seconds = {}, {name: [] for name in programs}
    for name, timed in programs.items():
        timed(3)  # the first calls lay out memory and optimize graphs
        usual = statistics.median(timed(3))
        calls[name] = max(20, min(200, int(seconds_per_turn / max(usual, 1e-6))))
    for _ in range(ROUNDS):
        for name, timed in programs.items():
            # The first two find the caches full of what the others left there.
            seconds[name] += timed(2 + calls[name])[2:]
    return {name: statistics.median(found) for name, found in seconds.items()}


def processor() -> str:
    """Returns the processor's name and the number of its cores at hand.

    Example:
        >>> processor()  # doctest: +SKIP
        'Apple M2, 8 cores'
    """
    name, cpuinfo = platform.processor() or platform.machine(), pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
        name = found.group(1) if found else name
    return f"{name}, {os.cpu_count()} cores"


@contextlib.contextmanager
def saved_model_timer(folder: str | os.PathLike, threads: int):
    """Yields the `Timed` of a SavedModel's `serving_default`, in a process of its own.

    TensorFlow's number of threads is that of a whole process.

    Raises:
        UserError: if that process fails.
    """
    process = subprocess.Popen(
        # -P: else the modules beside the worker would stand before all others of their names.
        [sys.executable, "-P", str(_WORKER), os.fspath(folder), str(threads)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def timed(repeats: int) -> list[float]:
        try:
            print(repeats, file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())
        except (OSError, ValueError) as error:
            raise UserError(f"The SavedModel in {folder} cannot be timed: {error}.") from error

    try:
        yield timed
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()
