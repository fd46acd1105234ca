"""Benchmark of whole training against other libraries' bare training steps."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.benchmarks import machine_report, peers, side, whole_training
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.peers import torch_step
from keras_alexnet.benchmarks.report import Attempts, Report
from keras_alexnet.benchmarks.side import Side
from keras_alexnet.benchmarks.timing import quartiles, take_turns
from keras_alexnet.networks import variants
from keras_alexnet.training import recipes
from keras_alexnet.utils import machine

OURS, PEAK = "keras_alexnet", "peak"

# A checkpoint ends an epoch: this is about one of CIFAR-10 in batches of 128.
STEPS_OF_AN_EPOCH = 350

LARGE_IMAGE, BATCH_OF_LARGE_IMAGES = 100, 32

_MACS_OF_A_STEP = 3  # those of a forward pass: the gradients of inputs and of weights take as many
_PEAK_SECONDS = 1.0  # in each round


def measure(settings: Settings) -> Report:
    """Measures each network and batch size, each side in a process of its own."""
    present, absent = peers.divided(settings.peers)
    rows, details, devices, attempts = [], {}, set[str](), Attempts()
    for variant in settings.variants:
        for batch_size in settings.batch_sizes or (usual_batch_size(variant),):
            name = f"{variant}, batches of {batch_size}"
            with attempts.at(name):
                found = _measured(variant, batch_size, present, settings)
                details[name] = found
                rows.append(_row(variant, batch_size, found))
                devices.update(each["device"] for each in found["said"].values())
    words = [
        "Images a second of whole training (pipeline, augmentation, metrics, a checkpoint every "
        f"{STEPS_OF_AN_EPOCH} steps) and of bare steps of others on one batch in memory: median "
        "(quartiles). The share of the peak is that of a matrix product in the same rounds.",
        *peers.absence(absent),
    ]
    if len(devices) > 1:
        words.append("One side ran on a GPU and the other did not: this compares devices.")
    return Report(rows, words, {"found": details, "absent": absent}, attempts.failed())


def usual_batch_size(variant: str) -> int:
    """Returns the batch size of a network's recipe, or 32 for large images.

    Example:
        >>> usual_batch_size("cifar_v2"), usual_batch_size("alexnet")
        (64, 32)
    """
    if variants.get(variant).input_size > LARGE_IMAGE:
        return BATCH_OF_LARGE_IMAGES
    return recipes.get(variant).global_batch_size


def _measured(
    variant: str, batch_size: int, present: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Returns the rates of all sides in each round, their ratios, and what the sides said."""
    answers: dict[str, list[dict[str, Any]]] = {}

    def rate(name: str, process: Side) -> float:
        answers.setdefault(name, []).append(process.take())
        return batch_size / seconds_a_step(answers[name][-1], settings.steps)

    fast = machine.has_bfloat16() or tf.config.list_physical_devices("GPU")
    products: dict[str, Callable[[], float]] = {
        f"{PEAK} in {dtype}": functools.partial(
            machine_report.peak_of_products, dtype, _PEAK_SECONDS
        )
        for dtype in ("float32", *(["bfloat16"] if fast else []))
    }
    with _sides(variant, batch_size, present, settings) as sides:
        turns = {name: functools.partial(rate, name, process) for name, process in sides.items()}
        rounds = take_turns(products | turns, settings.rounds, "images/s, and MACs/s of the peak")
        said = {name: process.ready for name, process in sides.items()}
    cpu = {
        name: [_cpu_seconds_a_step(each, settings.steps) / batch_size for each in found]
        for name, found in answers.items()
    }
    compared = [*present, *settings.other_precisions]
    macs = _MACS_OF_A_STEP * variants.get(variant).macs
    peaks = np.max([rounds[name] for name in products], axis=0)
    return {
        "images_per_second": {name: rounds[name] for name in turns},
        "cpu_seconds_per_image": cpu,
        "peak_macs_per_second": {name: rounds[name] for name in products},
        "share_of_peak": (macs * np.array(rounds[OURS]) / peaks).tolist(),
        "ratios": _over(rounds, compared),
        # Other programs on the same processors hardly change these.
        "ratios_of_cpu_seconds": _over(cpu, compared),
        "said": said,
    }


def _over(found: Mapping[str, Sequence[float]], names: Sequence[str]) -> dict[str, list[float]]:
    """Returns, for each other side, our figures over its figures in each round."""
    return {name: (np.array(found[OURS]) / np.array(found[name])).tolist() for name in names}


@contextlib.contextmanager
def _sides(
    variant: str, batch_size: int, present: Sequence[str], settings: Settings
) -> Iterator[dict[str, Side]]:
    """Yields processes that have warmed up, one after the other."""
    work = {"variant": variant, "batch_size": batch_size, "steps": settings.steps}
    own = {OURS: settings.precision} | {name: name for name in settings.other_precisions}
    with contextlib.ExitStack() as processes:
        found = {}
        for name, precision in own.items():
            given = work | {"precision": precision}
            found[name] = processes.enter_context(side.started(name, whole_training.SIDE, given))
            side.wait_for_all(found[name])
        if "torch" in present:
            found["torch"] = processes.enter_context(
                side.started("PyTorch", torch_step.SIDE, work, tensorflow=False)
            )
            side.wait_for_all(found["torch"])
        yield found


def seconds_a_step(answer: Mapping[str, float], steps: int) -> float:
    """Returns the seconds of a step of a turn, with its share of the turn's checkpoint.

    Args:
        answer: a turn's "seconds", and those of its "steps" if it had a checkpoint.
        steps: number of steps of the turn.

    Example:
        >>> seconds_a_step({"seconds": 8.0}, 4)
        2.0
        >>> seconds_a_step({"seconds": 15.0, "steps": 8.0}, 4)
        2.02
    """
    of_steps = answer.get("steps", answer["seconds"])
    return of_steps / steps + (answer["seconds"] - of_steps) / STEPS_OF_AN_EPOCH


def _cpu_seconds_a_step(answer: Mapping[str, float], steps: int) -> float:
    """Returns what all processors worked for a step, at the mean use of them in the turn."""
    return answer["cpu_seconds"] / answer["seconds"] * seconds_a_step(answer, steps)


def _row(variant: str, batch_size: int, found: Mapping[str, Any]) -> dict[str, Any]:
    said = found["said"]
    row = {
        "network": variant,
        "batch": batch_size,
        "precision": said[OURS]["precision"],
        "images/s": _spread(found["images_per_second"][OURS]),
        "share of peak": float(np.median(found["share_of_peak"])),
    }
    for name, ratios in found["ratios"].items():
        title = peers.TITLES.get(name, name)
        row[f"{title} images/s"] = _spread(found["images_per_second"][name])
        if name in peers.TITLES:
            row[f"{title}'s best"] = said[name]["best"]
        row[f"ratio to {title}"] = _spread(ratios)
    return row


def _spread(values: Sequence[float]) -> str:
    """Returns the median and the quartiles as text.

    Example:
        >>> _spread([1.0, 2.0, 3.0]), _spread([1234.5])
        ('2.00 (1.50–2.50)', '1,234 (1,234–1,234)')
    """
    found = quartiles(values)
    digits = max(0, 2 - len(f"{found['median']:.0f}") + 1)
    texts = [f"{value:,.{digits}f}" for value in found.values()]
    return f"{texts[1]} ({texts[0]}–{texts[2]})"
