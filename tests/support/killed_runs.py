"""Training in processes that kill themselves with SIGKILL at given places.

    python killed_runs.py '{"config": {...}, "places": ["step 7", "write 9", null]}'

The first process starts the run of `config`, and every other one resumes it. All are forked from
this process, which imports TensorFlow once, never uses it, and prints their exit codes as JSON.

Places: "step 7", after step 7; "epoch 2", after epoch 2 has been saved; "write 8", in the middle of
writing the checkpoint of step 8; "metrics 2", when metrics.csv has two rows and their checkpoint
does not exist; "validating 1" and "testing 1", in the first validation or test of the process.
"""

import contextlib
import json
import os
import signal
import sys

import keras_alexnet as ka
from keras_alexnet.evaluation import evaluator
from keras_alexnet.utils import files
from support.callbacks import at_epoch, at_step
from support.networks import registered
from support.small_networks import small_row


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def _replace_atomic_write(before_rename=lambda path, temporary: None, after=lambda path: None):
    """Makes every atomic write call these two functions as well."""
    whole = files.atomic_write

    @contextlib.contextmanager
    def atomic_write(path):
        with whole(path) as temporary:
            yield temporary
            before_rename(path, temporary)
        after(path)

    files.atomic_write = atomic_write


def _die_in_write(step):
    def half(path, temporary):
        if path.name == f"step-{step:09d}.npz":
            os.truncate(temporary, temporary.stat().st_size // 2)
            _die()

    _replace_atomic_write(before_rename=half)


def _die_after_metrics(epoch):
    def die(path):
        if path.name == "metrics.csv" and len(path.read_text().splitlines()) == 1 + epoch:
            _die()

    _replace_atomic_write(after=die)


def _die_in_evaluation(what, number):
    begun = []

    class Progress(evaluator.Progress):
        def __init__(self, total, description):
            super().__init__(total, description)
            begun.append(description)

        def advance(self, images, **figures):
            if begun[-1] == what and begun.count(what) == number:
                _die()

    evaluator.Progress = Progress


def _train(config, place):
    what, _, number = (place or "none 0").partition(" ")
    callbacks = []
    if what == "step":
        callbacks = [at_step(int(number), _die)]
    elif what == "epoch":
        callbacks = [at_epoch(int(number), _die)]
    elif what == "write":
        _die_in_write(int(number))
    elif what == "metrics":
        _die_after_metrics(int(number))
    elif what in ("validating", "testing"):
        _die_in_evaluation(what, int(number))
    with registered(small_row()):
        ka.train(config, callbacks)


def main():
    job = json.loads(sys.argv[1])
    config = ka.TrainConfig(**job["config"])
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
