"""Two logical CPU devices for every test, so that several replicas can be tried without GPUs."""

import contextlib
import functools
import gc
import os
import pathlib
import socket

import pytest

import keras_alexnet as ka
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
    gc.disable()  # a sixth of the time of imports
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_collection_finish():
    """Keeps the collector of garbage away from all that was imported, which stays to the end."""
    gc.enable()
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
    return functools.partial(_config, tiny_folder, small_variant)


def _config(data_dir, variant, workdir, /, *, overrides=None, **settings):
    given = {
        "variant": variant,
        "dataset": "image_folder",
        "data_dir": str(data_dir),
        "workdir": str(workdir),
        "num_devices": 1,
        "overrides": {"epochs": 2, "global_batch_size": 16, **(overrides or {})},
    }
    return ka.TrainConfig(**{**given, **settings})


@pytest.fixture(scope="session")
def whole_run(tiny_folder, tmp_path_factory):
    """The folder of a run of `config` that was never stopped, to be read or copied."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    spec = small_row()
    with registered(spec), _figures_unsaved():
        ka.train(_config(tiny_folder, spec.name, workdir, checkpoint_every_steps=2))
    return workdir


@pytest.fixture(scope="session")
def animals_run(tiny_folder, tmp_path_factory):
    """The folder of a run of three steps of cifar_v2 on three classes, to be read or copied."""
    workdir = tmp_path_factory.mktemp("runs") / "run"
    settings = {"dataset_name": "animals", "max_steps": 3}
    with _figures_unsaved():
        ka.train(_config(tiny_folder, "cifar_v2", workdir, overrides={"epochs": 1}, **settings))
    return workdir


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


@pytest.fixture
def unsaved_figures():
    """Empty files stand for pictures: to lay one out and save it takes longer than training.

    The figures themselves are drawn as ever.
    """
    with _figures_unsaved():
        yield


@contextlib.contextmanager
def _figures_unsaved():
    from keras_alexnet.figures import drawing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "save", lambda figure, path: pathlib.Path(path).touch())
        yield
