"""What a training step costs beyond its arithmetic: loop, strategy, checkpoints, workers."""

import contextlib
import os
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from _benchmark_runs import WARM_UP_STEPS, Clock, Done, Setting
from _benchmark_workers import workers
from absl import logging

import keras_alexnet as ka
from keras_alexnet.training import recipes
from keras_alexnet.training.optimizer import make_optimizer
from keras_alexnet.training.step import TrainStep
from keras_alexnet.utils import provenance

CHECKPOINT_EVERY = 100  # steps, over which the time of one save is spread


def measure(names, variant: str, batch_size: int, steps: int, repeats: int) -> dict:
    """Returns name of a measure → its figures, and with what they were found."""
    setting = Setting(variant, batch_size, steps)
    found = {
        "variant": variant,
        "batch_size": batch_size,
        "steps": steps,
        "repeats": repeats,
        "cores": len(os.sched_getaffinity(0)),
        **provenance.provenance(),
    }
    return found | {name: MEASURES[name](setting, repeats) for name in names}


def _trained(setting: Setting, **changes) -> Clock:
    """The clock of a run of the loop on images in memory, with its pipeline."""
    clock = Clock(setting.steps)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Done):
        config = setting.config(pathlib.Path(folder) / "run", **changes)
        ka.train(config, callbacks=[clock])
    return clock


def _batch(setting: Setting):
    data = ka.load_dataset("shapes").train
    batches = ka.train_batches(data, setting.variant, global_batch_size=setting.batch_size, seed=0)
    return (*next(iter(batches)), tf.ones([setting.batch_size]))


def _seconds_a_call(function, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls


def _bare_step(setting: Setting):
    """A step as one would write it down: network, loss, gradient, momentum."""
    model = ka.build(setting.variant, num_classes=10, seed=0)
    optimizer = make_optimizer(recipes.get(setting.variant, **setting.config("").overrides), model)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    images, labels, _ = _batch(setting)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    return lambda: step().numpy()


def _step_under(setting: Setting, strategy):
    recipe = recipes.get(setting.variant, **setting.config("").overrides)
    with strategy.scope():
        step = TrainStep(ka.build(setting.variant, num_classes=10, seed=0), recipe, strategy)
    endless = tf.data.Dataset.from_tensors(_batch(setting)).repeat()
    batches = iter(strategy.experimental_distribute_dataset(endless))
    return lambda: step.run(*next(batches))


def _compared(sides: dict, repeats: int) -> dict:
    """Times sides in turn; → seconds of each, and the median of the second over the first."""
    seconds = {name: [] for name in sides}
    for _ in range(repeats):
        for name, take in sides.items():
            seconds[name].append(take())
            logging.info("%s: %.4f s a step", name, seconds[name][-1])
    first, second = (np.array(values) for values in seconds.values())
    ratios = second / first
    return {
        "seconds_a_step": seconds,
        "ratios": ratios.tolist(),
        "overhead": float(np.median(ratios)) - 1,
    }


def _mirrored(setting: Setting, repeats: int) -> dict:
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    strategies = {
        "no strategy": tf.distribute.get_strategy(),
        "MirroredStrategy": tf.distribute.MirroredStrategy([f"{kind}:0"]),
    }
    steps = {name: _step_under(setting, strategy) for name, strategy in strategies.items()}
    for step in steps.values():
        _seconds_a_call(step, WARM_UP_STEPS)
    sides = {
        name: lambda step=step: _seconds_a_call(step, setting.steps) for name, step in steps.items()
    }
    found = _compared(sides, repeats)
    return found | {
        "in_words": f"MirroredStrategy with one replica over no strategy: "
        f"{100 * found['overhead']:+.1f} % (goal: at most 3)"
    }


def _loop(setting: Setting, repeats: int) -> dict:
    bare = _bare_step(setting)
    _seconds_a_call(bare, WARM_UP_STEPS)
    sides = {
        "bare step on one batch": lambda: _seconds_a_call(bare, setting.steps),
        "loop with its pipeline": lambda: _trained(setting).seconds_a_step(),
    }
    found = _compared(sides, repeats)
    return found | {
        "in_words": f"The loop and its pipeline over a bare tf.function step: "
        f"{100 * found['overhead']:+.1f} % (goal: at most 3)"
    }


def _checkpoints(setting: Setting, repeats: int) -> dict:
    every = max(2, setting.steps // 3)
    saves, steps = [], []
    for _ in range(repeats):
        clock = _trained(setting, checkpoint_every_steps=every)
        pauses = clock.pauses()
        saving = np.arange(1, len(pauses) + 1) % every == 0
        saves.append(float(np.median(pauses[saving]) - np.median(pauses[~saving])))
        steps.append(float(np.median(np.array(clock.ends) - clock.begins[: len(clock.ends)])))
        logging.info("%.4f s a save, %.4f s a step", saves[-1], steps[-1])
    shares = np.array(saves) / (CHECKPOINT_EVERY * np.array(steps))
    overhead = float(np.median(shares))
    return {
        "seconds_a_save": saves,
        "seconds_a_step": steps,
        "overhead": overhead,
        "in_words": f"A checkpoint every {CHECKPOINT_EVERY} steps: {100 * overhead:+.1f} % "
        f"({np.median(saves):.2f} s each; goal: at most 3)",
    }


MEASURES = {
    "mirrored": _mirrored,
    "loop": _loop,
    "checkpoints": _checkpoints,
    "workers": workers,
}
