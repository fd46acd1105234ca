"""What a run does otherwise when several workers train together."""

import contextlib
import dataclasses
import json
import logging as standard_logging
import pathlib
import re
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.distributed import devices, launch
from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.resume import RunRequest
from keras_alexnet.training.workdir import (
    disk_errors_explained,
    found_config,
    holds_run,
    request_for,
    request_since,
)

LOGS = "logs"


# What the collective operations raise when a worker is no longer there.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


_SIGNS = re.compile(r"collective|unhealthy|heartbeat|coordination|grpc|peer|socket|RecvBuf", re.I)


@contextlib.contextmanager
def joined(config: TrainConfig) -> Iterator[tuple[RunRequest, tf.distribute.Strategy]]:
    """Yields what is to be run and the strategy for it, the same on every worker.

    Around the body, every worker of a cluster logs to its own file, and the loss of a worker
    becomes a message. In one process it only finds out what is asked for.

    Raises:
        UsageError, UserError: as `workdirs.asked` and `devices.strategy_for`; if workers were
            started with different settings; and in the body, if a worker is lost.
    """
    resolver = launch.resolver()
    if resolver is None:
        asked = request_for(config)
        config = asked.config
        yield asked, devices.strategy_for(config.num_devices, config.logical_cpu_devices)
        return
    if config.workdir is None:
        raise UsageError(
            "A run with several workers needs --workdir: it is where they log, and where they go "
            "on from when all are started again. Received: none."
        )
    strategy = devices.strategy_for(config.num_devices, config.logical_cpu_devices, resolver)
    workers = Cluster(strategy)
    with _own_log(config.workdir, workers), _loss_explained(config.workdir, workers):
        yield _agreed(config, workers), strategy


class SharedCheckpoints(Checkpoints):
    """Checkpoints that the chief alone writes and reads, and hands to all workers.

    So every worker goes on from the same one, and only the chief's file system must keep it. All
    workers must call `save` and `restore`, and wait in them for the chief.
    """

    def __init__(self, workdir, keep: int, workers: Cluster):
        super().__init__(workdir, keep)
        self._workdir, self._workers = workdir, workers

    def save(self, step, variables, state, kind="step") -> None:
        def write() -> None:
            with disk_errors_explained(self._workdir):
                super(SharedCheckpoints, self).save(step, variables, state, kind)

        self._workers.from_chief(write)

    def restore(self, kind="step") -> tuple[dict[str, np.ndarray], dict] | None:
        found = []  # on the chief, what it has read
        described = self._workers.from_chief(lambda: self._described(kind, found))
        if described is None:
            return None
        variables = {}
        for name, dtype, shape in described["variables"]:
            own = np.ascontiguousarray(found[0][name]).tobytes() if found else b""
            value = np.frombuffer(self._workers.broadcast(own), dtype)
            variables[name] = value.reshape(shape)
        return variables, described["state"]

    def drop_all_but(self, step: int) -> None:
        if self._workers.is_chief:
            super().drop_all_but(step)

    def drop_after(self, step: int) -> None:
        if self._workers.is_chief:
            super().drop_after(step)

    def _described(self, kind: str, found: list) -> dict | None:
        restored = super().restore(kind)
        if restored is None:
            return None
        variables, state = restored
        found.append(variables)
        listing = [(name, value.dtype.str, value.shape) for name, value in variables.items()]
        return {"variables": listing, "state": state}


def _agreed(config: TrainConfig, workers: Cluster) -> RunRequest:
    own = dataclasses.asdict(config)
    everyone = [json.loads(other) for other in workers.gather(json.dumps(own).encode())]
    for index, other in enumerate(everyone):
        names = [name for name, value in other.items() if value != everyone[0][name]]
        if names:
            raise UsageError(
                "All workers must be started with the same settings. Received: "
                f"{names[0]}={everyone[0][names[0]]} on worker 0 and "
                f"{names[0]}={other[names[0]]} on worker {index}."
            )

    def found() -> dict | None:
        # A scheduler starts all workers again with the command that it has.
        again = config.resume or holds_run(config.workdir)
        return found_config(dataclasses.replace(config, resume=again))

    # Only the chief's file system must have the run's folder.
    before = workers.from_chief(found)
    return request_since(before, dataclasses.replace(config, resume=before is not None))


@contextlib.contextmanager
def _own_log(workdir, workers: Cluster) -> Iterator[None]:
    path = pathlib.Path(workdir) / LOGS / f"worker-{workers.index}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = standard_logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(standard_logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger, verbosity = logging.get_absl_logger(), logging.get_verbosity()
    logger.addHandler(handler)
    logging.set_verbosity(max(verbosity, logging.INFO))
    logging.info(
        "Worker %d of %d, at %s.", workers.index, workers.count, workers.addresses[workers.index]
    )
    try:
        yield
    except Exception as error:
        logging.error("%s: %s", type(error).__name__, error)
        raise
    finally:
        logging.set_verbosity(verbosity)
        logger.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _loss_explained(workdir, workers: Cluster) -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        message = error.message
        if not _SIGNS.search(message):
            raise
        raise _loss_of(_lost_index(message, workers), workdir, workers, message) from error


def _loss_of(index: int | None, workdir, workers: Cluster, message: str) -> UserError:
    who, log = "Another worker", "worker-*.log"
    if index is not None:
        who, log = f"Worker {index} ({workers.addresses[index]})", f"worker-{index}.log"
    return UserError(
        f"{who} has ended or cannot be reached, so this worker ({workers.index}) ends too. "
        f"{pathlib.Path(workdir) / LOGS / log} or its machine's log says why. Start all workers "
        "again with the same command: the run goes on from its newest checkpoint. TensorFlow "
        f"says: {_first_reason(message)}"
    )


def _lost_index(message: str, workers: Cluster) -> int | None:
    for job, task in re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", message):
        index = workers.index_of(job, int(task))
        if index != workers.index:
            return index
    # TensorFlow does not always say which; of two it can only be the other.
    return 1 - workers.index if workers.count == 2 else None


def _first_reason(message: str) -> str:
    lines = [line.strip() for line in message.splitlines()]
    telling = [line for line in lines if _SIGNS.search(line) and "Detected at" not in line]
    return (telling or lines)[0]
