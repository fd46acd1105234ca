"""Memory of long runs: flat over epochs and over resumptions, in processes of their own."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
ALLOWED = 1.02

_COMMON = """
import gc, json, os, pathlib, signal, sys
import keras
import keras_alexnet as ka
from keras_alexnet.networks import variants
from support.small_networks import small_row

def resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

variants.register(small_row())
workdir = sys.argv[1]
config = ka.TrainConfig(variant="cifar_small", dataset="shapes", workdir=workdir, num_devices=1,
    checkpoint_every_steps=20, overrides={"epochs": 20, "global_batch_size": 256})
megabytes = []
"""

_EPOCHS = """
class Look(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        megabytes.append(resident())

ka.train(config, callbacks=[Look()])
print(json.dumps(megabytes))
"""

_RESUMPTIONS = """
class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch % 5 == 4:
            signal.raise_signal(signal.SIGTERM)

for number in range(14):
    try:
        ka.train(config, callbacks=[Stop()])
        raise RuntimeError("the run ended before it had been resumed often enough")
    except ka.Interrupted:
        pass
    config = ka.TrainConfig(workdir=workdir, resume=True)
    gc.collect()
    megabytes.append(resident())
print(json.dumps(megabytes))
"""


def _megabytes(program, tmp_path):
    paths = [str(SUPPORT.parents[1]), str(SUPPORT.parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", _COMMON + program, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_memory_stays_flat_over_twenty_epochs(tmp_path):
    found = _megabytes(_EPOCHS, tmp_path)
    # The first epochs fill the buffers and the allocator's pools.
    assert len(found) == 20 and max(found[4:]) <= ALLOWED * found[3], found


@pytest.mark.slow
def test_memory_stays_flat_over_ten_resumptions(tmp_path):
    found = _megabytes(_RESUMPTIONS, tmp_path)
    # What TensorFlow sets up once, it sets up in the first few.
    assert len(found) == 14 and max(found[4:]) <= ALLOWED * found[3], found
