"""Benchmark of the start: seconds from a command to the end of its first training step."""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_alexnet.benchmarks import commands
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.report import Attempts, Report
from keras_alexnet.benchmarks.timing import quartiles, take_turns
from keras_alexnet.data.archives import CACHE_VARIABLE

IMPORT = "import tensorflow"
GOAL = 2.0  # times the import, and the reading of the data


def measure(settings: Settings) -> Report:
    """Measures each network's first step in fresh processes, in turn with importing TensorFlow.

    With `data_dir`, also with an empty cache, and again with what that left there. Each has run
    once before it is timed, so that the first round does not read programs from the disk.
    """
    rows: list[dict[str, Any]] = []
    attempts = Attempts()
    details: dict[str, Any] = {}
    cpu: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        _run(["-c", IMPORT], folder)
        sides = {IMPORT: _fresh(["-c", IMPORT], folder, cpu.setdefault(IMPORT, []))}
        for variant in settings.variants:
            with attempts.at(variant):
                for name, words, own in _starts(variant, settings, folder):
                    if own is not None:
                        _run(words, own)
                    sides[name] = _fresh(words, own, cpu.setdefault(name, []))
        seconds = take_turns(sides, settings.rounds, "s")
    imported = float(np.median(seconds[IMPORT]))
    for name, found in seconds.items():
        spread = quartiles(found)
        rows.append(
            {
                "start": name,
                "seconds": spread["median"],
                "from": spread["lower_quartile"],
                "to": spread["upper_quartile"],
                "of the import": spread["median"] / imported,
                "CPU seconds": float(np.median(cpu[name])),
            }
        )
    details["found"] = {"seconds": seconds, "cpu_seconds": cpu}
    words_of_goal = [f"Goal: {GOAL} times the import, and the reading of the data."]
    return Report(rows, words_of_goal, details, attempts.failed())


def _starts(
    variant: str, settings: Settings, folder: str
) -> Sequence[tuple[str, list[str], str | None]]:
    words = ["-m", "keras_alexnet.benchmarks.first_step", variant]
    starts: list[tuple[str, list[str], str | None]] = [
        (f"{variant}, first step on made up images", words, folder)
    ]
    if settings.data_dir is not None:
        data = [*words, os.fspath(settings.data_dir)]
        kept = os.path.join(folder, variant)
        starts += [
            (f"{variant}, first step on the data, with an empty cache", data, None),
            (f"{variant}, first step on the data, after that", data, kept),
        ]
    return starts


def _fresh(words: Sequence[str], cache: str | None, cpu: list[float]) -> Callable[[], float]:
    """Returns a call that runs Python once and returns its seconds; None is an empty cache."""

    def run() -> float:
        if cache is not None:
            return _run(words, cache, cpu)
        with tempfile.TemporaryDirectory() as folder:
            return _run(words, folder, cpu)

    return run


def _run(words: Sequence[str], cache: str, cpu: list[float] | None = None) -> float:
    os.makedirs(cache, exist_ok=True)
    before = _seconds_of_children()
    own = {CACHE_VARIABLE: cache, "TMPDIR": cache}
    seconds, _ = commands.timed(words, "The first step", own)
    if cpu is not None:
        cpu.append(_seconds_of_children() - before)
    return seconds


def _seconds_of_children() -> float:
    used = os.times()
    return used.children_user + used.children_system
