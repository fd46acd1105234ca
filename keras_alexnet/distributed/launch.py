"""Who the workers of a run are, as the environment says: TF_CONFIG or a Slurm job step."""

import os
import re

import tensorflow as tf

from keras_alexnet.distributed.cluster import _JOBS, addresses_of
from keras_alexnet.errors import UsageError

# Slurm says nothing of ports; jobs that share a node get ports of their own.
_FIRST_PORT, _PORTS = 12_000, 16_000


def resolver() -> tf.distribute.cluster_resolver.ClusterResolver | None:
    """Returns what tells the workers of this run apart, or None for a run in one process.

    `TF_CONFIG` is read first, then the variables of a Slurm job step (`srun`).

    Raises:
        UsageError: if they describe something that cannot be trained on.

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
    return found if len(addresses_of(found)) > 1 else None


def _from_tf_config() -> tf.distribute.cluster_resolver.ClusterResolver:
    text = os.environ["TF_CONFIG"]
    found = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    try:
        jobs = set(found.cluster_spec().as_dict())
        if unknown := (jobs | {found.task_type}) - set(_JOBS):
            raise ValueError(f"it has {', '.join(map(str, sorted(map(str, unknown))))}")
        found.cluster_spec().task_address(found.task_type, found.task_id)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            'TF_CONFIG must be of the form {"cluster": {"worker": ["host:port", …]}, "task": '
            '{"type": "worker", "index": 0}}, its jobs being "worker" and at most one "chief". '
            f"Received: {text} ({error})."
        ) from error
    return found


def _from_slurm() -> tf.distribute.cluster_resolver.ClusterResolver:
    tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
    port = _FIRST_PORT + int(os.environ.get("SLURM_JOB_ID", 0)) % _PORTS
    try:
        # GPUs are those that Slurm lets a task see. Dividing them here as well would need
        # nvidia-smi, which a node without GPUs does not have.
        found = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        addresses = found.cluster_spec().as_dict()["worker"]
        rank = int(os.environ["SLURM_PROCID"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise UsageError(f"Slurm's variables do not describe a job step: {error}") from error
    # The resolver sorts hosts as words, so that n10 stands before n2, and Slurm numbers tasks in
    # the order n2, n10.
    addresses = sorted(addresses, key=_natural)
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}),
        task_type="worker",
        task_id=rank,
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        rpc_layer="grpc",
    )


def _natural(address: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", address)]
