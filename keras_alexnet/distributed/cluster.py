"""The workers that train together, and how they exchange values.

Every worker is a process that runs the same command. Worker 0 is the chief: it does what only one
of them may do. Code that trains calls the methods of a `Cluster` and does not check how many
workers there are: those of `SingleProcess` exchange nothing.
"""

import abc
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet import errors
from keras_alexnet.distributed import devices
from keras_alexnet.errors import UserError

Arrays = dict[str, np.ndarray]

_CHUNK = 2**17  # int64s: 1 MiB; messages of all lengths share one compiled function


def cluster_of(strategy: tf.distribute.Strategy) -> "Cluster":
    """Returns the workers that a strategy trains on.

    Example:
        >>> cluster = cluster_of(tf.distribute.get_strategy())
        >>> cluster.count, cluster.is_chief, cluster.gather(b"mine")
        (1, True, [b'mine'])
    """
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return Workers(strategy)
    return SingleProcess()


class Cluster(abc.ABC):
    """The workers that train together.

    Attributes:
        index: the number of this worker, from 0; the chief's is 0.
        addresses: host:port of every worker; empty for a run in one process.

    All workers must call the methods that exchange values, in the same order.
    """

    index: int = 0
    addresses: tuple[str, ...] = ()

    @abc.abstractmethod
    def strategy_for(
        self, num_devices: int | None, logical_cpu_devices: int | None
    ) -> tf.distribute.Strategy:
        """Returns the strategy for the devices of all workers."""

    @abc.abstractmethod
    def broadcast(self, value: bytes, root: int = 0) -> bytes:
        """Returns the bytes that worker `root` gave, on every worker."""

    @abc.abstractmethod
    def numbers(self, own: int) -> list[int]:
        """Returns the numbers that the workers gave, in worker order; cheaper than `gather`."""

    @abc.abstractmethod
    def from_chief(self, make: Callable[[], Any]) -> Any:
        """Returns on every worker what `make` returns on the chief.

        Args:
            make: called only on the chief; returns a value that JSON can hold.

        Raises:
            UserError: on every worker, if `make` raised one or an OSError.
        """

    @abc.abstractmethod
    def arrays_from_chief(
        self, make: Callable[[], tuple[Arrays, dict] | None]
    ) -> tuple[Arrays, dict] | None:
        """Like `from_chief`, for named arrays and a dict that JSON can hold."""

    @property
    def count(self) -> int:
        """The number of workers."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self.index == 0

    def local_replicas(self, strategy: tf.distribute.Strategy) -> int:
        """Returns the number of replicas of this worker, which is the same on every worker."""
        return strategy.num_replicas_in_sync // self.count

    def own_rows(self, rows: int, batch_size: int) -> np.ndarray:
        """Returns this worker's share of `rows` rows, in whole batches: int64 `[k]`.

        The shares of all workers, one after another, are all rows in order.
        """
        batches = -(-rows // batch_size)
        first, end = (i * batches // self.count * batch_size for i in (self.index, self.index + 1))
        return np.arange(min(first, rows), min(end, rows))

    def distribute(
        self, batches: tf.data.Dataset, strategy: tf.distribute.Strategy, images: int
    ) -> tf.distribute.DistributedDataset | tf.data.Dataset:
        """Spreads this worker's batches over its replicas.

        Args:
            batches: endless, so that workers need not ask each other whether there are more.
            strategy: the strategy with the replicas.
            images: number of images in one batch, divisible by the replicas of a worker.
        """
        replicas = self.local_replicas(strategy)
        if replicas > 1:
            batches = batches.rebatch(images // replicas, drop_remainder=True)
        # Asserted again, because some transformations lose it: for data that may end, every step
        # would begin with a collective operation that asks whether all workers have a batch.
        batches = batches.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
        return strategy.distribute_datasets_from_function(lambda _: batches)

    def gather(self, value: bytes) -> list[bytes]:
        """Returns what every worker gave, in worker order."""
        return [self.broadcast(value, root) for root in range(self.count)]

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


class SingleProcess(Cluster):
    """A run in one process: it is the chief, and nothing needs to be exchanged.

    Example:
        >>> SingleProcess().from_chief(lambda: 7)
        7
    """

    def strategy_for(
        self, num_devices: int | None, logical_cpu_devices: int | None
    ) -> tf.distribute.Strategy:
        return devices.strategy_for(num_devices, logical_cpu_devices)

    def broadcast(self, value: bytes, root: int = 0) -> bytes:
        return value

    def numbers(self, own: int) -> list[int]:
        return [own]

    def from_chief(self, make: Callable[[], Any]) -> Any:
        return make()

    def arrays_from_chief(
        self, make: Callable[[], tuple[Arrays, dict] | None]
    ) -> tuple[Arrays, dict] | None:
        return make()


class Workers(Cluster):
    """Several processes, on one machine or on several, that a strategy has joined.

    Args:
        strategy: its collective operations carry what is exchanged.
    """

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy):
        self._strategy = strategy
        resolver = strategy.cluster_resolver
        self.addresses = devices.worker_addresses(resolver)
        self.index = self.index_of(resolver.task_type, resolver.task_id)
        self._summed = tf.function(self._sum_of_replicas)

    def index_of(self, job: str, task: int) -> int:
        """Returns the number of the worker that TensorFlow calls /job:…/task:…."""
        spec = self._strategy.cluster_resolver.cluster_spec()
        return self.addresses.index(spec.task_address(job, task))

    def strategy_for(
        self, num_devices: int | None, logical_cpu_devices: int | None
    ) -> tf.distribute.Strategy:
        return self._strategy  # its devices were chosen when the workers were joined

    def broadcast(self, value: bytes, root: int = 0) -> bytes:
        length = int(self._sum_from(root, np.array([len(value)]))[0])
        own = np.frombuffer(value, np.uint8) if self.index == root else np.zeros(0, np.uint8)
        padded = np.zeros(-(-length // (8 * _CHUNK)) * 8 * _CHUNK, np.uint8)
        padded[: len(own)] = own
        parts = [self._sum_from(root, part) for part in padded.view(np.int64).reshape(-1, _CHUNK)]
        return b"".join(part.tobytes() for part in parts)[:length]

    def numbers(self, own: int) -> list[int]:
        values = np.zeros(self.count, np.int64)
        values[self.index] = own
        # Every worker adds its own number, and zeros for all others.
        return self._sum(self.index, values).tolist()

    def from_chief(self, make: Callable[[], Any]) -> Any:
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

    def arrays_from_chief(
        self, make: Callable[[], tuple[Arrays, dict] | None]
    ) -> tuple[Arrays, dict] | None:
        own: Arrays = {}  # filled on the chief only

        def described() -> dict | None:
            if (made := make()) is None:
                return None
            own.update(made[0])
            kinds = [(name, value.dtype.str, value.shape) for name, value in own.items()]
            return {"arrays": kinds, "rest": made[1]}

        if (found := self.from_chief(described)) is None:
            return None
        arrays = {}
        for name, dtype, shape in found["arrays"]:
            content = np.ascontiguousarray(own[name]).tobytes() if own else b""
            arrays[name] = np.frombuffer(self.broadcast(content), dtype).reshape(shape)
        return arrays, found["rest"]

    def _sum_from(self, root: int, values: np.ndarray) -> np.ndarray:
        padded = np.zeros(_CHUNK, np.int64)
        padded[: len(values)] = values
        return self._sum(root, padded)

    def _sum(self, root: int, values: np.ndarray) -> np.ndarray:
        first_replica = root * self.local_replicas(self._strategy)
        summed = self._summed(tf.constant(values), tf.constant(first_replica))
        return self._strategy.experimental_local_results(summed)[0].numpy()

    def _sum_of_replicas(self, values: tf.Tensor, root: tf.Tensor) -> tf.Tensor:
        # A broadcast as a sum with zeros: exact, and the only collective that all devices have.
        def replica_sum(values: tf.Tensor, root: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_root = tf.equal(context.replica_id_in_sync_group, root)
            own = tf.where(is_root, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, own)

        return self._strategy.run(replica_sum, args=(values, root))
