"""One worker of a run, as a launcher starts it: `one_worker.py config.json [options]`.

Options, for the tests: `kill_at` ends the process with SIGKILL after a step of the run, `freeze_at`
freezes it with SIGSTOP, `end_at` ends it with SIGTERM; `lose` lists files to delete after the first
epoch; `streamed` keeps no decoded images; `weights` is a file for the final weights of this worker,
and `batches` is one for the fingerprints of the images that it trains on; `folder` is its working
directory; `stop` ends training after the first epoch.
"""

import hashlib
import json
import os
import signal
import sys

import numpy as np
import tensorflow as tf
from absl import logging

import keras_alexnet as ka
from keras_alexnet.data import memory_budget, pipeline
from support.callbacks import at_end, at_epoch, at_step
from support.networks import registered
from support.small_networks import small_row

# Names, because Windows has no SIGSTOP.
_SIGNALS = {"kill_at": "SIGKILL", "freeze_at": "SIGSTOP", "end_at": "SIGTERM"}


def _callbacks(given) -> list:
    found = []
    for option, name in _SIGNALS.items():
        if option in given:
            number = getattr(signal, name)
            found.append(at_step(given[option], lambda _, n=number: os.kill(os.getpid(), n)))
    if given.get("stop"):
        found.append(at_epoch(1, lambda model: setattr(model, "stop_training", True)))
    if "lose" in given:
        found.append(at_epoch(1, lambda _: [os.unlink(path) for path in given["lose"]]))
    if "weights" in given:
        found.append(at_end(lambda model: _write_weights(given["weights"], model)))
    return found


def _write_weights(path, model) -> None:
    np.savez(path, **{f"{i:03d}": v.numpy() for i, v in enumerate(model.weights)})


def note_batches(path) -> None:
    """Writes a line for each image of a training pipeline: step, label, SHA-256."""
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
    if given.get("streamed"):
        memory_budget.BYTES = 0
    if "batches" in given:
        note_batches(given["batches"])
    try:
        with registered(small_row()):
            found = ka.train(ka.TrainConfig(**given["config"]), _callbacks(given))
    except ka.Interrupted as error:
        print(error, flush=True)
        # As the command does: a thread of TensorFlow may still make a batch, and Python's own end
        # would abort it.
        os._exit(error.exit_code)
    except ka.UserError as error:
        sys.exit(f"message: {error}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
