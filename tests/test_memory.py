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
from keras_alexnet import images

MANY, CLASSES = 100_000, 10
LIMIT_BYTES = 200e6


def grown(dataset: str, folder) -> dict[str, int]:
    script = pathlib.Path(__file__).with_name("memory.py")
    done = subprocess.run(
        [sys.executable, script, dataset, folder],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="no /proc to measure by")
def test_a_hundred_thousand_images(tmp_path):
    folder = tmp_path / "many"
    for label in range(CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
        first = folder / f"class_{label}" / "ILSVRC2012_val_00000.png"
        first.write_bytes(tf.io.encode_png(np.full((1, 1, 3), label, np.uint8)).numpy())
        for number in range(1, MANY // CLASSES):
            os.link(first, first.with_name(f"ILSVRC2012_val_{number:05d}.png"))
    figures = grown("image_folder", folder)
    assert figures["images"] == MANY * 9 // 10
    print(figures)
    assert figures["shuffled"] < LIMIT_BYTES, figures
    ka.prepare(folder, tmp_path / "records", images_per_shard=MANY // 10)
    figures = grown("tfrecord", tmp_path / "records")
    assert figures["images"] == MANY * 9 // 10
    print(figures)
    assert figures["shuffled"] < LIMIT_BYTES, figures
