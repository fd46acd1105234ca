"""Copies that tensorflow-datasets has prepared are read without a network."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import DataSpec
from keras_alexnet.data import failures, memory_budget, pipeline, records
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.readers import tfds
from keras_alexnet.data.splits import split_validation
from keras_alexnet.errors import UserError
from support.cifar_copies import content, official_files, put

pytestmark = pytest.mark.usefixtures("isolated")


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
    data = load_dataset(DataSpec("cifar10", data_dir=data_dir))
    copy = put(tmp_path / "official", official_files("cifar10", "binary"))
    assert data.sha256 == load_dataset(DataSpec("cifar10", data_dir=copy)).sha256
    assert len(data.class_names) == 10


def test_newest_version_is_taken(prepared_cifar10, tmp_path):
    for version in ("1.9.0", "1.10.0"):
        (tmp_path / "cifar10" / version).mkdir(parents=True)
        for file in (prepared_cifar10 / "cifar10" / "5.1.0").iterdir():
            (tmp_path / "cifar10" / version / file.name).write_bytes(file.read_bytes())
    (tmp_path / "cifar10" / "2.0.0.incompleteABC").mkdir()
    assert tfds.find("cifar10", tmp_path).data_path.name == "1.10.0"


@pytest.mark.parametrize("damage", ["missing", "cut off", "no features"])
def test_incomplete_prepared_copy(prepared_cifar10, tmp_path, damage):
    folder = tmp_path / "cifar10" / "5.1.0"
    put(folder, {f.name: f.read_bytes() for f in (prepared_cifar10 / "cifar10/5.1.0").iterdir()})
    [shard] = folder.glob("*-test.tfrecord*")
    expected = ""
    if damage == "cut off":
        shard.write_bytes(shard.read_bytes()[:999])
    elif damage == "missing":
        shard.unlink()
        expected = f"1 of 2 files are missing, the first {shard.name}"
    else:
        (folder / "features.json").unlink()
    with pytest.raises(UserError, match=f"5.1.0 is .*incomplete.*{expected}.*Prepare it again"):
        load_dataset(DataSpec("cifar10", data_dir=tmp_path))


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
    data = load_dataset(DataSpec("imagenet2012", data_dir=data_dir))
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
    labels = [n for _, n in pipeline.eval_batches(train, "cifar_v1", batch_size=7)]
    assert np.array_equal(np.concatenate(labels), train.labels)


def test_damaged_imagenet_image(imagenet, monkeypatch, caplog):
    data_dir, examples = imagenet
    [shard] = data_dir.rglob("*train.tfrecord*")
    contents = bytearray(shard.read_bytes())
    place = contents.index(examples["train"][5]["image"])
    contents[place + 100 : place + 110] = bytes(10)
    contents[place] = 0
    shard.write_bytes(contents)
    split = load_dataset(DataSpec("imagenet2012", data_dir=data_dir)).train
    [row] = split.pixels.damaged(split.rows)
    size = len(examples["train"][5]["image"])
    assert split.pixels.contents(tf.constant(row)).numpy() == contents[place : place + size]
    monkeypatch.setattr(memory_budget, "BYTES", 0)
    with pytest.raises(tf.errors.OpError) as caught:
        list(pipeline.eval_batches(split, "cifar_v1", batch_size=5))
    error = failures.explain(split, caught.value)
    assert f"{shard.name}, record {row}" in str(error)
    data = load_dataset(DataSpec("imagenet2012", data_dir=data_dir, skip_corrupt=True))
    assert data.skipped == (f"{shard.name}, record {row}",)
    assert len(data.train) == 23 and row not in data.train.rows
    assert np.array_equal(data.train.labels, np.delete(split.labels, row))
    assert caplog.text.count("Skipped 1 images") == 1


def test_cut_off_imagenet(imagenet):
    data_dir, _ = imagenet
    [shard] = data_dir.rglob("*train.tfrecord*")
    contents = shard.read_bytes()
    shard.write_bytes(contents[:-20])
    with pytest.raises(UserError, match=f"{shard.name} cannot be read .* ends inside a record"):
        load_dataset(DataSpec("imagenet2012", data_dir=data_dir))
    # A whole record too few, as if copied by someone who knows the format.
    first = 16 + int.from_bytes(contents[:8], "little")
    shard.write_bytes(contents[first:])
    with pytest.raises(UserError, match="train should have 24 images, but has 23"):
        load_dataset(DataSpec("imagenet2012", data_dir=data_dir))


@pytest.mark.parametrize("contents", [b"\x01" * 40, b"<html>" * 9, b""], ids=["1", "html", "0"])
def test_no_records(tmp_path, contents):
    (tmp_path / "x.tfrecord").write_bytes(contents)
    with pytest.raises(UserError, match="x.tfrecord cannot be read as TFRecords"):
        records.index_records([tmp_path / "x.tfrecord"])
