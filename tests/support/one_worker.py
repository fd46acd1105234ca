"""One worker of a run, as a launcher starts it: `one_worker.py config.json [options]`.

Options, for the tests: `kill_at` ends the process with SIGKILL after so many steps, `freeze_at`
stops it with SIGSTOP, `end_at` asks it with SIGTERM to end, `lose` names files that vanish after
the first epoch, `streamed` keeps no decoded images, `weights` names a file that gets the weights
as this worker has them, `batches` one that gets the fingerprints of the images that it trains on;
`folder` is where it starts; `stop` ends training after the first epoch.
"""

import hashlib
import json
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf
from absl import logging

import keras_alexnet as ka
from keras_alexnet.data import images as data_images
from keras_alexnet.data import pipeline
from keras_alexnet.networks import variants
from support.small_networks import small_row

_SIGNALS = {"kill_at": signal.SIGKILL, "freeze_at": signal.SIGSTOP, "end_at": signal.SIGTERM}


class Signal(keras.callbacks.Callback):
    """Sends this process a signal after so many steps."""

    def __init__(self, steps_left, number):
        super().__init__()
        self.steps_left, self.number = steps_left, number

    def on_train_batch_end(self, batch, logs=None):
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), self.number)


class Stop(keras.callbacks.Callback):
    """Ends training after the first epoch, on this worker."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


class Lose(keras.callbacks.Callback):
    """Removes files after the first epoch."""

    def __init__(self, paths):
        super().__init__()
        self.paths = paths

    def on_epoch_end(self, epoch, logs=None):
        while self.paths:
            os.unlink(self.paths.pop())


class Weights(keras.callbacks.Callback):
    """Writes what this worker holds at the end of training."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_end(self, logs=None):
        values = {f"{i:03d}": v.numpy() for i, v in enumerate(self.model.weights)}
        np.savez(self.path, **values)


def note_batches(path) -> None:
    """Writes a line for each image that a pipeline for training hands out: step, label, SHA-256."""
    made = pipeline.train_batches

    def write(index, images, labels):
        with open(path, "a") as file:
            for image, label in zip(images, labels, strict=True):
                digest = hashlib.sha256(image.tobytes()).hexdigest()
                file.write(f"{index} {label} {digest}\n")
        return np.int64(0)

    def noted(*arguments, **options):
        def note(index, batch):
            done = tf.numpy_function(write, [index, *batch], tf.int64)
            with tf.control_dependencies([done]):
                return tuple(map(tf.identity, batch))

        batches = made(*arguments, **options)
        specs = batches.element_spec

        def shaped(index, batch):
            noted = note(index, batch)
            return tuple(
                tf.ensure_shape(x, spec.shape) for x, spec in zip(noted, specs, strict=True)
            )

        return batches.enumerate().map(shaped)

    pipeline.train_batches = noted


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    os.chdir(given.get("folder", "."))
    logging.set_verbosity(logging.INFO)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    row = small_row()
    variants.register(row)
    callbacks = []
    for name, number in _SIGNALS.items():
        if name in given:
            callbacks.append(Signal(given[name], number))
    if "lose" in given:
        callbacks.append(Lose(given["lose"]))
    if given.get("streamed"):
        data_images.MEMORY_BUDGET_BYTES = 0
    if given.get("stop"):
        callbacks.append(Stop())
    if "weights" in given:
        callbacks.append(Weights(given["weights"]))
    if "batches" in given:
        note_batches(given["batches"])
    try:
        found = ka.train(ka.TrainConfig(**given["config"]), callbacks=callbacks)
    except ka.Interrupted as error:
        print(error)
        sys.exit(error.exit_code)
    except ka.UserError as error:
        sys.exit(f"message: {error}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
