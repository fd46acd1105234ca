"""Memory that data sets take, each measured in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import PrepareConfig

MANY, CLASSES = 100_000, 10

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.path.exists("/proc/self/clear_refs"), reason="no /proc to measure by"
    ),
]


def grown(dataset: str, folder, variant: str, batches: int) -> dict[str, int]:
    script = pathlib.Path(__file__).with_name("memory.py")
    done = subprocess.run(
        [sys.executable, script, dataset, folder, variant, str(batches)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write_many(folder, images: int, size: int):
    """As many links to one image a class: a file system takes some ten thousand to one file."""
    for label in range(CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
        first = folder / f"class_{label}" / "ILSVRC2012_val_00000.png"
        pixels = np.full((size, size, 3), label, np.uint8)
        first.write_bytes(tf.io.encode_png(pixels).numpy())
        for number in range(1, images // CLASSES):
            os.link(first, first.with_name(f"ILSVRC2012_val_{number:05d}.png"))
    return folder


def test_a_hundred_thousand_images_are_listed_and_shuffled(tmp_path):
    folder = write_many(tmp_path / "many", MANY, size=1)
    ka.prepare(PrepareConfig(source=folder, out=tmp_path / "records"))
    for dataset, place in (("image_folder", folder), ("tfrecord", tmp_path / "records")):
        figures = grown(dataset, place, "cifar_v1", batches=1)
        assert figures["images"] == MANY * 9 // 10
        assert figures["batches"] < 200e6, (dataset, figures)


@pytest.mark.parametrize("dataset", ["image_folder", "tfrecord"])
def test_enlarged_images_are_never_held_together(tmp_path, dataset):
    place = folder = write_many(tmp_path / "small", 5000, size=32)
    if dataset == "tfrecord":
        place = tmp_path / "records"
        ka.prepare(PrepareConfig(source=folder, out=place))
    figures = grown(dataset, place, "cifar_resized", batches=150)
    side = ka.variants.get("cifar_resized").input_size
    enlarged = figures["images"] * 3 * side**2
    assert enlarged > 500e6
    assert figures["batches"] < enlarged / 4, figures
