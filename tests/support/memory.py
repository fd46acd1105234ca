"""Measurement of the memory that reading a data set takes, as a program.

python tests/support/memory.py image_folder FOLDER cifar_v1 1
"""

import json
import pathlib
import sys
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

import numpy as np

import keras_alexnet as ka
from keras_alexnet import DataSpec
from keras_alexnet.data import images
from keras_alexnet.data.splits import Split


def bytes_now(field: str) -> int:
    """VmRSS, or VmHWM, which is the maximum since the last reset."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{field}:")[1].split()[0])


def peak_of(action: Callable[[], object]) -> int:
    """The bytes that this process needs at most for an action, beyond those that it has."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = bytes_now("VmRSS")
    action()
    return bytes_now("VmHWM") - before


def batches(split: Split, variant: str):
    return ka.train_batches(split, variant, global_batch_size=32, seed=0)


def main(dataset: str, data_dir: str, variant: str, count: str) -> None:
    # The process without data: TensorFlow has run a pipeline, and no images are loaded.
    few = Split.of(images.ImageArray(np.zeros((64, 32, 32, 3), np.uint8)), np.zeros(64))
    next(iter(batches(few, variant)))
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = bytes_now("VmRSS")
    train = ka.load_dataset(DataSpec(dataset, data_dir=data_dir)).train
    listed = bytes_now("VmHWM")
    for _, labels in batches(train, variant).take(int(count)):
        assert len(set(labels.numpy())) > 1, "not shuffled"
    figures = {
        "images": len(train),
        "listed": listed - before,
        "batches": bytes_now("VmHWM") - before,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
