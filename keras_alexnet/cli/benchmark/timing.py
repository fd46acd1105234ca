"""Timing of calls that take turns."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from absl import logging

WARM_UP_STEPS = 3


def seconds_a_call(
    call: Callable[[], Any], calls: int, wait: Callable[[Any], Any] = lambda outputs: None
) -> float:
    """Returns the mean seconds of a call.

    Args:
        call: what to time.
        calls: how often to call it.
        wait: takes what the last call returned, and returns when it has been computed: calls
            that return tensors do not wait for a GPU.
    """
    started = time.perf_counter()
    for _ in range(calls):
        outputs = call()
    wait(outputs)
    return (time.perf_counter() - started) / calls


def compare(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, Any]:
    """Times two sides in turn.

    Args:
        sides: name → a call that returns the seconds of a step.
        repeats: how many turns each side takes.

    Returns:
        A dict: "seconds_a_step" has the seconds of each side, "ratios" those of the second side
        over those of the first, and "ratio" the median of these.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, take in sides.items():
            seconds[name].append(take())
            logging.info("%s: %.5f s a step", name, seconds[name][-1])
    first, second = (np.array(values) for values in seconds.values())
    ratios = second / first
    return {
        "seconds_a_step": seconds,
        "ratios": ratios.tolist(),
        "ratio": float(np.median(ratios)),
    }
