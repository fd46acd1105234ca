"""Worker processes on loopback, with time limits so that no test can hang."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
SECONDS = 240  # even a slow machine needs only a fraction of it


class Ended(NamedTuple):
    """How a worker ended: its exit code (negative: a signal) and its output."""

    code: int
    output: str

    @property
    def results(self) -> dict:
        """What `train` returned; TensorFlow may print more after it."""
        return json.loads([line for line in self.output.splitlines() if line.startswith("{")][-1])


def start(folder: pathlib.Path, given: list[dict], **environment) -> list[subprocess.Popen]:
    """Starts a process of `one_worker.py` for each of `given`, all in one cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in given]
    addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index, what in enumerate(given):
        task = {"type": "worker", "index": index}
        path = folder / f"given-{index}.json"
        path.write_text(json.dumps(what), encoding="utf-8")
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE.parent)]),
            "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task}),
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        with open(folder / f"output-{index}", "wb") as output:
            processes.append(
                subprocess.Popen(
                    [sys.executable, str(HERE / "one_worker.py"), str(path)],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environ,
                )
            )
    return processes


def ended(folder: pathlib.Path, processes: list[subprocess.Popen], without=()) -> list[Ended]:
    """Waits until all have ended except those in `without`, which are then killed."""
    limit = time.monotonic() + SECONDS
    late = []
    try:
        for index, process in enumerate(processes):
            if index not in without:
                try:
                    process.wait(max(0.1, limit - time.monotonic()))
                except subprocess.TimeoutExpired:
                    late.append(index)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    outputs = [(folder / f"output-{i}").read_text("utf-8") for i in range(len(processes))]
    assert not late, f"workers {late} hung:\n" + "\n\n".join(outputs)
    return [Ended(p.returncode, text) for p, text in zip(processes, outputs, strict=True)]


def run(folder: pathlib.Path, given: list[dict], **environment) -> list[Ended]:
    """Starts workers and waits for them."""
    return ended(folder, start(folder, given, **environment))
