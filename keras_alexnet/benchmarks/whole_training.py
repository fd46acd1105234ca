"""Whole training as one side of a comparison: pipeline, augmentation, metrics, checkpoints."""

import contextlib
import pathlib
import tempfile

import keras
import tensorflow as tf

from keras_alexnet.benchmarks import random_data
from keras_alexnet.benchmarks.side import Turns
from keras_alexnet.benchmarks.timed_run import TimingDone, Workload
from keras_alexnet.distributed.precision import graph_is_rewritten
from keras_alexnet.networks import variants
from keras_alexnet.training.train import train

SIDE = f"{__name__}:serve"


def serve(turns: Turns, *, variant: str, batch_size: int, steps: int, precision: str) -> None:
    """Trains an epoch of so many steps each turn, on images in memory.

    The images have the size of the network's image plan. An epoch ends with a checkpoint. The first
    epoch is for warming up. A turn's answer has its "seconds" and "cpu_seconds", and the seconds of
    its "steps", without the checkpoint.
    """
    workload, spec = Workload(variant, batch_size, steps, precision), variants.get(variant)
    with (
        tempfile.TemporaryDirectory() as folder,
        random_data.registered(batch_size * steps, spec.image_plan.square_size, spec.num_classes),
        contextlib.suppress(TimingDone),
    ):
        run = str(pathlib.Path(folder) / "run")
        config = workload.config(run, dataset=random_data.NAME)
        train(config, callbacks=[_EpochsInTurn(turns)])


class _EpochsInTurn(keras.callbacks.Callback):
    """Lets each epoch but the first wait for its turn, and answers at its end.

    It has no hooks of batches, which would take time between the steps. The batches that the
    pipeline makes ready during a pause are few.
    """

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == 1:
            device = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
            self._turns.answer({"precision": precision_in_use(), "device": device})
        if epoch and not self._turns.wait():
            raise TimingDone

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch:
            self._turns.answer({**self._turns.seconds(), "steps": (logs or {})["seconds"]})


def precision_in_use() -> str:
    """Returns the name of the precision that this process computes in."""
    return "graph_bfloat16" if graph_is_rewritten() else keras.config.dtype_policy().name
