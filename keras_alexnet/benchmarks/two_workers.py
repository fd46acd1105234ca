"""Benchmark of two workers with a core each against one process with one core."""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.benchmarks.timed_run import Workload
from keras_alexnet.errors import UserError
from keras_alexnet.utils import machine

_WORKER_SECONDS = 3600

# What a process runs: this module, after TensorFlow has been loaded without its notices.
_PROGRAM = """
import sys
from keras_alexnet.cli.running import load_tensorflow
load_tensorflow()
from keras_alexnet.benchmarks import two_workers
two_workers.work(sys.argv[1])
"""


def measure_workers(workload: Workload, rounds: int) -> dict[str, Any]:
    """Measures one process on one core, two processes that share nothing, and two workers of a run.

    Every process trains on the same number of images in a step.

    Raises:
        UserError: there is only one core, or the system cannot bind processes to cores.
    """
    cores = machine.processors()
    if len(cores) < 2:
        raise UserError("Two workers with a core each need two cores. Received: one.")
    if not hasattr(os, "sched_setaffinity"):
        raise UserError(
            f"Two workers with a core each need Linux: {sys.platform} cannot bind a process to a "
            "core. Leave workers out of --only."
        )
    rates: dict[str, list[float]] = {"one": [], "two apart": [], "two workers": []}
    for _ in range(rounds):
        rates["one"].append(_rate(workload, cores[:1], together=False))
        rates["two apart"].append(_rate(workload, cores[:2], together=False))
        rates["two workers"].append(_rate(workload, cores[:2], together=True))
        logging.info("images per second: %s", {name: values[-1] for name, values in rates.items()})
    one, apart, workers = (np.array(values) for values in rates.values())
    efficiency, hardware = np.median(workers / (2 * one)), np.median(apart / (2 * one))
    return {
        "images_per_second": rates,
        "efficiency": float(efficiency),
        "efficiency_of_two_apart": float(hardware),
        "in_words": f"Two workers with a core each: {100 * efficiency:.1f} % of twice one process "
        f"(goal: at least 85); two processes that share nothing: {100 * hardware:.1f} %",
    }


def _rate(workload: Workload, cores: list[int], together: bool) -> float:
    """Images per second of one process on each core, added up."""
    with tempfile.TemporaryDirectory() as folder:
        addresses = free_addresses(len(cores)) if together else []
        processes = [
            _start_worker(workload, index, core, folder, addresses)
            for index, core in enumerate(cores)
        ]
        with futures.ThreadPoolExecutor() as pool:
            try:
                waiting = [
                    pool.submit(process.communicate, None, _WORKER_SECONDS) for process in processes
                ]
                for _ in futures.as_completed(waiting):
                    if any(process.poll() for process in processes):
                        _kill(processes)  # a worker waits for one that has failed
                outputs = [each.result()[0] for each in waiting]
            finally:
                _kill(processes)
    if any(process.returncode for process in processes):
        raise UserError(f"A worker failed: {outputs}")
    return sum(workload.batch_size / float(output.split()[-1]) for output in outputs)


def _kill(processes: Sequence[subprocess.Popen]) -> None:
    for process in processes:
        process.kill()


def _start_worker(
    workload: Workload, index: int, core: int, folder: str, addresses: list[str]
) -> subprocess.Popen:
    """Starts a process on a core: a run of its own, or a worker of the one at `addresses`."""
    given = {
        "workload": dataclasses.asdict(workload),
        "parent": os.getpid(),
        "workdir": os.path.join(folder, "run" if addresses else f"run-{index}"),
        "global_batch_size": workload.batch_size * max(1, len(addresses)),
    }
    task = {"type": "worker", "index": index}
    cluster = {"cluster": {"worker": addresses}, "task": task} if addresses else {}
    own = {"OMP_NUM_THREADS": "1", "TF_CONFIG": json.dumps(cluster)}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, json.dumps(given)],
        env={**machine.environment_of_child(), **own},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in a terminal is for this process, which ends the others
        # Before the process has any threads, so that all of them stay on the core.
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )


def free_addresses(count: int) -> list[str]:
    """Returns addresses on this machine that no process listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def work(text: str) -> None:
    """Trains as one of the processes, prints the seconds a step, and ends the process.

    Args:
        text: what `_start_worker` gives the process, as JSON.
    """
    given = json.loads(text)
    machine.end_with_parent(given["parent"])
    tf.config.threading.set_intra_op_parallelism_threads(1)
    overrides = {"global_batch_size": given["global_batch_size"]}
    clock = Workload(**given["workload"]).train(given["workdir"], overrides)
    print(clock.seconds_a_step(), flush=True)
    os._exit(0)  # TensorFlow's own shutdown would fail if the other worker has already ended
