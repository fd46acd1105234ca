"""The devices that a run uses, as a `tf.distribute` strategy."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from absl import logging

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import tensorflow_private

WORKER_JOBS = ("chief", "worker")  # in the order in which workers are numbered

# Gradients are sent in parts, so that one is added up while the next is on its way. On loopback,
# 59 MB took 0.3 seconds this way, and 0.7 seconds as a whole.
_PACK_BYTES = 8 * 2**20

# One per cluster, because a process can join a cluster only once.
_JOINED: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def strategy_for(
    num_devices: int | None = None, logical_cpu_devices: int | None = None
) -> tf.distribute.Strategy:
    """Returns the strategy that trains on the devices of this machine.

    All GPUs are used unless `num_devices` is smaller; without a GPU, all logical CPU devices are.
    One device gets TensorFlow's default strategy; several get a `MirroredStrategy`.

    Args:
        num_devices: how many devices to use; all of them when None.
        logical_cpu_devices: split the CPU into this many devices, to try out several replicas
            without a GPU. This must happen before TensorFlow has used the CPU.

    Raises:
        UsageError: if there are too few devices, or the CPU is already in use.

    Example:
        >>> strategy_for(1).num_replicas_in_sync
        1
    """
    if logical_cpu_devices is not None:
        _split_cpu(logical_cpu_devices)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        _grow_memory(gpu)
    kind = "GPU" if gpus and logical_cpu_devices is None else "CPU"
    available = [device.name for device in tf.config.list_logical_devices(kind)]
    wanted = len(available) if num_devices is None else num_devices
    if not 1 <= wanted <= len(available):
        raise UsageError(
            f"num_devices must be between 1 and {len(available)}, the number of {kind} devices of "
            f"this machine. Received: {wanted}. --logical_cpu_devices N splits the CPU into N "
            "devices."
        )
    names = [name.replace("/device:", "") for name in available[:wanted]]
    if wanted > 1:
        return _mirrored(tuple(names))
    return tf.distribute.get_strategy()


def multi_worker_strategy(
    resolver: tf.distribute.cluster_resolver.ClusterResolver,
    num_devices: int | None = None,
    logical_cpu_devices: int | None = None,
) -> tf.distribute.Strategy:
    """Joins the other workers and returns a `MultiWorkerMirroredStrategy` over all devices.

    Every worker must call it, and none may have used TensorFlow before.

    Args:
        resolver: the workers, as `launch.resolver` finds them.
        num_devices: how many devices of each worker to use; all of them when None.
        logical_cpu_devices: must be None, because it is for a run in one process.

    Raises:
        UsageError: if a worker has fewer devices.
        UserError: if TensorFlow is already in use, or the other workers cannot be reached.
    """
    check_worker_devices(num_devices, logical_cpu_devices)
    gpus = tf.config.list_physical_devices("GPU")
    cluster = _cluster_of(resolver)
    if cluster in _JOINED:
        return _JOINED[cluster]
    for gpu in gpus:
        _grow_memory(gpu)
    try:
        if num_devices is not None and gpus:
            tf.config.set_visible_devices(gpus[:num_devices], "GPU")
        _JOINED[cluster] = tf.distribute.MultiWorkerMirroredStrategy(
            resolver, tf.distribute.experimental.CommunicationOptions(bytes_per_pack=_PACK_BYTES)
        )
    except RuntimeError as error:
        raise UserError(
            f"TensorFlow was used before the workers were joined: {error} Call train() in a fresh "
            "process, before anything else of TensorFlow."
        ) from error
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(
            f"The other workers could not be joined: {getattr(error, 'message', error)} Check "
            "that all of them run, can reach each other's addresses, and were started together; "
            "then start all of them again."
        ) from error
    return _JOINED[cluster]


def check_worker_devices(num_devices: int | None, logical_cpu_devices: int | None) -> None:
    """Raises a UsageError unless each of several workers has these devices."""
    if logical_cpu_devices is not None:
        raise UsageError(
            "logical_cpu_devices is for trying out several replicas in one process, but this run "
            f"has several workers. Received: {logical_cpu_devices}. Omit it."
        )
    gpus = tf.config.list_physical_devices("GPU")
    available = max(1, len(gpus))
    if num_devices is not None and not 1 <= num_devices <= available:
        raise UsageError(
            f"num_devices must be between 1 and {available}, the number of devices of each worker. "
            f"Received: {num_devices}."
        )


def is_joined(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> bool:
    """Returns whether this process has joined the workers already."""
    return _cluster_of(resolver) in _JOINED


def _cluster_of(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> tuple[str, ...]:
    return tuple(map(str, resolver.cluster_spec().as_dict().items()))


def worker_addresses(
    resolver: tf.distribute.cluster_resolver.ClusterResolver,
) -> tuple[str, ...]:
    """Returns host:port of every worker, the chief first."""
    jobs = resolver.cluster_spec().as_dict()
    return tuple(address for job in WORKER_JOBS for address in jobs.get(job, ()))


def describe(strategy: tf.distribute.Strategy) -> str:
    """Returns the devices of `strategy` as text: "2 x GPU", or "8 x GPU on 2 workers".

    Example:
        >>> describe(strategy_for(1))
        '1 x CPU'
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    several = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
    if isinstance(strategy, several):
        kind = strategy.extended.worker_devices[0].rpartition("device:")[2].partition(":")[0]
    where = ""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        where = f" on {len(worker_addresses(strategy.cluster_resolver))} workers"
    return f"{strategy.num_replicas_in_sync} x {kind}{where}"


@contextlib.contextmanager
def determinism(wanted: bool | None) -> Iterator[None]:
    """Runs its body with TensorFlow's op determinism on or off, then restores the previous state.

    Args:
        wanted: on or off. None turns it on for CPUs, where it is almost free, and leaves it
            unchanged for GPUs, where it can be slow.

    Example:
        >>> with determinism(True):
        ...     tf.config.experimental.enable_op_determinism()  # is on already
    """
    if wanted is None:
        wanted = not tf.config.list_physical_devices("GPU") or None
    # TensorFlow's public API can only turn it on, permanently and for the whole process, and from
    # then on every random operation without a seed is an error.
    before = tensorflow_private.op_determinism_is_on()
    _switch_determinism(before if wanted is None else wanted)
    try:
        yield
    finally:
        _switch_determinism(before)


def _switch_determinism(on: bool) -> None:
    if on:
        tf.config.experimental.enable_op_determinism()
    else:
        tensorflow_private.turn_op_determinism_off()


@functools.cache
def _mirrored(names: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    # One per set of devices: the collective operations of a second one in the same process reuse
    # the keys of the first and fail for a tensor of a different shape. Devices that share the CPU
    # need no collective operations.
    on_cpu = names[0].startswith("CPU")
    ops = tf.distribute.ReductionToOneDevice() if on_cpu else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=ops)


def _split_cpu(count: int) -> None:
    if count < 1:
        raise UsageError(f"logical_cpu_devices must be at least 1. Received: {count}.")
    cpu = tf.config.list_physical_devices("CPU")[0]
    configuration = [tf.config.LogicalDeviceConfiguration()] * count
    if len(tf.config.get_logical_device_configuration(cpu) or [None]) == count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, configuration)
    except RuntimeError as error:
        raise UsageError(
            "logical_cpu_devices must be set before TensorFlow uses the CPU. Received: "
            f"{count}. Set it in a fresh process."
        ) from error


def _grow_memory(gpu: Any) -> None:
    try:
        tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        logging.warning("%s is already in use, so its memory growth is unchanged.", gpu.name)
