"""A SavedModel in TF Serving's loader, asked by several clients, as one side of a comparison."""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_alexnet.benchmarks.side import Turns
from keras_alexnet.runtimes.c_api import Session
from keras_alexnet.utils import machine

SIDE = f"{__name__}:serve"

_WARM_UP = 8  # requests of each client


def serve(
    turns: Turns,
    *,
    folder: str,
    servers: Mapping[str, Mapping[str, Any]],
    inputs: Mapping[str, str],
    clients: list[int],
    requests: int,
    threads: int,
) -> None:
    """Loads SavedModels, and lets clients ask each of them for one image at a time in every turn.

    The clients are threads of this process: no network and no encoding of messages is timed. The
    first answer has the resident bytes that the "first" version of `folder` and a "further" one
    took, each after a request. A turn's answer has, by server, input and number of clients, the
    "seconds" of all requests and the "latencies" of each.

    Args:
        turns: when to work.
        folder: the SavedModel of which several versions are loaded, for their memory.
        servers: name → "folder" of the SavedModel to ask, and its "tensors": input → names of the
            tensors that go in and come out.
        inputs: input → file of numpy with what is sent, along the first axis.
        clients: numbers of clients.
        requests: number of all requests to a server in a turn, for each input.
        threads: of the server.
    """
    sent = {name: _rows(np.load(path, allow_pickle=False)) for name, path in inputs.items()}
    plain = next(iter(servers.values()))["tensors"]
    memory = _memory_of_versions(folder, plain, sent, threads)
    calls = {
        (server, name): _call(Session(given["folder"], threads), *given["tensors"][name])
        for server, given in servers.items()
        for name in inputs
    }
    for (_, name), call in calls.items():
        for count in clients:
            _ask(call, sent[name], count, count * _WARM_UP)
    turns.answer({"memory": memory})
    while turns.wait():
        turns.answer(
            {
                "found": [
                    {"server": server, "input": name, "clients": count}
                    | _ask(call, sent[name], count, requests)
                    for (server, name), call in calls.items()
                    for count in clients
                ]
            }
        )


def _rows(sent: np.ndarray) -> list[np.ndarray]:
    # numpy pads bytes with zeros, and takes them away again.
    rows = sent.astype(object) if sent.dtype.kind == "S" else sent
    return [rows[number : number + 1] for number in range(len(rows))]


def _call(session: Session, fed: str, fetched: str) -> Callable[[np.ndarray], Any]:
    return lambda sent: session.run({fed: sent}, [fetched])


def _memory_of_versions(
    folder: str, tensors: Mapping[str, tuple[str, str]], sent: Mapping[str, Any], threads: int
) -> dict[str, int | None]:
    """Returns the bytes that a first and a further version took, with TensorFlow in the first."""
    before, versions, found = machine.resident_memory(), [], {}
    for name in ("first", "further"):
        versions.append(Session(folder, threads))
        for given, (fed, fetched) in tensors.items():
            versions[-1].run({fed: sent[given][0]}, [fetched])
        now = machine.resident_memory()
        found[name] = None if now is None or before is None else now - before
        before = now
    return found


def _ask(
    call: Callable[[np.ndarray], Any], sent: list[np.ndarray], clients: int, requests: int
) -> dict[str, Any]:
    """Sends requests, each client its next one when it has an answer."""
    numbers, latencies = itertools.count(), []
    failed: list[Exception] = []

    def client() -> None:
        while (number := next(numbers)) < requests and not failed:
            started = time.perf_counter()
            try:
                call(sent[number % len(sent)])
            except RuntimeError as error:
                failed.append(error)
            latencies.append(time.perf_counter() - started)

    waiting = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for each in waiting:
        each.start()
    for each in waiting:
        each.join()
    if failed:
        raise failed[0]
    return {"seconds": time.perf_counter() - started, "latencies": latencies}
