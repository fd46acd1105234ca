"""Two logical CPU devices for every test, so that several replicas can be tried without GPUs."""

import gc
import os
import socket

import pytest

from keras_alexnet import TrainConfig
from support.networks import registered
from support.small_networks import small_row

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# No test downloads published weights by mistake: nothing answers there.
os.environ["KERAS_ALEXNET_WEIGHTS_URL"] = "http://127.0.0.1:9"
# The same numbers on every machine; support.machines makes up others.
os.environ["KERAS_ALEXNET_PRECISION"] = "float32"


def pytest_configure(config):
    """Imports TensorFlow as commands do, except in the process that only starts others."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_collection_finish():
    """Keeps the collector of garbage away from all that was imported, which stays to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """An image folder: three classes, 72 training and 24 test images of 32 x 32."""
    from support.image_folders import write_images

    folder = tmp_path_factory.mktemp("data") / "tiny"
    classes = ["cat", "dog", "owl"]
    write_images(folder / "train", classes, 24, seed=1)
    write_images(folder / "test", classes, 8, seed=1)
    return folder


@pytest.fixture(scope="module")
def small_variant():
    """The name of a network with all that cifar_v1 has, dropout included, and few weights."""
    spec = small_row()
    with registered(spec):
        yield spec.name


@pytest.fixture(scope="module")
def config_in(tiny_folder, small_variant):
    """(folder, settings) → two epochs of 5 steps of the small network on three classes."""

    def make(workdir, *, overrides=None, **settings):
        given = {
            "variant": small_variant,
            "dataset": "image_folder",
            "data_dir": str(tiny_folder),
            "workdir": str(workdir),
            "num_devices": 1,
            "overrides": {"epochs": 2, "global_batch_size": 16, **(overrides or {})},
        }
        return TrainConfig(**{**given, **settings})

    return make


@pytest.fixture
def config(config_in, tmp_path):
    """Two epochs of the small network on three classes, in its own folder."""
    return config_in(tmp_path / "run")


@pytest.fixture
def isolated(tmp_path, monkeypatch):
    """A home of its own, small archives, and no network."""
    from keras_alexnet.data.readers import cifar
    from support.cifar_copies import TEST, TRAIN

    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(cifar, "IMAGES", (TRAIN, TEST))

    def no_network(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    return home


@pytest.fixture
def drawn(monkeypatch):
    """The matplotlib figures that are saved during a test, which are written as well."""
    from keras_alexnet.figures import drawing

    figures, save = [], drawing.save

    def kept(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(drawing, "save", kept)
    return figures
