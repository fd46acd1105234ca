"""The workers of a run on several machines, able to agree.

Every worker is a process that runs the same command. Worker 0 is the chief: what only one of
them shall do, it does.
"""

import json
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_alexnet import errors
from keras_alexnet.errors import UserError

_CHUNK = 2**17  # int64s: 1 MiB, so that a message of any length needs one compiled function


class Cluster:
    """The workers that train together; of a run in one process, one.

    Args:
        strategy: a `tf.distribute.MultiWorkerMirroredStrategy`, or any other of one process.

    Attributes:
        index: this worker's number, from 0; the chief's is 0.
        addresses: host:port of every worker, none for a run in one process.

    All methods that exchange something must be called by every worker, in the same order.

    Example:
        >>> cluster = Cluster(tf.distribute.get_strategy())
        >>> cluster.count, cluster.is_chief, cluster.gather(b"mine")
        (1, True, [b'mine'])
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self.index, self.addresses = 0, ()
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            found = strategy.cluster_resolver
            self.addresses = addresses_of(found)
            self.index = self.index_of(found.task_type, found.task_id)
        self._summed = tf.function(self._sum_of_replicas)

    @property
    def count(self) -> int:
        """How many workers there are."""
        return max(1, len(self.addresses))

    def index_of(self, job: str, task: int) -> int:
        """Returns the number of the worker that TensorFlow calls /job:…/task:…."""
        spec = self._strategy.cluster_resolver.cluster_spec()
        return self.addresses.index(spec.task_address(job, task))

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.index == 0

    @property
    def local_replicas(self) -> int:
        """Replicas of this worker alone; every worker has as many."""
        return self._strategy.num_replicas_in_sync // self.count

    def own_rows(self, rows: int, batch_size: int) -> np.ndarray:
        """Returns this worker's share of so many rows, in whole batches: int64 `[k]`.

        The shares of all workers, one after the other, are all rows in order.
        """
        batches = -(-rows // batch_size)
        first, end = (i * batches // self.count * batch_size for i in (self.index, self.index + 1))
        return np.arange(min(first, rows), min(end, rows))

    def distribute(
        self, batches: tf.data.Dataset, images: int
    ) -> tf.distribute.DistributedDataset | tf.data.Dataset:
        """Spreads this worker's batches over its replicas.

        Args:
            batches: without end, so that workers need not ask each other whether there are more.
            images: in one of them, divisible by the replicas of a worker.
        """
        if self.local_replicas > 1:
            batches = batches.rebatch(images // self.local_replicas, drop_remainder=True)
        # Said once more, since some transformations forget it: for data that may end, every step
        # would begin with a collective operation to ask whether all workers have a batch.
        batches = batches.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
        return self._strategy.distribute_datasets_from_function(lambda _: batches)

    def broadcast(self, value: bytes, root: int = 0) -> bytes:
        """Returns the bytes of worker `root`, whatever the others' are."""
        if self.count == 1:
            return value
        length = int(self._sum_from(root, np.array([len(value)]))[0])
        own = np.frombuffer(value, np.uint8) if self.index == root else np.zeros(0, np.uint8)
        padded = np.zeros(-(-length // (8 * _CHUNK)) * 8 * _CHUNK, np.uint8)
        padded[: len(own)] = own
        parts = [self._sum_from(root, part) for part in padded.view(np.int64).reshape(-1, _CHUNK)]
        return b"".join(part.tobytes() for part in parts)[:length]

    def gather(self, value: bytes) -> list[bytes]:
        """Returns what every worker gave, in their order."""
        return [self.broadcast(value, root) for root in range(self.count)]

    def numbers(self, own: int) -> list[int]:
        """Returns the numbers that the workers gave, in their order; cheaper than `gather`."""
        if self.count == 1:
            return [own]
        values = np.zeros(self.count, np.int64)
        values[self.index] = own
        # Every worker gives the sum its own number, and zeros for all others.
        return self._sum(self.index, values).tolist()

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is true on any worker."""
        return any(self.numbers(int(flag)))

    def check_same(self, name: str, value: str) -> None:
        """Raises a `UserError` on every worker unless `value` is the same on all."""
        found = [other.decode() for other in self.gather(value.encode())]
        differing = [i for i, other in enumerate(found) if other != found[0]]
        if differing:
            raise UserError(
                f"All workers must have the same {name}. Received: {found[0]} on worker 0, "
                f"{found[differing[0]]} on worker {differing[0]}."
            )

    def from_chief(self, make: Callable[[], object]):
        """Returns on every worker what `make` returns on the chief, who alone calls it.

        Args:
            make: returns what JSON can hold.

        Raises:
            UserError: on every worker, if `make` raised one or an OSError.
        """
        if self.count == 1:
            return make()
        message = {}
        if self.is_chief:
            try:
                message = {"value": make()}
            except (UserError, OSError) as error:
                message = {"error": str(error), "kind": type(error).__name__}
        found = json.loads(self.broadcast(json.dumps(message).encode()))
        if "error" in found:
            raise getattr(errors, found["kind"], UserError)(found["error"])
        return found["value"]

    def _sum_from(self, root: int, values: np.ndarray) -> np.ndarray:
        padded = np.zeros(_CHUNK, np.int64)
        padded[: len(values)] = values
        return self._sum(root, padded)

    def _sum(self, root: int, values: np.ndarray) -> np.ndarray:
        summed = self._summed(tf.constant(values), tf.constant(root * self.local_replicas))
        return self._strategy.experimental_local_results(summed)[0].numpy()

    def _sum_of_replicas(self, values: tf.Tensor, root: tf.Tensor) -> tf.Tensor:
        # A broadcast as a sum with zeros: exact, and the one collective that all devices have.
        def replica_sum(values, root):
            context = tf.distribute.get_replica_context()
            is_root = tf.equal(context.replica_id_in_sync_group, root)
            own = tf.where(is_root, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

        return self._strategy.run(replica_sum, args=(values, root))


_JOBS = ("chief", "worker")  # in the order in which workers are counted


def addresses_of(found: tf.distribute.cluster_resolver.ClusterResolver) -> tuple[str, ...]:
    """Returns host:port of every worker, the chief's first."""
    spec = found.cluster_spec().as_dict()
    return tuple(address for job in _JOBS for address in spec.get(job, ()))
