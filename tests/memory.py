"""Reads a data set of many images in this process, and prints how much memory that took.

    python tests/memory.py image_folder FOLDER
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import images


def bytes_now(field: str) -> int:
    """VmRSS, or VmHWM, the most since it was last reset."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{field}:")[1].split()[0])


def main(dataset: str, data_dir: str) -> None:
    images.MEMORY_BUDGET_BYTES = 0  # images of real size would not be kept either
    shapes = ka.load_dataset("shapes").train.subset(range(64))
    next(iter(ka.train_batches(shapes, "cifar_v1", global_batch_size=32, seed=0)))  # the bare process
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = bytes_now("VmRSS")
    train = ka.load_dataset(dataset, data_dir=data_dir).train
    listed = bytes_now("VmHWM")
    labels = next(iter(ka.train_batches(train, "cifar_v1", global_batch_size=32, seed=0)))[1]
    assert len(set(labels.numpy())) > 1, "not shuffled"
    figures = {
        "images": len(train),
        "listed": listed - before,
        "shuffled": bytes_now("VmHWM") - before,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
