"""Every published form of CIFAR is read, and incomplete or damaged copies are refused."""

import gzip
import pathlib
import pickle
import tarfile

import pytest

from keras_alexnet import DataSpec
from keras_alexnet.data import fingerprints
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.readers import cifar
from keras_alexnet.errors import UserError
from support.cifar_copies import (
    TEST,
    TRAIN,
    check_content,
    content,
    official_files,
    packed,
    put,
    python2_pickle,
    version_of,
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(cifar, "IMAGES", (TRAIN, TEST))


@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("place", ["beside", "itself", "unpacked beside", "unpacked itself"])
def test_official_cifar(tmp_path, name, form, place):
    version, files = version_of(name, form), official_files(name, form)
    if place == "beside":
        data_dir = packed(tmp_path / "data" / version.archive, version.folder, files).parent
    elif place == "itself":
        data_dir = packed(tmp_path / "any-name.tgz", version.folder, files)
    else:
        data_dir = put(tmp_path / "data" / version.folder, files)
        data_dir = data_dir.parent if place == "unpacked beside" else data_dir
    check_content(load_dataset(DataSpec(name, data_dir=data_dir)), name)


def test_fingerprint_is_the_same_for_every_form(tmp_path):
    data = [
        load_dataset(
            DataSpec("cifar10", data_dir=put(tmp_path / form, official_files("cifar10", form)))
        )
        for form in ("python", "binary")
    ]
    assert data[0].sha256 == data[1].sha256
    pixels, labels = data[0].train.pixels.images, data[0].train.labels
    fingerprint = fingerprints.of_arrays((pixels, labels))
    assert fingerprint == fingerprints.of_arrays((pixels[::-1], labels[::-1]))
    assert fingerprint != fingerprints.of_arrays((pixels, labels[::-1]))


@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize("missing", ["test batch", "training batch", "class names", "half a batch"])
def test_half_unpacked_cifar(tmp_path, form, missing):
    version, files = version_of("cifar10", form), official_files("cifar10", form)
    file = {
        "test batch": version.test[0],
        "training batch": version.train[2],
        "class names": version.class_names,
        "half a batch": version.train[2],
    }[missing]
    contents = files.pop(file)
    expected = f"is incomplete: {file} missing"
    if missing == "half a batch":
        files[file] = contents[: len(contents) // 2]
        expected = "is damaged"
    with pytest.raises(UserError, match=f"{expected}.*Unpack {version.archive} again"):
        load_dataset(DataSpec("cifar10", data_dir=put(tmp_path / "data", files)))


def test_a_batch_too_few(tmp_path):
    files = official_files("cifar10", "binary")
    files["data_batch_2.bin"] = files["data_batch_2.bin"][: 3073 * 4]
    with pytest.raises(UserError, match="50 images expected .*, 44 found"):
        load_dataset(DataSpec("cifar10", data_dir=put(tmp_path / "data", files)))


def test_a_whole_copy_beside_a_half_one(tmp_path):
    version, files = version_of("cifar10", "binary"), official_files("cifar10", "binary")
    packed(tmp_path / "data" / version.archive, version.folder, files)
    del files["test_batch.bin"]
    put(tmp_path / "data" / version.folder, files)
    check_content(load_dataset(DataSpec("cifar10", data_dir=tmp_path / "data")), "cifar10")


@pytest.mark.parametrize("kept", [0, 0.5])
def test_cut_off_cifar_archive(tmp_path, kept):
    version, files = version_of("cifar10", "python"), official_files("cifar10", "python")
    archive = packed(tmp_path / "data" / version.archive, version.folder, files)
    contents = archive.read_bytes()
    archive.write_bytes(contents[: int(len(contents) * kept)])
    with pytest.raises(UserError, match="cifar-10-python.tar.gz is cut off, damaged"):
        load_dataset(DataSpec("cifar10", data_dir=archive.parent))


@pytest.mark.parametrize("name", ["data_batch_1", "readme"])
def test_sizes_that_an_archive_claims(tmp_path, name):
    member = tarfile.TarInfo(name)
    member.size = 2**60
    with gzip.open(tmp_path / "cifar-10-python.tar.gz", "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(UserError, match="cannot have|more than .* bytes, if the sizes in it"):
        load_dataset(DataSpec("cifar10", data_dir=tmp_path))


def test_a_file_of_which_nothing_is_stored(tmp_path):
    put(tmp_path, official_files("cifar10", "python"))
    with open(tmp_path / "data_batch_1", "r+b") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="data_batch_1 cannot have 1099511627776 bytes"):
        load_dataset(DataSpec("cifar10", data_dir=tmp_path))


@pytest.mark.parametrize("form", ["python", "binary"])
def test_labels_out_of_range(tmp_path, form):
    train_images, train_labels, *_ = content("cifar10")
    files = official_files("cifar10", form)
    if form == "python":
        batch = {b"data": train_images[:10].reshape(10, -1), b"labels": [3] * 9 + [10]}
        files["data_batch_1"] = python2_pickle(batch)
    else:
        files["data_batch_1.bin"] = b"\x0a" + files["data_batch_1.bin"][1:]
    with pytest.raises(UserError, match="10 classes, so its labels must be from 0 to 9.* to 10"):
        load_dataset(DataSpec("cifar10", data_dir=put(tmp_path / "data", files)))


def test_a_pickle_cannot_run_anything(tmp_path):
    class Evil:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "touched",)

    files = official_files("cifar10", "python")
    files["data_batch_3"] = pickle.dumps({b"data": Evil(), b"labels": []}, protocol=2)
    with pytest.raises(UserError, match="calls __builtin__.getattr, which does not belong"):
        load_dataset(DataSpec("cifar10", data_dir=put(tmp_path / "data", files)))
    assert not (tmp_path / "touched").exists()
