"""Whatever is in a file, its reader reads it or says what is wrong, and takes little memory."""

import gzip
import hashlib
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

import keras_alexnet as ka
from keras_alexnet import PrepareConfig
from keras_alexnet.data import archives, manifest
from keras_alexnet.data.readers import cifar, fashion_mnist, imagenet_tar, tfrecord
from keras_alexnet.data.records import index_records
from keras_alexnet.errors import UserError
from support.cifar_copies import official_files, packed, put, python2_pickle
from support.image_folders import write_images
from support.mutations import SEARCH, damaged, damaged_json, damaged_tar, read_or_refused

TRILLION = 10**12
HUNDRED_MILLION = 10**8  # which can be had, so that only the memory taken gives it away


def example_of(image: bytes, label: int) -> bytes:
    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def framed(record: bytes) -> bytes:
    return len(record).to_bytes(8, "little") + bytes(4) + record + bytes(4)


RECORDS = b"".join(framed(example_of(b"image %d" % i, i)) for i in range(3))


@SEARCH
@given(damaged(RECORDS))
@example(RECORDS)
@example(b"")
@example(TRILLION.to_bytes(8, "little") + bytes(100))
@example(framed(b"\x0a" + b"\xff" * 200_000))  # a number without an end
@example(framed(example_of(b"x", -1)))
@example(framed(example_of(b"x", 2**40)))
def test_tfrecords(tmp_path, contents):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(contents)
    index = read_or_refused(lambda: index_records([path]), 64 * len(contents))
    if index is not None:
        assert (index.offsets + index.lengths <= len(contents)).all() and (index.labels >= 0).all()
    assert (index is not None) or contents != RECORDS


def idx(*shape: int, values: bytes = b"") -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return bytes([0, 0, 8, len(shape)]) + sizes + values


IMAGES, LABELS = idx(2, 28, 28, values=bytes(2 * 784)), idx(2, values=b"\0\1")


@SEARCH
@given(damaged(IMAGES), damaged(LABELS))
@example(idx(2**32 - 1, 2**32 - 1, 2**32 - 1, values=bytes(9)), LABELS)
@example(idx(0, 2**32 - 1, 2**32 - 1), idx(0))
@example(IMAGES, idx(1, 1, 2, values=b"\0\1"))
@example(IMAGES, idx(2**31, values=b"\0\1"))
def test_idx(tmp_path, images, labels):
    for part, contents in (("train", (images, labels)), ("t10k", (IMAGES, LABELS))):
        for kind, content in zip(("images-idx3", "labels-idx1"), contents, strict=True):
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(content)
    read_or_refused(lambda: fashion_mnist.find(tmp_path), 16 * len(images))


def test_packed_idx_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "LARGEST_BYTES", len(IMAGES))
    names = [f"{p}-{k}-ubyte" for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]
    for name in names:
        (tmp_path / name).write_bytes(IMAGES if "images" in name else LABELS)
    (tmp_path / names[0]).unlink()
    bomb = tmp_path / f"{names[0]}.gz"
    bomb.write_bytes(gzip.compress(idx(10**4, 28, 28, values=bytes(10**4 * 784))))
    with pytest.raises(UserError, match="holds more than 1584 bytes"):
        fashion_mnist.find(tmp_path)


@pytest.fixture
def small_cifar(monkeypatch):
    monkeypatch.setattr(cifar, "IMAGES", (50, 10))


PYTHON, BINARY = (official_files("cifar10", form) for form in ("python", "binary"))


class Evil:
    def __reduce__(self):
        return np.ndarray, ((TRILLION,),)


NESTED = b")" + b"\x85" * 50_000  # tuples in tuples


def pickled(data: object, labels: object) -> bytes:
    return pickle.dumps({b"data": data, b"labels": labels}, protocol=2)


@SEARCH
@given(
    damaged(PYTHON["test_batch"][:400] + PYTHON["test_batch"][-400:]),
    damaged(PYTHON["batches.meta"]),
)
@example(pickled(Evil(), [1] * 10), PYTHON["batches.meta"])
@example(pickled([1], [1] * 10), PYTHON["batches.meta"])
@example(pickled(np.zeros((10, 3072)), [1] * 10), PYTHON["batches.meta"])
@example(pickled(np.zeros((10, 3072), np.uint8), [[1]] * 10), PYTHON["batches.meta"])
@example(pickled(np.zeros((10, 3072), np.uint8), [2**70] * 10), PYTHON["batches.meta"])
@example(pickled(np.zeros((10, 3072), np.uint8), 7), PYTHON["batches.meta"])
@example(b"\x80\x02Nr\xff\xff\xff\x7f.", PYTHON["batches.meta"])  # None as object 2,147,483,647
@example(b"\x80\x02Nr\x00\x00\x00\x01.", PYTHON["batches.meta"])  # as object 16,777,216
@example(b"\x80\x05\x96" + TRILLION.to_bytes(8, "little") + b"x.", PYTHON["batches.meta"])
@example(b"\x80\x04\x8e" + TRILLION.to_bytes(8, "little") + b"x.", PYTHON["batches.meta"])
@example(PYTHON["test_batch"], pickle.dumps({b"label_names": 3}, protocol=2))
@example(PYTHON["test_batch"], pickle.dumps([b"label_names"], protocol=2))
@example(PYTHON["test_batch"], b"(" * 10_000 + b"t" * 10_000 + b".")
@example(PYTHON["test_batch"], b"}\x8c\x0blabel_names]" + NESTED + b"as.")
def test_cifar_pickles(tmp_path, small_cifar, batch, meta):
    folder = put(tmp_path, {**PYTHON, "test_batch": batch, "batches.meta": meta})
    read_or_refused(lambda: cifar.find("cifar10", folder), 64 * (len(batch) + len(meta)))


def test_columns_are_read_as_they_are_stored(tmp_path, small_cifar):
    """Numpy pickles an array in the order in which it is in memory."""
    plain = cifar.find("cifar10", put(tmp_path / "rows", PYTHON)).test_images
    stored = pickle.loads(PYTHON["test_batch"], encoding="bytes")
    stored[b"data"] = np.asfortranarray(stored[b"data"])
    files = {**PYTHON, "test_batch": python2_pickle(stored)}
    columns = cifar.find("cifar10", put(tmp_path / "columns", files)).test_images
    assert np.array_equal(plain, columns)


@SEARCH
@given(damaged(BINARY["data_batch_3.bin"]), damaged(BINARY["batches.meta.txt"]))
def test_cifar_binary(tmp_path, small_cifar, batch, meta):
    folder = put(tmp_path, {**BINARY, "data_batch_3.bin": batch, "batches.meta.txt": meta})
    read_or_refused(lambda: cifar.find("cifar10", folder), 16 * len(batch))


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def claiming(contents: bytes, size: int, kind: bytes = b"0", member: int = 0) -> bytes:
    """A tar archive, a member of which says that it has `size` bytes, and is of a kind."""
    with tarfile.open(fileobj=io.BytesIO(contents)) as archive:
        start = archive.getmembers()[member].offset
    header = bytearray(contents[start : start + 512])
    header[124:136] = size.to_bytes(12, "big", signed=True)
    header[124] |= 0x80
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    return contents[:start] + bytes(header) + contents[start + 512 :]


CIFAR_TAR = tar({f"cifar-10-batches-bin/{name}": data for name, data in BINARY.items()})


@SEARCH
@given(damaged_tar(CIFAR_TAR))
@example(claiming(CIFAR_TAR, TRILLION))
@example(claiming(CIFAR_TAR, TRILLION, b"L"))  # a long name
@example(claiming(CIFAR_TAR, TRILLION, b"x"))  # extended headers
@example(claiming(CIFAR_TAR, HUNDRED_MILLION, b"L"))
@example(claiming(CIFAR_TAR, -512))
@example(claiming(CIFAR_TAR, -512, member=1))  # leads back to this member
@example(claiming(CIFAR_TAR, 2**80))
def test_cifar_archive(tmp_path, small_cifar, contents):
    path = tmp_path / "cifar.tar"
    path.write_bytes(contents)
    read_or_refused(lambda: cifar.find("cifar10", path), 16 * len(contents))


IDS = ("n01440764", "n01443537")
TRAIN = tar({f"{name}.tar": tar({f"{name}_{n}.JPEG": b"x" * 700 for n in (1, 2)}) for name in IDS})
VALIDATION = tar({f"ILSVRC2012_val_{n:08d}.JPEG": b"y" * 40 for n in (1, 2)})


@SEARCH
@given(damaged_tar(TRAIN), damaged_tar(VALIDATION))
@example(TRAIN, VALIDATION)
@example(claiming(TRAIN, TRILLION), VALIDATION)
@example(claiming(TRAIN, -512, member=1), VALIDATION)
@example(claiming(TRAIN, HUNDRED_MILLION, b"x"), VALIDATION)
@example(TRAIN, claiming(VALIDATION, TRILLION, b"L"))
@example(TRAIN, claiming(VALIDATION, 2**90))
def test_imagenet_archives(tmp_path, train, validation):
    (tmp_path / imagenet_tar.TRAIN).write_bytes(train)
    (tmp_path / imagenet_tar.VALIDATION).write_bytes(validation)
    (tmp_path / "labels.txt").write_text("\n".join(IDS))
    memory = 64 * (len(train) + len(validation))
    found = read_or_refused(lambda: imagenet_tar.read(tmp_path, tmp_path / "labels.txt"), memory)
    assert found is not None or (train, validation) != (TRAIN, VALIDATION)


PETS = tar({f"pets/{name}/{n}.png": b"png" for name in ("cat", "dog") for n in range(3)})


@SEARCH
@given(damaged_tar(PETS))
@example(claiming(PETS, TRILLION))
@example(claiming(PETS, TRILLION, b"S"))  # with holes
def test_tar_of_images(tmp_path, monkeypatch, contents):
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(tmp_path / "cache"))
    path = tmp_path / "pets.tar"
    path.write_bytes(contents)
    read_or_refused(lambda: archives.unpacked(path), 64 * len(contents))


def zipped(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"png")
    return buffer.getvalue()


@SEARCH
@given(damaged(zipped(["pets/cat/0.png", "pets/dog/0.png"])))
@example(zipped(["."]))
@example(zipped(["x" * 300]))
@example(zipped(["a", "a/b"]))
@example(zipped(["a"]).replace(b"PK\3\4\x14\0\0\0\0\0", b"PK\3\4\x14\0\1\0\x63\0"))
def test_zip_of_images(tmp_path, monkeypatch, contents):
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(tmp_path / "cache"))
    path = tmp_path / "pets.zip"
    path.write_bytes(contents)
    read_or_refused(lambda: archives.unpacked(path), 64 * len(contents))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_images(folder / "in" / "train", ["cat", "dog"], 3, size=4)
    write_images(folder / "in" / "test", ["cat", "dog"], 2, size=4)
    ka.prepare(PrepareConfig(source=folder / "in", out=folder / "out"))
    return folder / "out"


@pytest.fixture(scope="module")
def described(prepared):
    return json.loads((prepared / manifest.MANIFEST).read_text())


@SEARCH
@given(st.data())
def test_manifest(prepared, described, data):
    path = prepared / manifest.MANIFEST
    text = json.dumps(data.draw(damaged_json(described))).encode()
    if data.draw(st.booleans()):
        text = data.draw(damaged(json.dumps(described).encode()))
    path.write_bytes(text)
    read_or_refused(lambda: tfrecord.read(prepared), 64 * len(text))


@pytest.mark.parametrize(
    "change",
    [
        {"parts": {}},
        {"name": None},
        {"class_names": [1]},
        {"class_names": "ab"},
        {"parts": {"trial": None}},
        {"parts": {"train": {"images": 0, "index": {}, "shards": []}}},
    ],
)
def test_manifest_of_the_right_form_with_wrong_values(prepared, described, change):
    text = json.dumps({**described, **change}).replace('"trial": null', '"trial": {}')
    (prepared / manifest.MANIFEST).write_text(text)
    with pytest.raises(UserError, match="manifest.json is damaged|has 2 classes"):
        tfrecord.read(prepared)


def test_manifest_that_is_deep(tmp_path):
    (tmp_path / manifest.MANIFEST).write_text("[" * 50_000)
    with pytest.raises(UserError, match="manifest.json is damaged"):
        tfrecord.read(tmp_path)


def stored(**columns) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    return buffer.getvalue()


COLUMNS = {
    "files": np.zeros(6, np.int64),
    "offsets": np.arange(6),
    "lengths": np.ones(6, np.int64),
    "labels": np.zeros(6, np.int32),
    "names": np.frombuffer(b"abcdef", np.uint8),
    "name_ends": np.arange(1, 7),
}
INDEX = stored(**COLUMNS)


def one_changed(name: str, values) -> bytes:
    return stored(**{**COLUMNS, name: np.asarray(values, COLUMNS[name].dtype)})


@SEARCH
@given(damaged(INDEX))
@example(INDEX)
@example(INDEX.replace(b"(6,)", b"(9**20,)"))
@example(INDEX.replace(b"(6,), }         ", b"(999999999999,),"))
@example(one_changed("files", [0, 0, 0, 0, 0, 1]))
@example(one_changed("offsets", [-1] * 6))
@example(one_changed("offsets", [2**63 - 1] * 6))
@example(one_changed("lengths", [TRILLION] * 6))
@example(one_changed("name_ends", [9] * 6))
@example(one_changed("labels", [7] * 6))
@example(stored(**{**COLUMNS, "files": np.array([None] * 6)}))
def test_index_of_shards(prepared, described, contents):
    file = described["parts"]["train"]["index"]
    (prepared / file["file"]).write_bytes(contents)
    changed = json.loads(json.dumps(described))
    described_now = {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    changed["parts"]["train"]["index"].update(described_now)
    (prepared / manifest.MANIFEST).write_text(json.dumps(changed))
    found = read_or_refused(lambda: tfrecord.read(prepared), 64 * len(contents))
    if found is not None:
        split = found.splits["train"]
        assert [split.name(i) for i in range(len(split))]
        assert all(len(split.pixels.read(row)) <= 10_000 for row in range(len(split)))
    assert found is not None or contents != INDEX


def test_archive_of_cifar_is_packed_as_ours(tmp_path, small_cifar):
    """The damage above is done to archives that are read when they are whole."""
    path = tmp_path / "whole.tar"
    path.write_bytes(CIFAR_TAR)
    packed_one = packed(tmp_path / "whole.tar.gz", "cifar-10-batches-bin", BINARY)
    assert cifar.find("cifar10", path).class_names == cifar.find("cifar10", packed_one).class_names
