"""Which devices a run uses, and in which precision."""

import contextlib
import functools

import tensorflow as tf
from absl import logging

from keras_alexnet.distributed.cluster import Cluster
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import tensorflow_private


def strategy_for(
    num_devices: int | None = None,
    logical_cpu_devices: int | None = None,
    cluster_resolver: tf.distribute.cluster_resolver.ClusterResolver | None = None,
) -> tf.distribute.Strategy:
    """Returns the strategy that trains on this machine's devices, or on those of a cluster.

    All GPUs are taken unless `num_devices` says fewer; without a GPU, all logical CPU devices.
    One device needs no distribution, so it gets TensorFlow's default strategy; several get a
    `MirroredStrategy`, and a cluster a `MultiWorkerMirroredStrategy`.

    Args:
        num_devices: how many devices to use, of each machine; None uses all there are.
        logical_cpu_devices: split the CPU into so many devices, to try several replicas
            without a GPU. Only possible before TensorFlow has used the CPU.
        cluster_resolver: what `resolvers.resolver` found. All workers must come here, and none of
            them may have used TensorFlow before.

    Raises:
        UsageError: if there are fewer devices, or the CPU is already in use.
        UserError: if TensorFlow is already in use, or the other workers cannot be reached.
    """
    if cluster_resolver is not None:
        return _multi_worker(num_devices, logical_cpu_devices, cluster_resolver)
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
            f"num_devices must be from 1 to the {len(available)} {kind} devices of this machine. "
            f"Received: {wanted}. --logical_cpu_devices N splits the CPU into N devices to try."
        )
    names = [name.replace("/device:", "") for name in available[:wanted]]
    if wanted > 1:
        return _mirrored(tuple(names))
    return tf.distribute.get_strategy()


def describe(strategy: tf.distribute.Strategy) -> str:
    """Returns the devices of `strategy` in words: "2 x GPU", or "8 x GPU on 2 workers"."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    several = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
    if isinstance(strategy, several):
        kind = strategy.extended.worker_devices[0].rpartition("device:")[2].partition(":")[0]
    workers = Cluster(strategy).count
    where = f" on {workers} workers" if workers > 1 else ""
    return f"{strategy.num_replicas_in_sync} x {kind}{where}"


@contextlib.contextmanager
def determinism(wanted: bool | None):
    """Runs its body with TensorFlow's op determinism on or off, and puts the former state back.

    Args:
        wanted: on or off; None is on for CPUs, where it costs next to nothing, and as it was for
            GPUs, where it can cost much.

    Example:
        >>> with determinism(True):
        ...     tf.config.experimental.enable_op_determinism()  # is on already
    """
    if wanted is None:
        wanted = not tf.config.list_physical_devices("GPU") or None
    # TensorFlow's public interface switches it on only, for the whole process and for good, and
    # every random operation without a seed is an error from then on.
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
    # One for each set of devices: the collective operations of a second one in the same process
    # have the keys of the first's and fail at a tensor of another shape. Devices that share the
    # CPU need no collective operations.
    on_cpu = names[0].startswith("CPU")
    ops = tf.distribute.ReductionToOneDevice() if on_cpu else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=ops)


# Gradients travel in parts, so that one is added up while the next is on its way. On loopback 59 MB
# took 0.3 seconds instead of the 0.7 that they take as a whole.
_PACK_BYTES = 8 * 2**20


# One for each cluster, since TensorFlow can join one once in a process.
_JOINED: dict[tuple[str, ...], tf.distribute.Strategy] = {}


def _multi_worker(num_devices, logical_cpu_devices, resolver) -> tf.distribute.Strategy:
    if logical_cpu_devices is not None:
        raise UsageError(
            "logical_cpu_devices is for trying several replicas in one process, and this run has "
            f"several workers. Received: {logical_cpu_devices}. Leave it out."
        )
    gpus = tf.config.list_physical_devices("GPU")
    available = max(1, len(gpus))
    if num_devices is not None and not 1 <= num_devices <= available:
        raise UsageError(
            f"num_devices must be from 1 to the {available} devices of each worker. Received: "
            f"{num_devices}."
        )
    addresses = tuple(map(str, resolver.cluster_spec().as_dict().items()))
    if addresses in _JOINED:
        return _JOINED[addresses]
    for gpu in gpus:
        _grow_memory(gpu)
    logging.info("Waiting for all workers of %s.", resolver.cluster_spec().as_dict())
    try:
        if num_devices is not None and gpus:
            tf.config.set_visible_devices(gpus[:num_devices], "GPU")
        _JOINED[addresses] = tf.distribute.MultiWorkerMirroredStrategy(
            resolver, tf.distribute.experimental.CommunicationOptions(bytes_per_pack=_PACK_BYTES)
        )
    except RuntimeError as error:
        raise UserError(
            f"TensorFlow was in use before the workers could be joined: {error} Call train() "
            "before anything else of TensorFlow, in a fresh process."
        ) from error
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(
            f"The other workers could not be joined: {getattr(error, 'message', error)} Look "
            "whether all run, reach each other's addresses and belong to the same start; then "
            "start all of them again."
        ) from error
    return _JOINED[addresses]


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
            f"logical_cpu_devices={count} came after TensorFlow had started to use the CPU. "
            "Ask for it in a fresh process."
        ) from error


def _grow_memory(gpu) -> None:
    try:
        tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        logging.warning("%s is already in use; its memory growth stays as it is.", gpu.name)
