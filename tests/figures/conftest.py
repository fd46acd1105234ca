"""A network, its data, and the figures that are drawn of them."""

import pytest

import keras_alexnet as ka


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """Names an image folder with three classes."""
    return ka.DataSpec("image_folder", data_dir=str(tiny_folder))


@pytest.fixture(scope="session")
def data(tiny):
    return ka.load_dataset(tiny)


@pytest.fixture(scope="session")
def model():
    """A network that is neither sure of itself nor undecided."""
    model = ka.build("cifar_v2", num_classes=3, seed=0)
    kernel = model.get_layer("logits").kernel
    kernel.assign(kernel * 10)
    return model


@pytest.fixture
def image(tiny_folder):
    return tiny_folder / "test" / "dog" / "002.png"
