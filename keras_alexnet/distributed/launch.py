"""Joining the workers of a run: TF_CONFIG, Slurm, logs, lost workers."""

import contextlib
import faulthandler
import logging as standard_logging
import os
import pathlib
import re
import signal
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from keras_alexnet.distributed import devices, rendezvous
from keras_alexnet.distributed.cluster import Cluster, SingleProcess, Workers
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import signals
from keras_alexnet.utils.logs import PlainFormatter

JOIN_TIMEOUT = 600.0  # seconds

LOGS = "logs"  # subfolder of the run's folder

# Slurm assigns no ports; jobs that share a node get different ones by their number.
_FIRST_PORT, _PORTS = 12_000, 16_000

# What collective operations raise when a worker is lost, if the message matches `_SIGNS`.
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
def joined(
    workdir: str | os.PathLike | None,
    num_devices: int | None = None,
    logical_cpu_devices: int | None = None,
    join_timeout: float = JOIN_TIMEOUT,
) -> Iterator[Cluster]:
    """Yields the workers of this run, after all of them have joined.

    With several workers, each logs to its own file during the body, and the loss of a worker
    becomes a `UserError`. For a run in one process, it does nothing.

    Args:
        workdir: the run's folder; the logs are below it.
        num_devices: as for `devices.multi_worker_strategy`.
        logical_cpu_devices: as for `devices.multi_worker_strategy`.
        join_timeout: the most seconds to wait for the other workers; 0 waits without end.

    Raises:
        UsageError: if there are several workers and no `workdir`, or as `resolver` and
            `devices.multi_worker_strategy` do.
        UserError: if the workers cannot be joined or, in the body, if a worker is lost.

    Example:
        >>> with joined(workdir=None) as cluster:
        ...     cluster.count
        1
    """
    found = resolver()
    if found is None:
        yield SingleProcess()
        return
    if workdir is None:
        raise UsageError(
            "A run with several workers needs --workdir: it holds their logs, and the checkpoints "
            "to resume from when all of them are started again. Received: none."
        )
    options = (num_devices, logical_cpu_devices)
    devices.check_worker_devices(*options)
    if not devices.is_joined(found):
        addresses = devices.worker_addresses(found)
        own = found.cluster_spec().task_address(found.task_type, found.task_id)
        logging.info("Waiting for all workers of %s.", found.cluster_spec().as_dict())
        rendezvous.wait_for_all(addresses, addresses.index(own), join_timeout)
    with _stoppable_in_tensorflow(join_timeout):
        strategy = devices.multi_worker_strategy(found, *options)
    workers, logs = Workers(strategy), pathlib.Path(workdir) / LOGS
    with _own_log(logs, workers), _loss_explained(logs, workers):
        yield workers


@contextlib.contextmanager
def _stoppable_in_tensorflow(join_timeout: float) -> Iterator[None]:
    """Lets signals and a limit end the process, while TensorFlow's code holds Python's lock.

    Now that all workers have come, this takes a moment, unless one of them dies in it.
    """
    if join_timeout:
        faulthandler.dump_traceback_later(join_timeout, exit=True, file=2)
    try:
        with signals.handled(signal.SIG_DFL):
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def resolver() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """Returns what tells the workers of this run apart, or None for a run in one process.

    It reads `TF_CONFIG` first, and then the variables of a Slurm job step (`srun`).

    Raises:
        UsageError: if they do not describe workers that can train.

    Example:
        >>> resolver() is None
        True
    """
    if os.environ.get("TF_CONFIG", "").strip() not in ("", "{}"):
        found = _from_tf_config()
    elif int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        found = _from_slurm()
    else:
        return None
    return found if len(devices.worker_addresses(found)) > 1 else None


def _from_tf_config() -> tf.distribute.cluster_resolver.ClusterResolver:
    text = os.environ["TF_CONFIG"]
    found = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    try:
        jobs = set(found.cluster_spec().as_dict())
        if unknown := (jobs | {found.task_type}) - set(devices.WORKER_JOBS):
            raise ValueError(f"it has {', '.join(map(str, sorted(map(str, unknown))))}")
        found.cluster_spec().task_address(found.task_type, found.task_id)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            'TF_CONFIG must be of the form {"cluster": {"worker": ["host:port", …]}, "task": '
            '{"type": "worker", "index": 0}}, with the jobs "worker" and at most one "chief". '
            f"Received: {text} ({error})."
        ) from error
    return found


def _from_slurm() -> tf.distribute.cluster_resolver.ClusterResolver:
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    port = _FIRST_PORT + int(os.environ.get("SLURM_JOB_ID", 0)) % _PORTS
    try:
        # Slurm decides which GPUs a task sees. Dividing them here as well would need nvidia-smi,
        # which a node without GPUs does not have.
        found = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        addresses = found.cluster_spec().as_dict()["worker"]
        rank = int(os.environ["SLURM_PROCID"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(f"Slurm's variables do not describe a job step: {error}") from error
    # The resolver sorts hosts as text, n10 before n2, but Slurm numbers tasks in the order n2, n10.
    addresses = sorted(addresses, key=_natural)
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}),
        task_type="worker",
        task_id=rank,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )


def _natural(address: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", address)]


@contextlib.contextmanager
def _own_log(logs: pathlib.Path, workers: Workers) -> Iterator[None]:
    path = logs / f"worker-{workers.index}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = standard_logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
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
def _loss_explained(logs: pathlib.Path, workers: Workers) -> Iterator[None]:
    try:
        yield
    except _LOST as error:
        if not _SIGNS.search(error.message):
            raise
        raise _lost_worker(logs, workers, error.message) from error


def _lost_worker(logs: pathlib.Path, workers: Workers, message: str) -> UserError:
    who, log = "Another worker", "worker-*.log"
    if (index := _lost_index(message, workers)) is not None:
        who, log = f"Worker {index} ({workers.addresses[index]})", f"worker-{index}.log"
    lines = [line.strip() for line in message.splitlines()]
    telling = [line for line in lines if _SIGNS.search(line) and "Detected at" not in line]
    return UserError(
        f"{who} has ended or cannot be reached, so this worker ({workers.index}) ends too. "
        f"{logs / log} or the log of its machine says why. Start all workers again with the same "
        "command to resume from the newest checkpoint. TensorFlow reports: "
        f"{(telling or lines)[0]}"
    )


def _lost_index(message: str, workers: Workers) -> int | None:
    for job, task in re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", message):
        index = workers.index_of(job, int(task))
        if index != workers.index:
            return index
    # TensorFlow does not always say which; of two, it can only be the other.
    return 1 - workers.index if workers.count == 2 else None
