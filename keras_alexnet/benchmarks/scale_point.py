"""One point of the benchmark of scale: a training run in a process of its own."""

import dataclasses
import pathlib
import tempfile
import time
from typing import Any

import tensorflow as tf

from keras_alexnet.benchmarks import random_data
from keras_alexnet.benchmarks.side import Turns
from keras_alexnet.benchmarks.timed_run import Clock, Workload
from keras_alexnet.benchmarks.timing import WARM_UP_STEPS
from keras_alexnet.networks import variants
from keras_alexnet.utils import machine

SIDE = f"{__name__}:serve"


@dataclasses.dataclass(frozen=True)
class Point:
    """What is trained.

    Attributes:
        variant: the network.
        steps: number of timed steps.
        precision: as of a training run.
        batch_size: images in a step of one worker.
        image_size: height and width of the input.
        classes: number of classes.
        listed: number of images that are listed and decoded when they are needed; by default there
            are as many as the run takes, decoded in memory.
        workers: number of workers that train together; they share the processors.
    """

    variant: str
    steps: int
    precision: str
    batch_size: int
    image_size: int
    classes: int
    listed: int | None = None
    workers: int = 1


class _CpuClock(Clock):
    """A clock that also notes the time that all processors have worked for this process."""

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._cpu: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        self._cpu.append(time.process_time())

    def cpu_seconds_a_step(self) -> float:
        """Mean seconds of a step, after the warm-up."""
        cpu = self._cpu[WARM_UP_STEPS - 1 :]
        return (cpu[-1] - cpu[0]) / (len(cpu) - 1)


def serve(turns: Turns, *, point: dict[str, Any], folder: str) -> None:
    """Trains, and answers with seconds, and the most memory that this process has held.

    Args:
        turns: where the answer goes.
        point: the fields of a `Point`.
        folder: the folder of the run, which workers share.
    """
    given = Point(**point)
    threads = max(1, len(machine.processors()) // given.workers)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    all_images = given.batch_size * given.workers * (WARM_UP_STEPS + given.steps)
    plan = variants.get(given.variant).image_plan_for(given.image_size)
    batch_size = given.batch_size * given.workers
    workload = Workload(given.variant, batch_size, given.steps, given.precision)
    with tempfile.TemporaryDirectory() as files:
        listed = None if given.listed is None else pathlib.Path(files)
        images = given.listed or max(all_images, given.classes)
        with random_data.registered(images, plan.square_size, given.classes, listed):
            started = time.perf_counter()
            clock = _CpuClock(given.steps)
            workload.train(
                str(pathlib.Path(folder) / "run"),
                clock=clock,
                dataset=random_data.NAME,
                input_size=given.image_size,
            )
    turns.answer(
        {
            "seconds_a_step": clock.seconds_a_step(),
            "cpu_seconds_a_step": clock.cpu_seconds_a_step(),
            "seconds_to_first_step": clock.ends[0] - started,
            "memory_bytes": machine.peak_memory(),
        }
    )
