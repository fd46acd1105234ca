"""Latency of exported models, with one thread and with two threads.

The models take turns, so that other work of the machine affects all of them equally.
"""

import contextlib
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TypeVar

from keras_alexnet.errors import UserError
from keras_alexnet.exporting.formats import ExportedModel
from keras_alexnet.utils import json_files

THREADS = (1, 2)
ROUNDS = 5

_WORKER = pathlib.Path(__file__).with_name("latency_worker.py")

# From a number of calls to the seconds of each.
Timer = Callable[[int], list[float]]

_Name = TypeVar("_Name", bound=Hashable)


def latencies(written: Mapping[str, ExportedModel]) -> dict[str, dict[str, float]]:
    """Returns a dict: name → number of threads → median seconds of a call with one image."""
    with contextlib.ExitStack() as timers:
        timed = {
            (name, threads): timers.enter_context(model.timer(threads))
            for name, model in written.items()
            for threads in THREADS
        }
        found = medians(timed)
    return {name: {str(threads): found[name, threads] for threads in THREADS} for name in written}


def medians(timers: Mapping[_Name, Timer], seconds_per_turn: float = 0.2) -> dict[_Name, float]:
    """Returns a dict: name → median seconds of a call, over `ROUNDS` turns of each timer.

    Example:
        >>> medians({"nothing": lambda calls: [0.001] * calls})
        {'nothing': 0.001}
    """
    calls: dict[_Name, int] = {}
    seconds: dict[_Name, list[float]] = {name: [] for name in timers}
    for name, timer in timers.items():
        timer(3)  # the first calls allocate memory and optimize graphs
        usual = statistics.median(timer(3))
        calls[name] = max(20, min(200, int(seconds_per_turn / max(usual, 1e-6))))
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            # The first two calls find the caches filled by the other models.
            seconds[name] += timer(2 + calls[name])[2:]
    return {name: statistics.median(found) for name, found in seconds.items()}


def processor() -> str:
    """Returns the processor's name and the number of its cores.

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
def saved_model_timer(folder: str | os.PathLike, threads: int) -> Iterator[Timer]:
    """Yields the timer of a SavedModel's `serving_default`, which runs in its own process.

    A process of its own is needed because TensorFlow sets the number of threads for a process.

    Raises:
        UserError: if that process fails.
    """
    process = subprocess.Popen(
        # Without -P, the modules beside the worker would hide other modules of the same names.
        [sys.executable, "-P", str(_WORKER), os.fspath(folder), str(threads)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    requests, answers = process.stdin, process.stdout
    assert requests is not None and answers is not None

    def timer(calls: int) -> list[float]:
        try:
            print(calls, file=requests, flush=True)
            return json_files.parsed(answers.readline(), [float], "Its answer")
        except (OSError, ValueError) as error:
            raise UserError(f"The SavedModel in {folder} cannot be timed: {error}.") from error

    try:
        yield timer
    finally:
        with contextlib.suppress(OSError):  # a failed worker reads nothing
            requests.close()
        answers.close()
        process.wait()
