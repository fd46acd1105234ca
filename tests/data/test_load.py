"""Which data set a name stands for, and what happens when it cannot be had."""

import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from keras_alexnet import DataSpec
from keras_alexnet.data import readers
from keras_alexnet.data.dataset import Arrays, in_memory
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.readers import Published, Reader, list_datasets, tfds
from keras_alexnet.errors import UsageError, UserError
from support.cifar_copies import check_content, official_files, put, version_of

pytestmark = pytest.mark.usefixtures("isolated")


def test_copies_of_keras_are_found(isolated):
    version, files = version_of("cifar10", "python"), official_files("cifar10", "python")
    folder = isolated / ".keras" / "datasets" / "cifar-10-batches-py-target" / version.folder
    put(folder, files)
    check_content(load_dataset("cifar10"), "cifar10")
    check_content(load_dataset(), "cifar10")


def test_a_damaged_copy_does_not_hide_a_whole_one(isolated):
    files = official_files("cifar10", "binary")
    put(isolated / ".keras" / "datasets" / "cifar-10-batches-bin", files)
    del files["test_batch.bin"]
    put(isolated / "tensorflow_datasets" / "cifar-10-batches-bin", files)
    check_content(load_dataset("cifar10"), "cifar10")


def test_a_damaged_copy_alone_is_an_error(isolated):
    files = official_files("cifar10", "binary")
    del files["test_batch.bin"]
    put(isolated / "tensorflow_datasets" / "cifar-10-batches-bin", files)
    with pytest.raises(UserError, match="incomplete: test_batch.bin missing"):
        load_dataset("cifar10")


def test_no_cifar10_means_shapes_with_one_warning(caplog):
    load_dataset("shapes")  # drawn now
    start = time.monotonic()
    data = load_dataset()
    assert time.monotonic() - start < 10
    assert data.name == "shapes" and len(data.train) == 10_000
    assert "no copy of cifar10 was found" in data.note
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    for part in ("No --dataset", "shapes", "cifar-10-python.tar.gz", "--data_dir"):
        assert part in warning.getMessage()


def test_a_silent_host_costs_seconds_only(monkeypatch):
    """A name server that never answers knows no socket timeout."""
    over = threading.Event()

    def silent(*arguments, **options):
        over.wait(30)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    start = time.monotonic()
    assert not tfds.reachable("http://example.org/x", seconds=0.5)
    assert time.monotonic() - start < 2
    over.set()


@pytest.mark.parametrize("answer, expected", [(b"200 OK", True), (b"404 Not Found", False)])
def test_a_host_that_answers(monkeypatch, answer, expected):
    monkeypatch.undo()  # this one does connect, to itself
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.0 " + answer + b"\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        assert tfds.reachable(address) == expected


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist", "imagenet2012"])
def test_a_named_data_set_that_cannot_be_had(name, tmp_path):
    with pytest.raises(UserError, match=r"Get it from https?://.* and pass --data_dir"):
        load_dataset(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is not in .*empty.*https?://.* and pass --data_dir"):
        load_dataset(DataSpec(name, data_dir=tmp_path / "empty"))


def test_a_data_dir_without_cifar10_is_an_error_even_without_a_name(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="CIFAR-10 is not in .*empty"):
        load_dataset(DataSpec(data_dir=tmp_path / "empty"))


def test_downloaded_through_tensorflow_datasets(isolated, monkeypatch):
    """The real builder of tensorflow-datasets, given the archive instead of the network."""
    import tensorflow_datasets

    folder = isolated / "extracted" / "cifar-10-batches-bin"
    put(folder, official_files("cifar10", "binary"))
    manager = tensorflow_datasets.download.DownloadManager
    monkeypatch.setattr(manager, "download_and_extract", lambda self, url: str(folder.parent))
    monkeypatch.setattr(tfds, "reachable", lambda address: True)
    data = load_dataset()
    assert data.name == "cifar10" and data.note is None
    copy = load_dataset(DataSpec("cifar10", data_dir=folder))
    assert data.sha256 == copy.sha256
    monkeypatch.setattr(tfds, "reachable", None)
    assert load_dataset("cifar10").sha256 == copy.sha256  # prepared now


def test_a_download_that_fails(monkeypatch, caplog):
    import tensorflow_datasets

    def fails(self, url):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(tensorflow_datasets.download.DownloadManager, "download_and_extract", fails)
    monkeypatch.setattr(tfds, "reachable", lambda address: True)
    with pytest.raises(UserError, match="Downloading cifar10 failed: reset by peer"):
        load_dataset("cifar10")
    assert load_dataset().name == "shapes"
    assert "reset by peer" in caplog.text


def test_names():
    assert list_datasets() == [
        "cifar10",
        "cifar100",
        "fashion_mnist",
        "imagenet2012",
        "image_folder",
        "tfrecord",
        "shapes",
    ]
    with pytest.raises(UsageError, match="Did you mean 'cifar10'"):
        load_dataset("cifr10")
    with pytest.raises(UserError, match="/nowhere does not exist"):
        load_dataset(DataSpec("cifar10", data_dir="/nowhere"))
    with pytest.raises(UsageError, match="generated, not read"):
        load_dataset(DataSpec("shapes", data_dir="/"))
    assert load_dataset(DataSpec("shapes", dataset_name="drawings")).name == "drawings"


def night(place):
    images, labels = np.zeros([8, 32, 32, 3], np.uint8), np.arange(8) % 2
    return Arrays(("black", "dark"), images, labels, images[:2], labels[:2])


def night_if_there(place):
    return night(place) if (place / "sky").exists() else None


@pytest.fixture
def register():
    yield lambda **fields: readers.register(Reader(dataset="night", **fields))
    readers.unregister("night")


def test_a_new_reader_is_known_by_its_name(register):
    with pytest.raises(UsageError, match="Unknown dataset 'night'"):
        load_dataset("night")
    register(read=night)
    assert list_datasets()[-2:] == ["night", "shapes"]
    data = load_dataset("night")
    assert (data.name, data.class_names, len(data.test)) == ("night", ("black", "dark"), 2)
    assert load_dataset(DataSpec("night", dataset_name="mine")).name == "mine"


def test_a_new_reader_of_files(register, tmp_path):
    register(read=night_if_there, data_dir="a folder with sky")
    with pytest.raises(UsageError, match="night needs a folder with sky. Received: no data_dir"):
        load_dataset("night")
    with pytest.raises(UserError, match="is not a folder with sky"):
        load_dataset(DataSpec("night", data_dir=tmp_path))
    (tmp_path / "sky").touch()
    assert len(load_dataset(DataSpec("night", data_dir=tmp_path)).train) == 8


def test_a_new_published_set_is_looked_for_where_the_others_are(register, isolated):
    source = Published(title="Night", address="http://example.org/night", copies="the file sky")
    register(read=night_if_there, data_dir="a folder with sky", published=source)
    assert list_datasets()[4] == "night"
    with pytest.raises(UserError, match="Night is not in .*Get it from http://example.org/night"):
        load_dataset("night")
    (isolated / "tensorflow_datasets").mkdir()
    (isolated / "tensorflow_datasets" / "sky").touch()
    assert load_dataset("night").name == "night"


def test_a_name_is_given_once():
    with pytest.raises(UsageError, match="named 'shapes' already exists"):
        readers.register(Reader(dataset="shapes", read=night))


@pytest.mark.parametrize("images, labels", [((4, 8, 8, 1), 4), ((4, 8, 8, 3), 3), ((4, 3), 4)])
def test_arrays_that_do_not_go_together(images, labels):
    arrays = Arrays(("a",), np.zeros(images, np.uint8), np.zeros(labels), *night(None)[3:])
    with pytest.raises(UserError, match="mine must have images .*Received"):
        in_memory("mine", arrays)


def test_names_of_data_sets_cost_little():
    """They are in --help, which must answer before TensorFlow could."""
    code = "import sys, keras_alexnet.data.config; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "numpy", "PIL", "tensorflow_datasets", "absl"}
    assert heavy.isdisjoint(done.stdout.split())
