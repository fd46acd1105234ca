"""What a training step costs beyond its arithmetic: loop, strategy, checkpoints, workers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.measures import report_of
from keras_alexnet.benchmarks.report import Report
from keras_alexnet.benchmarks.timed_run import Workload
from keras_alexnet.benchmarks.timing import WARM_UP_STEPS, compare, seconds_a_call
from keras_alexnet.benchmarks.two_workers import measure_workers
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.pipeline import train_batches
from keras_alexnet.distributed.precision import precision
from keras_alexnet.models import build
from keras_alexnet.training import recipes
from keras_alexnet.training.optimizer import make_optimizer
from keras_alexnet.training.step import TrainStep

CHECKPOINT_EVERY = 100  # steps over which the time of one save is spread


def measure(settings: Settings) -> Report:
    """Measures each overhead of each network and batch size."""
    return report_of(MEASURES, settings)


def measure_mirrored(workload: Workload, rounds: int) -> dict[str, Any]:
    """Measures MirroredStrategy with one replica against no strategy."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    strategies = {
        "no strategy": tf.distribute.get_strategy(),
        "MirroredStrategy": tf.distribute.MirroredStrategy([f"{kind}:0"]),
    }
    with precision(workload.precision):
        calls = {name: _step_under(workload, each) for name, each in strategies.items()}
        for call in calls.values():
            seconds_a_call(call, WARM_UP_STEPS)
        sides = {
            name: lambda call=call: seconds_a_call(call, workload.steps)
            for name, call in calls.items()
        }
        found = compare(sides, rounds)
    return _in_words("MirroredStrategy with one replica over no strategy", found)


def measure_loop(workload: Workload, rounds: int) -> dict[str, Any]:
    """Measures the training loop with its pipeline against a step written by hand."""
    # To the end, because a graph is rewritten for the precision in which it is called.
    with precision(workload.precision):
        bare = _bare_step(workload)
        seconds_a_call(bare, WARM_UP_STEPS)
        sides = {
            "bare step on one batch": lambda: seconds_a_call(bare, workload.steps),
            "loop with its pipeline": lambda: workload.train().seconds_a_step(),
        }
        found = compare(sides, rounds)
    return _in_words("The loop and its pipeline over a bare tf.function step", found)


def measure_checkpoints(workload: Workload, rounds: int) -> dict[str, Any]:
    """Measures how long a run waits for a checkpoint."""
    every = max(2, workload.steps // 3)
    saves, seconds = [], []
    for _ in range(rounds):
        clock = workload.train(checkpoint_every_steps=every)
        pauses = clock.pauses()
        saving = np.arange(1, len(pauses) + 1) % every == 0
        saves.append(float(np.median(pauses[saving]) - np.median(pauses[~saving])))
        seconds.append(float(np.median(np.array(clock.ends) - clock.begins[: len(clock.ends)])))
        logging.info("%.4f s a save, %.4f s a step", saves[-1], seconds[-1])
    overhead = float(np.median(np.array(saves) / (CHECKPOINT_EVERY * np.array(seconds))))
    return {
        "seconds_a_save": saves,
        "seconds_a_step": seconds,
        "overhead": overhead,
        "in_words": f"A checkpoint every {CHECKPOINT_EVERY} steps: {100 * overhead:+.1f} % "
        f"({np.median(saves):.2f} s each; goal: at most 3)",
    }


MEASURES = {
    "mirrored": measure_mirrored,
    "loop": measure_loop,
    "checkpoints": measure_checkpoints,
    "workers": measure_workers,
}


def _in_words(what: str, found: dict[str, Any]) -> dict[str, Any]:
    overhead = found["ratio"] - 1
    words = f"{what}: {100 * overhead:+.1f} % (goal: at most 3)"
    return found | {"overhead": overhead, "in_words": words}


def _batch(workload: Workload) -> tuple[tf.Tensor, ...]:
    data = load_dataset("shapes").train
    size = workload.batch_size
    batches = train_batches(data, workload.variant, global_batch_size=size, seed=0)
    return (*next(iter(batches)), tf.ones([size]))


def _bare_step(workload: Workload) -> Callable[[], Any]:
    """A step in its simplest form: network, loss, gradient, momentum."""
    model = build(workload.variant, num_classes=10, seed=0)
    optimizer = make_optimizer(recipes.get(workload.variant, **workload.overrides), model)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    images, labels, _ = _batch(workload)

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    return lambda: step().numpy()


def _step_under(workload: Workload, strategy: tf.distribute.Strategy) -> Callable[[], Any]:
    recipe = recipes.get(workload.variant, **workload.overrides)
    with strategy.scope():
        step = TrainStep(build(workload.variant, num_classes=10, seed=0), recipe, strategy)
    endless = tf.data.Dataset.from_tensors(_batch(workload)).repeat()
    batches = iter(strategy.experimental_distribute_dataset(endless))
    return lambda: step.run(*next(batches))
