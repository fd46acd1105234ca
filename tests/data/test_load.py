"""Which data set a name stands for, and what happens when it cannot be had."""

import socket
import threading
import time

import pytest

from keras_alexnet import DataSpec
from keras_alexnet.data.load import list_datasets, load_dataset
from keras_alexnet.data.readers import tfds
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
    start = time.monotonic()
    data = load_dataset()
    assert time.monotonic() - start < 10
    assert data.name == "shapes" and len(data.train) == 10_000
    assert "CIFAR-10 could not be had" in data.note
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
    import tensorflow_datasets as tfds

    folder = isolated / "extracted" / "cifar-10-batches-bin"
    put(folder, official_files("cifar10", "binary"))
    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download_and_extract", lambda self, url: str(folder.parent))
    monkeypatch.setattr(tfds, "reachable", lambda address: True)
    data = load_dataset()
    assert data.name == "cifar10" and data.note is None
    copy = load_dataset(DataSpec("cifar10", data_dir=folder))
    assert data.sha256 == copy.sha256
    monkeypatch.setattr(tfds, "reachable", None)
    assert load_dataset("cifar10").sha256 == copy.sha256  # prepared now


def test_a_download_that_fails(monkeypatch, caplog):
    import tensorflow_datasets as tfds

    def fails(self, url):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fails)
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
    with pytest.raises(UsageError, match="drawn, not read"):
        load_dataset(DataSpec("shapes", data_dir="/"))
    assert load_dataset(DataSpec("shapes", dataset_name="drawings")).name == "drawings"
