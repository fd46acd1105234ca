"""Fashion-MNIST's four files are read, and incomplete or damaged ones are refused."""

import gzip

import numpy as np
import pytest

from keras_alexnet import DataSpec
from keras_alexnet.data import pipeline
from keras_alexnet.data.load import load_dataset
from keras_alexnet.errors import UserError
from support.cifar_copies import put

TRAIN, TEST = 50, 10


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def fashion_files() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    files = {}
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        images, labels = random.integers(0, 256, (count, 28, 28)), random.integers(0, 10, count)
        files[f"{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images))
        files[f"{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(labels))
    return files


@pytest.mark.parametrize("place", ["data", "data/fashion-mnist"])
@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_mnist(tmp_path, place, zipped):
    files = fashion_files()
    if not zipped:
        files = {name.removesuffix(".gz"): gzip.decompress(c) for name, c in files.items()}
    put(tmp_path / place, files)
    data = load_dataset(DataSpec("fashion_mnist", data_dir=tmp_path / "data"))
    gray = np.random.default_rng(0).integers(0, 256, (TRAIN, 28, 28))
    assert data.train.pixels.images.shape == (TRAIN, 28, 28, 3)
    assert all(np.array_equal(data.train.pixels.images[..., c], gray) for c in range(3))
    assert len(data.test) == TEST and data.class_names[9] == "Ankle boot"


def test_at_the_size_of_the_network(tmp_path):
    data = load_dataset(DataSpec("fashion_mnist", data_dir=put(tmp_path, fashion_files())))
    batches = pipeline.train_batches(data.train, "cifar_v1", global_batch_size=8, seed=0)
    assert next(iter(batches))[0].shape == (8, 32, 32, 3)


def test_damaged_fashion_mnist(tmp_path):
    files = fashion_files()
    name = "t10k-images-idx3-ubyte.gz"
    put(tmp_path / "cut", files | {name: files[name][:-500]})
    put(tmp_path / "other", files | {name: gzip.compress(b"<html></html>")})
    del files[name]
    put(tmp_path / "missing", files)
    for folder, expected in (("cut", "damaged"), ("other", "damaged"), ("missing", "incomplete")):
        with pytest.raises(UserError, match=f"{expected}.*t10k-images|t10k-images.*{expected}"):
            load_dataset(DataSpec("fashion_mnist", data_dir=tmp_path / folder))
