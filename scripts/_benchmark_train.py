"""What a training step costs beyond its arithmetic: loop, strategy, checkpoints, workers."""

import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from absl import logging

import keras_alexnet as ka
from keras_alexnet import recipes, results
from keras_alexnet.steps import TrainStep
from keras_alexnet.updates import make_optimizer

WARM_UP_STEPS = 3
CHECKPOINT_EVERY = 100  # steps, over which the time of one save is spread
_WORKER_SECONDS = 3600


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained, and for how many timed steps."""

    variant: str
    batch_size: int
    steps: int

    def config(self, workdir, **changes) -> ka.TrainConfig:
        """A run that is long enough and neither validates nor saves meanwhile."""
        fields = {"global_batch_size": self.batch_size, "epochs": 10_000, "keep": "last"}
        fields |= {"schedule": "constant", "learning_rate": 1e-3, **changes.pop("overrides", {})}
        return ka.TrainConfig(
            variant=self.variant,
            dataset="shapes",
            workdir=str(workdir),
            validation_images=0,
            num_devices=1,
            overrides=fields,
            **changes,
        )


class _Done(Exception):
    """Ends a run when all has been timed."""


class _Clock(keras.callbacks.Callback):
    """Notes when steps begin and end."""

    def __init__(self, steps: int):
        super().__init__()
        self._last = WARM_UP_STEPS + steps
        self.begins, self.ends = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.begins.append(time.perf_counter())
        if len(self.ends) == self._last:
            raise _Done

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    def seconds_a_step(self) -> float:
        ends = self.ends[WARM_UP_STEPS - 1 :]
        return (ends[-1] - ends[0]) / (len(ends) - 1)

    def pauses(self) -> np.ndarray:
        """Seconds between the end of each step and the beginning of the next."""
        return np.array(self.begins[1:]) - np.array(self.ends[: len(self.begins) - 1])


def measure(names, variant: str, batch_size: int, steps: int, repeats: int) -> dict:
    """Returns name of a measure → its figures, and with what they were found."""
    setting = Setting(variant, batch_size, steps)
    found = {
        "variant": variant,
        "batch_size": batch_size,
        "steps": steps,
        "repeats": repeats,
        "cores": len(os.sched_getaffinity(0)),
        **results.provenance(),
    }
    return found | {name: MEASURES[name](setting, repeats) for name in names}


def _trained(setting: Setting, **changes) -> _Clock:
    """The clock of a run of the loop on images in memory, with its pipeline."""
    clock = _Clock(setting.steps)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_Done):
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
    every = max(1, setting.steps // 3)
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


def _workers(setting: Setting, repeats: int) -> dict:
    """One process on one core; two at the same time that know nothing of each other; two workers
    of one run. Every process has as many images in a step."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise ka.UserError("Two workers with a core each need two cores. Received: one.")
    rates = {"one": [], "two apart": [], "two workers": []}
    for _ in range(repeats):
        rates["one"].append(_rate(setting, cores[:1], together=False))
        rates["two apart"].append(_rate(setting, cores[:2], together=False))
        rates["two workers"].append(_rate(setting, cores[:2], together=True))
        logging.info("images per second: %s", {name: values[-1] for name, values in rates.items()})
    one, apart, workers = (np.array(values) for values in rates.values())
    efficiency, hardware = np.median(workers / (2 * one)), np.median(apart / (2 * one))
    return {
        "images_per_second": rates,
        "efficiency": float(efficiency),
        "efficiency_of_two_apart": float(hardware),
        "in_words": f"Two workers with a core each: {100 * efficiency:.1f} % of twice one process "
        f"(goal: at least 85); two processes that share nothing: {100 * hardware:.1f} %",
    }


def _rate(setting: Setting, cores: list[int], together: bool) -> float:
    """Images per second of one process on each core, all together."""
    with tempfile.TemporaryDirectory() as folder:
        addresses = _free_addresses(len(cores)) if together else []
        processes = [
            _start_worker(setting, index, core, folder, addresses)
            for index, core in enumerate(cores)
        ]
        try:
            outputs = [process.communicate(timeout=_WORKER_SECONDS)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
    if any(process.returncode for process in processes):
        raise ka.UserError(f"A worker failed: {outputs}")
    return sum(setting.batch_size / float(output.split()[-1]) for output in outputs)


def _start_worker(setting, index: int, core: int, folder, addresses) -> subprocess.Popen:
    """Starts a process on a core: a run of its own, or a worker of the one at `addresses`."""
    given = {
        "setting": dataclasses.asdict(setting),
        "workdir": os.path.join(folder, "run" if addresses else f"run-{index}"),
        "global_batch_size": setting.batch_size * max(1, len(addresses)),
    }
    task = {"type": "worker", "index": index}
    cluster = {"cluster": {"worker": addresses}, "task": task} if addresses else {}
    return subprocess.Popen(
        [sys.executable, sys.argv[0], f"--worker={json.dumps(given)}"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        text=True,
        # Before the process has a thread, so that all of them keep to the core.
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )


def _free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def run_worker(text: str) -> None:
    """Trains as one of the processes of `_workers`, and prints the seconds a step."""
    given = json.loads(text)
    setting = Setting(**given["setting"])
    tf.config.threading.set_intra_op_parallelism_threads(1)
    clock = _Clock(setting.steps)
    overrides = {"global_batch_size": given["global_batch_size"]}
    with contextlib.suppress(_Done):
        ka.train(setting.config(given["workdir"], overrides=overrides), callbacks=[clock])
    print(clock.seconds_a_step(), flush=True)


MEASURES = {
    "mirrored": _mirrored,
    "loop": _loop,
    "checkpoints": _checkpoints,
    "workers": _workers,
}
