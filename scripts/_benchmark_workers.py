"""What training on two workers costs: each has a core, and as many images as one alone."""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow as tf
from _benchmark_runs import Clock, Done, Setting
from absl import logging

import keras_alexnet as ka

_WORKER_SECONDS = 3600


def workers(setting: Setting, repeats: int) -> dict:
    """One process on one core; two at the same time that know nothing of each other; two workers
    of one run. Every process has as many images in a step."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise ka.UserError("Two workers with a core each need two cores. Received: one.")
    rates = {"one": [], "two apart": [], "two workers": []}
    for _ in range(repeats):
        rates["one"].append(_rate(setting, cores[:1], together=False))
        rates["two apart"].append(_rate(setting, cores[:2], together=False))
        rates["two workers"].append(_rate(setting, cores[:2], together=True))
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


def _rate(setting: Setting, cores: list[int], together: bool) -> float:
    """Images per second of one process on each core, all together."""
    with tempfile.TemporaryDirectory() as folder:
        addresses = _free_addresses(len(cores)) if together else []
        processes = [
            _start_worker(setting, index, core, folder, addresses)
            for index, core in enumerate(cores)
        ]
        try:
            outputs = [process.communicate(timeout=_WORKER_SECONDS)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
    if any(process.returncode for process in processes):
        raise ka.UserError(f"A worker failed: {outputs}")
    return sum(setting.batch_size / float(output.split()[-1]) for output in outputs)


def _start_worker(setting, index: int, core: int, folder, addresses) -> subprocess.Popen:
    """Starts a process on a core: a run of its own, or a worker of the one at `addresses`."""
    given = {
        "setting": dataclasses.asdict(setting),
        "workdir": os.path.join(folder, "run" if addresses else f"run-{index}"),
        "global_batch_size": setting.batch_size * max(1, len(addresses)),
    }
    task = {"type": "worker", "index": index}
    cluster = {"cluster": {"worker": addresses}, "task": task} if addresses else {}
    return subprocess.Popen(
        [sys.executable, sys.argv[0], f"--worker={json.dumps(given)}"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        text=True,
        # Before the process has a thread, so that all of them keep to the core.
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )


def _free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def run_worker(text: str) -> None:
    """Trains as one of the processes of `_workers`, and prints the seconds a step."""
    given = json.loads(text)
    setting = Setting(**given["setting"])
    tf.config.threading.set_intra_op_parallelizm_threads(1)
    clock = Clock(setting.steps)
    overrides = {"global_batch_size": given["global_batch_size"]}
    with contextlib.suppress(Done):
        ka.train(setting.config(given["workdir"], overrides=overrides), callbacks=[clock])
    print(clock.seconds_a_step(), flush=True)
