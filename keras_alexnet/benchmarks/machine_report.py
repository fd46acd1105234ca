"""The machine that a benchmark ran on, and the peak of its arithmetic, measured in the same run."""

import os
import pathlib
import platform
import time
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.distributed import precision_choice
from keras_alexnet.utils import machine, provenance

_SIDE = 2048  # of the matrices whose product is timed: larger ones are no faster


def describe() -> dict[str, Any]:
    """Returns processor, cores, memory, GPUs, system, commit, and versions, for results."""
    return {
        "processor": _processor(),
        "cores": len(machine.processors()),
        "memory_bytes": _memory(),
        "gpus": [_name_of(gpu) for gpu in tf.config.list_physical_devices("GPU")],
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        **provenance.provenance(),
    }


def precisions(settings: Settings) -> dict[str, str]:
    """Returns network → the precision in which it trains; what `auto` is on this machine.

    Example:
        >>> precisions(Settings(variants=("cifar_v2",), precision="float32"))
        {'cifar_v2': 'float32'}
    """
    return {
        name: precision_choice.choose(settings.precision, name).name for name in settings.variants
    }


def peak_of_products(dtype: str = "float32", seconds: float = 2.0) -> float:
    """Returns the multiply-accumulates a second of a matrix product at its best.

    Args:
        dtype: of the matrices; their product accumulates in float32.
        seconds: how long products are timed.

    Example:
        >>> peak_of_products(seconds=0.01) > 0
        True
    """
    matrix = tf.cast(tf.random.stateless_normal([_SIDE, _SIDE], [0, 0]), dtype)

    @tf.function
    def product() -> tf.Tensor:
        return tf.reduce_max(tf.linalg.matmul(matrix, matrix))

    product().numpy()
    took: list[float] = []
    while sum(took) < seconds:
        started = time.perf_counter()
        product().numpy()
        took.append(time.perf_counter() - started)
    return float(_SIDE**3 / np.min(took))


def _processor() -> str:
    """Returns the processor's name, with the widest instructions for matrix products it has."""
    path = pathlib.Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    lines = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in path.read_text().splitlines()
        if ":" in line
    )
    known = set((lines.get("flags") or lines.get("Features") or "").split())
    of_interest = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")
    instructions = [each for each in of_interest if each in known]
    return f"{lines.get('model name', platform.machine())} ({', '.join(instructions)})"


def _memory() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _name_of(gpu: Any) -> str:
    return tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
