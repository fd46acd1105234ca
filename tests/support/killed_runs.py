"""Runs trainings in processes that kill themselves, by SIGKILL, at places that are told.

    python killed_runs.py '{"config": {...}, "places": ["step 7", "write 9", null]}'

The first process starts the run of `config`, every other one resumes it. Printed are their exit
codes as JSON. All are forked from this one, which imports TensorFlow once and never uses it.
"""

import io
import json
import os
import signal
import sys

import keras
import numpy as np

import keras_alexnet as ka
from keras_alexnet.evaluation import evaluator
from keras_alexnet.networks import variants
from keras_alexnet.training import checkpoints, state
from support.small_networks import small_row


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


class _At(keras.callbacks.Callback):
    """Kills after a step, or after all that comes at an epoch's end."""

    def __init__(self, step=None, epoch=None):
        super().__init__()
        self._step, self._epoch = step, epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == self._step:
            _die()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self._epoch:
            _die()


def _in_write(step):
    """Kills when half of the arrays of a step's checkpoint are written."""

    class HalfSaving:
        def savez(self, file, **arrays):
            whole = io.BytesIO()
            np.savez(whole, **arrays)
            half = step == arrays_step(arrays)
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2 if half else None])
            file.flush()
            if half:
                _die()

        def __getattr__(self, name):
            return getattr(np, name)

    def arrays_step(arrays):
        [iterations] = [v for name, v in arrays.items() if name.endswith("-iteration")]
        return int(iterations)

    checkpoints.np = HalfSaving()


def _in_evaluation(what):
    class Progress(evaluator.Progress):
        def advance(self, images, **figures):
            if self._description == what and _in_evaluation.after <= 0:
                _die()
            _in_evaluation.after -= self._description == what

    evaluator.Progress = Progress


def _after_metrics(epoch):
    """Kills when an epoch's row stands in metrics.csv and its checkpoint does not exist."""
    write = state.History._write

    def write_and_die(self):
        write(self)
        if len(self.rows) == epoch:
            _die()

    state.History._write = write_and_die


def _train(config, place):
    what, _, number = (place or "none 0").partition(" ")
    callbacks = []
    if what in ("step", "epoch"):
        callbacks = [_At(**{what: int(number)})]
    elif what == "write":
        _in_write(int(number))
    elif what == "metrics":
        _after_metrics(int(number))
    elif what in ("validating", "testing"):
        _in_evaluation.after = int(number) - 1
        _in_evaluation(what)
    ka.train(config, callbacks)


def main():
    job = json.loads(sys.argv[1])
    config = ka.TrainConfig(**job["config"])
    row = small_row()
    variants.register(row)
    codes = []
    for place in job["places"]:
        child = os.fork()
        if not child:
            try:
                _train(config, place)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        config = ka.TrainConfig(workdir=config.workdir, resume=True)
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
