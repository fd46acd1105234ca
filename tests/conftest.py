"""Two logical CPU devices for every test, so that several replicas can be tried without GPUs."""

import os
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

import numpy as np
import pytest
from cifar_copies import TEST, TRAIN
from small_networks import small_row

from keras_alexnet import TrainConfig, cifar_archives, variants


def write_images(folder, classes, images_per_class, size=32, seed=0):
    """Writes PNGs below folder/<class>/, each class of another colour, with noise."""
    generator = np.random.default_rng(seed)
    colours = generator.integers(40, 216, (len(classes), 3))
    for name, colour in zip(classes, colours, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(images_per_class):
            noise = generator.normal(0, 30, (size, size, 3))
            pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
            (folder / name / f"{number:03d}.png").write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """An image folder: three classes, 72 training and 24 test images of 32 x 32."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    classes = ["cat", "dog", "owl"]
    write_images(folder / "train", classes, 24, seed=1)
    write_images(folder / "test", classes, 8, seed=1)
    return folder


@pytest.fixture(scope="module")
def small_variant():
    """The name of a network with all that cifar_v1 has, dropout included, and few weights."""
    row = small_row()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(variants._TABLE, row.name, row)
        yield row.name


@pytest.fixture
def config(tiny_folder, small_variant, tmp_path):
    """Two epochs of the small network on three classes, in a folder of its own."""
    return TrainConfig(
        variant=small_variant,
        dataset="image_folder",
        data_dir=str(tiny_folder),
        workdir=str(tmp_path / "run"),
        num_devices=1,
        overrides={"epochs": 2, "global_batch_size": 16},
    )


@pytest.fixture
def isolated(tmp_path, monkeypatch):
    """A home of its own, small archives, and no network."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(cifar_archives, "IMAGES", (TRAIN, TEST))

    def no_network(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    return home
