"""Named data sets: every form of copy is recognised without a network, and errors tell the way."""

import gzip
import io
import pathlib
import pickle
import socket
import tarfile
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import datasets, fingerprints, images, official, pipeline, prepared, records
from keras_alexnet.datasets import list_datasets, load_dataset, split_validation
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.variants import ImagePlan

TRAIN, TEST = 50, 10
PLAN = ImagePlan(square_size=32, crop_size=32, crop_padding=4, input_size=32)


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """A home of its own, small archives, and no network."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(official, "CIFAR_IMAGES", (TRAIN, TEST))

    def no_network(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    return home


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, as the official files have them."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def python2_pickle(value) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue().replace(b"numpy._core", b"numpy.core")


def content(name: str):
    """Training images and labels, test images and labels, class names."""
    classes = 10 if name != "cifar100" else 100
    random = np.random.default_rng(0)
    arrays = []
    for count in (TRAIN, TEST):
        arrays.append(random.integers(0, 256, (count, 32, 32, 3), np.uint8))
        arrays.append(random.integers(0, classes, count))
    return *arrays, [f"{name} class {i}" for i in range(classes)]


def official_files(name: str, form: str) -> dict[str, bytes]:
    train_images, train_labels, test_images, test_labels, class_names = content(name)
    planes = [i.transpose(0, 3, 1, 2).reshape(len(i), -1) for i in (train_images, test_images)]
    parts = 5 if name == "cifar10" else 1
    batches = [
        *zip(np.split(planes[0], parts), np.split(train_labels, parts), strict=True),
        (planes[1], test_labels),
    ]
    version = official.CIFAR_VERSIONS[name][0 if form == "python" else 1]
    files = {}
    for file, (data, labels) in zip(version.train + version.test, batches, strict=True):
        if form == "python":
            batch = {b"data": data, version.labels_key: labels.tolist(), b"batch_label": b"x"}
            files[file] = python2_pickle(batch)
        else:
            columns = [labels] if name == "cifar10" else [labels // 5, labels]
            files[file] = np.column_stack([*columns, data]).astype(np.uint8).tobytes()
    if form == "python":
        names = [class_name.replace(" ", "_").encode() for class_name in class_names]
        files[version.class_names] = python2_pickle({version.names_key: names})
    else:
        lines = "\n".join(class_name.replace(" ", "_") for class_name in class_names)
        files[version.class_names] = (lines + "\n\n").encode()
    return files


def version_of(name, form):
    return official.CIFAR_VERSIONS[name][0 if form == "python" else 1]


def put(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    return folder


def packed(archive: pathlib.Path, folder: str, files: dict[str, bytes]) -> pathlib.Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as target:
        for name, contents in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(contents)
            target.addfile(member, io.BytesIO(contents))
    return archive


def check_content(data, name):
    train_images, train_labels, test_images, test_labels, class_names = content(name)
    assert np.array_equal(data.train.pixels.images, train_images)
    assert np.array_equal(data.test.pixels.images, test_images)
    assert np.array_equal(data.train.labels, train_labels) and data.train.labels.dtype == np.int32
    assert np.array_equal(data.test.labels, test_labels)
    assert [c.replace("_", " ") for c in data.class_names] == class_names
    assert data.name == name and data.note is None and data.sha256_of == "images and labels"


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
    check_content(load_dataset(name, data_dir=data_dir), name)


def test_copies_of_keras_are_found(isolated):
    version, files = version_of("cifar10", "python"), official_files("cifar10", "python")
    folder = isolated / ".keras" / "datasets" / "cifar-10-batches-py-target" / version.folder
    put(folder, files)
    check_content(load_dataset("cifar10"), "cifar10")
    check_content(load_dataset(), "cifar10")


def test_fingerprint_is_the_same_for_every_form(tmp_path):
    data = [
        load_dataset("cifar10", data_dir=put(tmp_path / form, official_files("cifar10", form)))
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
        load_dataset("cifar10", data_dir=put(tmp_path / "data", files))


def test_a_batch_too_few(tmp_path):
    files = official_files("cifar10", "binary")
    files["data_batch_2.bin"] = files["data_batch_2.bin"][: 3073 * 4]
    with pytest.raises(UserError, match="50 images expected .*, 44 are there"):
        load_dataset("cifar10", data_dir=put(tmp_path / "data", files))


def test_a_whole_copy_beside_a_half_one(tmp_path):
    version, files = version_of("cifar10", "binary"), official_files("cifar10", "binary")
    packed(tmp_path / "data" / version.archive, version.folder, files)
    del files["test_batch.bin"]
    put(tmp_path / "data" / version.folder, files)
    check_content(load_dataset("cifar10", data_dir=tmp_path / "data"), "cifar10")


@pytest.mark.parametrize("kept", [0, 0.5])
def test_cut_off_cifar_archive(tmp_path, kept):
    version, files = version_of("cifar10", "python"), official_files("cifar10", "python")
    archive = packed(tmp_path / "data" / version.archive, version.folder, files)
    contents = archive.read_bytes()
    archive.write_bytes(contents[: int(len(contents) * kept)])
    with pytest.raises(UserError, match="cifar-10-python.tar.gz is cut off, damaged"):
        load_dataset("cifar10", data_dir=archive.parent)


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
        load_dataset("cifar10", data_dir=put(tmp_path / "data", files))


def test_a_pickle_cannot_run_anything(tmp_path):
    class Evil:
        def __reduce__(self):
            return pathlib.Path.touch, (tmp_path / "touched",)

    files = official_files("cifar10", "python")
    files["data_batch_3"] = pickle.dumps({b"data": Evil(), b"labels": []}, protocol=2)
    with pytest.raises(UserError, match="does not belong in a CIFAR batch"):
        load_dataset("cifar10", data_dir=put(tmp_path / "data", files))
    assert not (tmp_path / "touched").exists()


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


@pytest.mark.parametrize("place", ["data", "data/fashion-mnist", "home/.keras/datasets"])
@pytest.mark.parametrize("zipped", [True, False])
def test_fashion_mnist(tmp_path, place, zipped):
    files = fashion_files()
    if not zipped:
        files = {name.removesuffix(".gz"): gzip.decompress(c) for name, c in files.items()}
    put(tmp_path / place, files)
    data_dir = None if place.startswith("home") else tmp_path / "data"
    data = load_dataset("fashion_mnist", data_dir=data_dir)
    grey = np.random.default_rng(0).integers(0, 256, (TRAIN, 28, 28))
    assert data.train.pixels.images.shape == (TRAIN, 28, 28, 3)
    assert all(np.array_equal(data.train.pixels.images[..., c], grey) for c in range(3))
    assert len(data.test) == TEST and data.class_names[9] == "Ankle boot"
    batch, _ = next(iter(pipeline.train_batches(data.train, PLAN, global_batch_size=8, seed=0)))
    assert batch.shape == (8, 32, 32, 3)  # at the network's size


def test_damaged_fashion_mnist(tmp_path):
    files = fashion_files()
    name = "t10k-images-idx3-ubyte.gz"
    put(tmp_path / "cut", files | {name: files[name][:-500]})
    put(tmp_path / "other", files | {name: gzip.compress(b"<html></html>")})
    del files[name]
    put(tmp_path / "missing", files)
    for folder, expected in (("cut", "damaged"), ("other", "damaged"), ("missing", "incomplete")):
        with pytest.raises(UserError, match=f"{expected}.*t10k-images|t10k-images.*{expected}"):
            load_dataset("fashion_mnist", data_dir=tmp_path / folder)


def prepare(name: str, data_dir: pathlib.Path, features: dict, examples: dict[str, list[dict]]):
    """Writes a data set as tensorflow-datasets prepares it, by its own writer."""
    import tensorflow_datasets as tfds

    class Prepared(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("5.1.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, manager):
            return {part: iter(enumerate(rows)) for part, rows in examples.items()}

        def _generate_examples(self):
            raise NotImplementedError

    Prepared.name = name
    Prepared(data_dir=data_dir).download_and_prepare()
    return data_dir


@pytest.fixture(scope="module")
def prepared_cifar10(tmp_path_factory):
    import tensorflow_datasets as tfds

    train_images, train_labels, test_images, test_labels, class_names = content("cifar10")
    features = {
        "id": tfds.features.Text(),
        "image": tfds.features.Image(shape=(32, 32, 3)),
        "label": tfds.features.ClassLabel(names=class_names),
    }
    parts = {"train": (train_images, train_labels), "test": (test_images, test_labels)}
    examples = {
        part: [{"id": "", "image": i, "label": n} for i, n in zip(images, labels, strict=True)]
        for part, (images, labels) in parts.items()
    }
    return prepare("cifar10", tmp_path_factory.mktemp("tfds"), features, examples)


@pytest.mark.parametrize("place", [".", "cifar10", "cifar10/5.1.0", "default", "variable"])
def test_prepared_copy(prepared_cifar10, tmp_path, isolated, monkeypatch, place):
    data_dir = prepared_cifar10 / place
    if place == "default":
        (isolated / "tensorflow_datasets").symlink_to(prepared_cifar10)
        data_dir = None
    elif place == "variable":
        monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_cifar10))
        data_dir = None
    data = load_dataset("cifar10", data_dir=data_dir)
    copy = put(tmp_path / "official", official_files("cifar10", "binary"))
    assert data.sha256 == load_dataset("cifar10", data_dir=copy).sha256
    assert len(data.class_names) == 10


def test_newest_version_is_taken(prepared_cifar10, tmp_path):
    for version in ("1.9.0", "1.10.0"):
        (tmp_path / "cifar10" / version).mkdir(parents=True)
        for file in (prepared_cifar10 / "cifar10" / "5.1.0").iterdir():
            (tmp_path / "cifar10" / version / file.name).write_bytes(file.read_bytes())
    (tmp_path / "cifar10" / "2.0.0.incompleteABC").mkdir()
    assert prepared.find("cifar10", tmp_path).data_path.name == "1.10.0"


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_incomplete_prepared_copy(prepared_cifar10, tmp_path, damage):
    folder = tmp_path / "cifar10" / "5.1.0"
    put(folder, {f.name: f.read_bytes() for f in (prepared_cifar10 / "cifar10/5.1.0").iterdir()})
    [shard] = folder.glob("*-test.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:999]) if damage == "cut off" else shard.unlink()
    expected = f"1 of 2 files are missing, the first {shard.name}" if damage == "missing" else ""
    with pytest.raises(UserError, match=f"5.1.0 is .*incomplete.*{expected}.*Prepare it again"):
        load_dataset("cifar10", data_dir=tmp_path)


@pytest.fixture
def imagenet(tmp_path):
    """Tiny ImageNet: 24 + 6 noise photographs of three classes, prepared; their pixels, labels."""
    import tensorflow_datasets as tfds

    random = np.random.default_rng(0)
    features = {
        "image": tfds.features.Image(encoding_format="jpeg"),
        "label": tfds.features.ClassLabel(names=["n01440764", "n01443537", "n01484850"]),
        "file_name": tfds.features.Text(),
    }
    examples = {}
    for part, count in (("train", 24), ("validation", 6)):
        examples[part] = [
            {
                "image": tf.io.encode_jpeg(
                    random.integers(0, 256, (*random.integers(20, 60, 2), 3), np.uint8)
                ).numpy(),
                "label": int(label),
                "file_name": f"n_{number}.JPEG",
            }
            for number, label in enumerate(random.permutation(np.arange(count) % 3))
        ]
    encoded = {
        part: [{**row, "image": io.BytesIO(row["image"])} for row in rows]
        for part, rows in examples.items()
    }
    prepare("imagenet2012", tmp_path / "tfds", features, encoded)
    return tmp_path / "tfds", examples


def test_prepared_imagenet(imagenet):
    data_dir, examples = imagenet
    data = load_dataset("imagenet2012", data_dir=data_dir)
    assert data.class_names == ("n01440764", "n01443537", "n01484850")
    assert data.sha256_of == "contents"
    for split, part in ((data.train, "train"), (data.test, "validation")):
        found = {
            split.pixels.contents(tf.constant(row)).numpy(): label
            for row, label in zip(split.rows, split.labels, strict=True)
        }
        assert found == {row["image"]: row["label"] for row in examples[part]}
    train, validation = split_validation(data.train, 6, seed=0)
    assert np.bincount(validation.labels).tolist() == [2, 2, 2]
    labels = [n for _, n in pipeline.eval_batches(train, PLAN, batch_size=7)]
    assert np.array_equal(np.concatenate(labels), train.labels)


def test_damaged_imagenet_image(imagenet, monkeypatch, caplog):
    data_dir, examples = imagenet
    [shard] = data_dir.rglob("*train.tfrecord*")
    contents = bytearray(shard.read_bytes())
    place = contents.index(examples["train"][5]["image"])
    contents[place + 100 : place + 110] = bytes(10)
    contents[place] = 0
    shard.write_bytes(contents)
    split = load_dataset("imagenet2012", data_dir=data_dir).train
    [row] = split.pixels.damaged(split.rows)
    size = len(examples["train"][5]["image"])
    assert split.pixels.contents(tf.constant(row)).numpy() == contents[place : place + size]
    monkeypatch.setattr(images, "MEMORY_BUDGET_BYTES", 0)
    with pytest.raises(tf.errors.OpError) as caught:
        list(pipeline.eval_batches(split, PLAN, batch_size=5))
    error = pipeline.explain_data_error(split, caught.value)
    assert f"{shard.name}, record {row}" in str(error)
    data = load_dataset("imagenet2012", data_dir=data_dir, skip_corrupt=True)
    assert data.skipped == (f"{shard.name}, record {row}",)
    assert len(data.train) == 23 and row not in data.train.rows
    assert np.array_equal(data.train.labels, np.delete(split.labels, row))
    assert caplog.text.count("Skipped 1 images") == 1


def test_cut_off_imagenet(imagenet):
    data_dir, _ = imagenet
    [shard] = data_dir.rglob("*train.tfrecord*")
    contents = shard.read_bytes()
    shard.write_bytes(contents[:-20])
    with pytest.raises(UserError, match=f"{shard.name} cannot be read .* ends within a record"):
        load_dataset("imagenet2012", data_dir=data_dir)
    # A whole record too few, as if copied by someone who knows the format.
    first = 16 + int.from_bytes(contents[:8], "little")
    shard.write_bytes(contents[first:])
    with pytest.raises(UserError, match="train should have 24 images, 23 are there"):
        load_dataset("imagenet2012", data_dir=data_dir)


@pytest.mark.parametrize("contents", [b"\x01" * 40, b"<html>" * 9, b""], ids=["1", "html", "0"])
def test_no_records(tmp_path, contents):
    (tmp_path / "x.tfrecord").write_bytes(contents)
    with pytest.raises(UserError, match="x.tfrecord cannot be read as TFRecords"):
        records.index_records([tmp_path / "x.tfrecord"])


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
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **o: time.sleep(30))
    start = time.monotonic()
    assert not prepared.reachable("http://example.org/x", seconds=0.5)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "fashion_mnist", "imagenet2012"])
def test_a_named_data_set_that_cannot_be_had(name, tmp_path):
    with pytest.raises(UserError, match=r"Get it from https?://.* and pass --data_dir"):
        load_dataset(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"is not in .*empty.*https?://.* and pass --data_dir"):
        load_dataset(name, data_dir=tmp_path / "empty")


def test_a_data_dir_without_cifar10_is_an_error_even_without_a_name(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="CIFAR-10 is not in .*empty"):
        load_dataset(data_dir=tmp_path / "empty")


def test_downloaded_through_tensorflow_datasets(isolated, monkeypatch):
    """The real builder of tensorflow-datasets, given the archive instead of the network."""
    import tensorflow_datasets as tfds

    folder = isolated / "extracted" / "cifar-10-batches-bin"
    put(folder, official_files("cifar10", "binary"))
    manager = tfds.download.DownloadManager
    monkeypatch.setattr(manager, "download_and_extract", lambda self, url: str(folder.parent))
    monkeypatch.setattr(prepared, "reachable", lambda address: True)
    data = load_dataset()
    assert data.name == "cifar10" and data.note is None
    copy = load_dataset("cifar10", data_dir=folder)
    assert data.sha256 == copy.sha256
    monkeypatch.setattr(prepared, "reachable", None)
    assert load_dataset("cifar10").sha256 == copy.sha256  # prepared now


def test_a_download_that_fails(monkeypatch, caplog):
    import tensorflow_datasets as tfds

    def fails(self, url):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", fails)
    monkeypatch.setattr(prepared, "reachable", lambda address: True)
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
        "shapes",
    ]
    with pytest.raises(UsageError, match="Did you mean 'cifar10'"):
        load_dataset("cifr10")
    with pytest.raises(UserError, match="/nowhere does not exist"):
        load_dataset("cifar10", data_dir="/nowhere")
    with pytest.raises(UsageError, match="drawn, not read"):
        load_dataset("shapes", data_dir="/")
    assert load_dataset("shapes", dataset_name="drawings").name == "drawings"


def labelled(counts: list[int]) -> datasets.Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    random = np.random.default_rng(0)
    return datasets.Split.of(None, random.permutation(labels))


@pytest.mark.parametrize("seed", [0, 1])
def test_validation_is_stratified(seed):
    split = labelled([100, 50, 30, 7])
    train, validation = split_validation(split, 40, seed)
    assert len(train) == 147 and len(validation) == 40
    assert np.array_equal(np.sort(np.concatenate([train.rows, validation.rows])), split.rows)
    shares = np.bincount(validation.labels)
    assert np.abs(shares - np.array([100, 50, 30, 7]) * 40 / 187).max() < 1
    for part in (train, validation):
        assert np.array_equal(part.labels, split.labels[part.rows])
        assert np.array_equal(part.rows, np.sort(part.rows))


def test_validation_is_fixed_by_its_seed():
    split = labelled([40, 40])
    chosen = [split_validation(split, 20, seed)[1].rows for seed in (3, 3, 4)]
    assert np.array_equal(chosen[0], chosen[1]) and not np.array_equal(chosen[0], chosen[2])
    # The published numbers depend on it: the same on every machine and with every numpy.
    assert chosen[0][:6].tolist() == [0, 4, 7, 9, 20, 28]


@pytest.mark.parametrize("count", [0, -1, 80, 100])
def test_validation_must_leave_something(count):
    with pytest.raises(UsageError, match=f"from 1 to 79.*Received: {count}"):
        split_validation(labelled([40, 40]), count, seed=0)


def test_subsets_of_subsets():
    split = labelled([5, 5]).subset([9, 3, 4]).subset([2, 0])
    assert split.rows.tolist() == [4, 9] and len(split.labels) == 2
