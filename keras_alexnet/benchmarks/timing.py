"""Timing of calls that take turns."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

WARM_UP_STEPS = 3


def wait_for_devices() -> None:
    """Waits until the devices of this process have computed what they were given.

    A CPU has when a call returns, so that it is not asked: on `cifar_v2`, that took 4 % of a step.
    `tf.test.experimental.sync_devices` also asks the devices of other workers, which fails.
    """
    devices = [each for each in tf.config.list_logical_devices() if each.device_type != "CPU"]
    if not devices:
        return
    own = tf.DeviceSpec.from_string(tf.zeros(()).device)
    for device in devices:
        # Without a cluster, the name of a device has neither job nor task.
        spec = own.make_merged_spec(tf.DeviceSpec.from_string(device.name))
        if (spec.job, spec.task) == (own.job, own.task):
            with tf.device(device.name):
                tf.raw_ops.SyncDevice()


def seconds_a_call(call: Callable[[], Any], calls: int) -> float:
    """Returns the mean seconds of a call, until all devices have computed the last one.

    Args:
        call: what to time.
        calls: how often to call it.
    """
    started = time.perf_counter()
    for _ in range(calls):
        call()
    wait_for_devices()
    return (time.perf_counter() - started) / calls


def take_turns(
    sides: Mapping[str, Callable[[], float]], rounds: int, unit: str = "s a step"
) -> dict[str, list[float]]:
    """Times sides in turn, so that what disturbs the machine disturbs all of them.

    Args:
        sides: name → a call that times this side once, and returns what it found.
        rounds: how many turns each side takes.
        unit: of what the sides return, for the log.

    Returns:
        A dict: the name of a side → what it returned in each round.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, take in sides.items():
            found[name].append(take())
            logging.info("%s: %.5g %s", name, found[name][-1], unit)
    return found


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Returns the median of values, and the quartiles on both sides of it.

    Example:
        >>> quartiles([4.0, 1.0, 2.0, 3.0, 5.0])
        {'lower_quartile': 2.0, 'median': 3.0, 'upper_quartile': 4.0}
    """
    low, middle, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"lower_quartile": low, "median": middle, "upper_quartile": high}


def compare(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Any]:
    """Times two sides in turn.

    Args:
        sides: name → a call that returns the seconds of a step.
        rounds: how many turns each side takes.

    Returns:
        A dict: "seconds_a_step" has the seconds of each side, "ratios" those of the second side
        over those of the first, and "ratio" the median of these.
    """
    seconds = take_turns(sides, rounds)
    first, second = (np.array(values) for values in seconds.values())
    ratios = second / first
    return {
        "seconds_a_step": seconds,
        "ratios": ratios.tolist(),
        "ratio": float(np.median(ratios)),
    }
