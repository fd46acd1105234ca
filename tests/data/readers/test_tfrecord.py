"""Training from prepared shards: the batches of the folder, and no damaged copy unnoticed."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, PrepareConfig
from keras_alexnet.data import failures, manifest, memory_budget
from keras_alexnet.errors import UsageError, UserError
from support.image_folders import write_images


@pytest.fixture(scope="module")
def prepared_tiny(tiny_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("records") / "tiny"
    ka.prepare(PrepareConfig(source=tiny_folder, out=out, images_per_shard=10, seed=3))
    return out


@pytest.fixture
def copied(prepared_tiny, tmp_path):
    shutil.copytree(prepared_tiny, tmp_path / "copy")
    return tmp_path / "copy"


def load(folder):
    return ka.load_dataset(DataSpec("tfrecord", data_dir=folder))


def assert_same_batches(one, other, count):
    for (images_of_one, labels), (images_of_other, other_labels) in zip(
        one.take(count), other.take(count), strict=True
    ):
        assert np.array_equal(labels, other_labels)
        assert np.array_equal(images_of_one, images_of_other)


@pytest.mark.parametrize("budget", [memory_budget.BYTES, 0], ids=["memory", "streamed"])
def test_batches_are_those_of_the_folder(tiny_folder, prepared_tiny, monkeypatch, budget):
    monkeypatch.setattr(memory_budget, "BYTES", budget)
    folder = ka.load_dataset(DataSpec("image_folder", data_dir=tiny_folder))
    data = load(prepared_tiny)
    assert (data.name, data.class_names) == (folder.name, folder.class_names)
    assert (data.sha256, data.sha256_of) == (folder.sha256, folder.sha256_of)
    if budget == 0:  # what is in memory is trained on alike, wherever it came from
        options = {"global_batch_size": 20, "seed": 5}
        assert_same_batches(
            *(ka.train_batches(d.train, "cifar_v1", **options) for d in (folder, data)), 9
        )
    assert_same_batches(
        *(ka.eval_batches(d.test, "cifar_v1", batch_size=9) for d in (folder, data)), 3
    )
    held_out = [ka.split_validation(d.train, 12, seed=0)[1] for d in (folder, data)]
    assert [held_out[0].name(i) for i in range(12)] == [held_out[1].name(i) for i in range(12)]


def test_a_single_part_is_divided_as_the_folder_is(tmp_path):
    write_images(tmp_path / "birds", ["crow", "duck"], 20)
    ka.prepare(PrepareConfig(source=tmp_path / "birds", out=tmp_path / "out", images_per_shard=7))
    folder = ka.load_dataset(DataSpec("image_folder", data_dir=tmp_path / "birds"), seed=4)
    data = ka.load_dataset(DataSpec("tfrecord", data_dir=tmp_path / "out"), seed=4)
    for one, other in ((folder.train, data.train), (folder.test, data.test)):
        assert [one.name(i) for i in range(len(one))] == [other.name(i) for i in range(len(other))]
    assert data.note == folder.note and "all images" in data.note


@pytest.mark.slow
def test_trained_from_shards_as_from_the_folder(tiny_folder, prepared_tiny, tmp_path):
    figures = []
    for dataset, place in (("image_folder", tiny_folder), ("tfrecord", prepared_tiny)):
        config = ka.TrainConfig(
            variant="cifar_v2",
            dataset=dataset,
            data_dir=str(place),
            workdir=str(tmp_path / dataset),
            validation_images=12,
            overrides={"epochs": 1, "global_batch_size": 24},
        )
        results = ka.train(config)
        names = ("dataset", "data_sha256", "test_loss", "test_top1", "test_top5")
        figures.append({name: results[name] for name in names})
    assert figures[0] == figures[1]


def edited(folder, **values):
    path = folder / manifest.MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_no_prepared_folder(tiny_folder, tmp_path):
    with pytest.raises(
        UserError, match="not a folder that keras-alexnet prepare wrote.*image_folder"
    ):
        load(tiny_folder)
    with pytest.raises(UsageError, match="tfrecord needs the folder that `prepare` wrote"):
        ka.load_dataset("tfrecord")
    with pytest.raises(UserError, match="does not exist"):
        load(tmp_path / "nowhere")


def test_other_version(copied):
    edited(copied, format_version=2)
    with pytest.raises(UserError, match="format version 2, and this version of keras_alexnet"):
        load(copied)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(path.read_text()[:200]),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[]"),
        lambda path: edited(path.parent, format="another"),
        lambda path: edited(path.parent, parts={"train": {"images": 3}}),
        lambda path: edited(path.parent, class_names=None),
        lambda path: edited(path.parent, surprise=1),
        lambda path: path.write_text(path.read_text().replace("test-00000", "../x")),
        lambda path: path.write_text(path.read_text().replace('"images": 8', '"images": 7')),
    ],
    ids="cut bytes list kind part classes unknown outside counts".split(),
)
def test_damaged_manifest(copied, damage):
    damage(copied / manifest.MANIFEST)
    with pytest.raises(UserError, match="manifest.json is damaged"):
        load(copied)


def test_missing_or_cut_off_shard(copied):
    (copied / "train-00002-of-00008.tfrecord").unlink()
    shard = copied / "test-00001-of-00003.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(UserError) as caught:
        load(copied)
    assert "2 of 13 files" in str(caught.value)
    assert "train-00002-of-00008.tfrecord (it is missing)" in str(caught.value)
    size = shard.stat().st_size
    expected = f"test-00001-of-00003.tfrecord (it has {size} bytes instead of {size + 1})"
    assert expected in str(caught.value)


def test_changed_index(copied):
    path = copied / "train.npz"
    contents = bytearray(path.read_bytes())
    contents[-300] ^= 1
    path.write_bytes(contents)
    with pytest.raises(UserError, match=r"train.npz has changed \(SHA-256\)"):
        load(copied)


def test_image_that_was_damaged_in_its_shard(copied, monkeypatch):
    """Of the same size, so that only decoding or --check finds it."""
    split = load(copied).train
    row = int(split.rows[5])
    image = split.pixels.read(row)
    [shard] = [path for path in copied.glob("train-*") if image in path.read_bytes()]
    shard.write_bytes(shard.read_bytes().replace(image, bytes(len(image))))
    monkeypatch.setattr(memory_budget, "BYTES", 0)
    split = load(copied).train
    with pytest.raises(UserError, match="1 of 72 images cannot be read: train/cat/005.png"):
        list(failures.explained(ka.eval_batches(split, "cifar_v1", batch_size=9), split))
    data = ka.load_dataset(DataSpec("tfrecord", data_dir=copied, skip_corrupt=True))
    assert data.skipped == ("train/cat/005.png",) and len(data.train) == 71
    with pytest.raises(UserError, match=f"1 of 13 files .*{shard.name} .its contents have changed"):
        ka.verify_prepared(copied)


def test_shard_that_vanishes_while_it_is_read(copied, monkeypatch):
    monkeypatch.setattr(memory_budget, "BYTES", 0)
    split = load(copied).train
    batches = ka.eval_batches(split, "cifar_v1", batch_size=9)
    shutil.rmtree(copied)
    with pytest.raises(UserError, match="images cannot be read: train/.*No such file"):
        list(failures.explained(batches, split))


def test_names_of_any_characters(tmp_path):
    """They need not be valid UTF-8."""
    names = ["plain.png", "ünïcode.png", b"caf\xe9.png"]
    for label in (b"cat", b"dog"):
        for number, name in enumerate(names):
            place = bytes(tmp_path) + b"/in/" + label
            tf.io.gfile.makedirs(place.decode())
            with open(
                place + b"/" + (name if isinstance(name, bytes) else name.encode()), "wb"
            ) as f:
                f.write(tf.io.encode_png(np.full((4, 4, 3), number, np.uint8)).numpy())
    with open(bytes(tmp_path) + b"/in/dog/d\xe9funct.png", "wb") as file:
        file.write(b"no image")
    ka.prepare(PrepareConfig(source=tmp_path / "in", out=tmp_path / "out", skip_corrupt=True))
    data = load(tmp_path / "out")
    folder = ka.load_dataset(DataSpec("image_folder", data_dir=tmp_path / "in", skip_corrupt=True))
    assert data.skipped == folder.skipped == ("dog/d\\xe9funct.png",)
    assert {data.train.name(i) for i in range(len(data.train))} == {
        folder.train.name(i) for i in range(len(folder.train))
    }
