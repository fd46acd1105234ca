"""Images become shards: the same bytes however often it is stopped, and nothing lost or hidden."""

import collections
import dataclasses
import io
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, PrepareConfig
from keras_alexnet.data import archives, checking, fingerprints, shards
from keras_alexnet.errors import UsageError, UserError
from support.image_folders import write_images
from support.packed import packed
from support.photographs import photographs

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(tmp_path / "cache"))


def contents(folder) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir() if p.is_file()}


def records(folder, part="train"):
    """(file name, label, image) of each record, in the order of the shards."""
    found = []
    for shard in sorted(pathlib.Path(folder).glob(f"{part}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            found.append(
                (
                    feature["file_name"].bytes_list.value[0].decode(),
                    feature["label"].int64_list.value[0],
                    feature["image"].bytes_list.value[0],
                )
            )
    return found


def test_every_image_once_with_its_label_and_bytes(tiny_folder, tmp_path):
    manifest = ka.prepare(
        PrepareConfig(source=tiny_folder, out=tmp_path / "out", images_per_shard=10)
    )
    assert manifest.name == "tiny" and manifest.class_names == ("cat", "dog", "owl")
    assert [s.images for s in manifest.parts["test"].shards] == [8, 8, 8]
    assert sum(s.images for s in manifest.parts["train"].shards) == 72
    for part in ("train", "test"):
        expected = {
            (str(path.relative_to(tiny_folder)), label, path.read_bytes())
            for label, name in enumerate(manifest.class_names)
            for path in (tiny_folder / part / name).iterdir()
        }
        found = records(tmp_path / "out", part)
        assert set(found) == expected and len(found) == len(expected)
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert written["parts"]["train"]["images"] == 72 and written["format_version"] == 1
    assert not (tmp_path / "out" / ".progress").exists()


def test_no_shard_is_one_class(tiny_folder, tmp_path):
    ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path, images_per_shard=24))
    labels = np.array([label for _, label, _ in records(tmp_path)]).reshape(3, 24)
    for shard in labels:
        assert max(collections.Counter(shard.tolist()).values()) <= 14


def test_bytes_depend_on_seed_and_settings_not_on_threads_or_form(tmp_path, monkeypatch):
    source = tmp_path / "mixed"
    write_images(source / "train", ["cat", "dog"], 20)
    for name in ("cat", "dog"):  # decoded long after those that come next
        photograph(source, f"train/{name}/large.png", 1500, 1500, tf.io.encode_png)
    same = []
    for threads, few in ((1, 256), (2, 256), (7, 0)):  # few images are decoded without a pipeline
        monkeypatch.setattr(checking, "_FEW", few)
        config = PrepareConfig(source=source, out=tmp_path / f"{threads}", threads=threads)
        same.append(ka.prepare(dataclasses.replace(config, images_per_shard=15)))
    monkeypatch.undo()
    assert same[0] == same[1] == same[2]
    first = contents(tmp_path / "1")
    assert first == contents(tmp_path / "2") == contents(tmp_path / "7")
    archive = packed(source, tmp_path / "mixed.tar.gz")
    ka.prepare(PrepareConfig(source=archive, out=tmp_path / "packed", images_per_shard=15))
    assert contents(tmp_path / "packed") == first
    ka.prepare(PrepareConfig(source=source, out=tmp_path / "seed", images_per_shard=15, seed=1))
    assert set(contents(tmp_path / "seed").items()).isdisjoint(first.items())
    assert sorted(records(tmp_path / "seed")) == sorted(records(tmp_path / "1"))


def photograph(folder, name, height, width, encode=tf.io.encode_jpeg):
    smooth = np.random.default_rng(0).uniform(0, 255, (5, 5, 3))
    pixels = tf.cast(tf.round(tf.image.resize(smooth, [height, width], "bicubic")), tf.float32)
    pixels = tf.cast(tf.clip_by_value(pixels, 0, 255), tf.uint8)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(encode(pixels).numpy())


def test_shrunk_images(tmp_path):
    source = tmp_path / "photos"
    sizes = {"wide.jpg": (96, 150), "high.jpg": (131, 70), "small.jpg": (63, 200)}
    for name, size in {**sizes, "exact.jpg": (64, 64)}.items():
        photograph(source, f"cat/{name}", *size)
    photograph(source, "cat/drawing.png", 200, 100, tf.io.encode_png)
    manifest = ka.prepare(PrepareConfig(source=source, out=tmp_path / "out", short_side=64))
    assert manifest.name == "photos-short64" and manifest.settings["jpeg_quality"] == 95
    images = {os.path.basename(name): image for name, _, image in records(tmp_path / "out", "all")}
    shapes = {n: tuple(tf.io.decode_image(i).shape[:2]) for n, i in images.items()}
    assert shapes == {
        "wide.jpg": (64, 100),
        "high.jpg": (120, 64),
        "small.jpg": (63, 200),
        "exact.jpg": (64, 64),
        "drawing.png": (128, 64),
    }
    for name in ("small.jpg", "exact.jpg"):
        assert images[name] == (source / "cat" / name).read_bytes()
    assert images["drawing.png"].startswith(b"\xff\xd8\xff")
    plain = ka.load_dataset(DataSpec("image_folder", data_dir=source))
    shrunk = ka.load_dataset(DataSpec("tfrecord", data_dir=tmp_path / "out"))
    assert shrunk.sha256 != plain.sha256 and shrunk.sha256_of == "shards"
    for row in range(5):
        squares = [
            np.int32(data.train.pixels.square(tf.constant(row, tf.int64), 64))
            for data in (plain, shrunk)
        ]
        assert np.abs(squares[0] - squares[1]).mean() < 3, plain.train.pixels.name(row)


def damage(folder):
    (folder / "train" / "cat" / "003.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "train" / "owl" / "020.png").write_bytes(b"")
    cut = folder / "test" / "dog" / "007.png"
    cut.write_bytes(cut.read_bytes()[:-40])


@pytest.fixture
def damaged(tmp_path):
    folder = tmp_path / "animals"
    write_images(folder / "train", ["cat", "dog", "owl"], 24)
    write_images(folder / "test", ["cat", "dog", "owl"], 8)
    damage(folder)
    return folder


def test_damaged_images_are_named_and_then_left_out_when_asked(damaged, tmp_path, caplog):
    out = tmp_path / "out"
    caplog.set_level("INFO", logger="absl")
    with pytest.raises(UserError, match="3 of 96 images cannot be decoded: test/dog/007.png, tr"):
        ka.prepare(PrepareConfig(source=damaged, out=out, images_per_shard=12))
    assert caplog.text.count("train/cat/003.png: Invalid PNG. Failed") == 1
    assert caplog.text.count("train/owl/020.png: ") == 1
    with pytest.raises(UserError, match="its preparation has not ended"):
        ka.load_dataset(DataSpec("tfrecord", data_dir=out))
    manifest = ka.prepare(
        PrepareConfig(source=damaged, out=out, images_per_shard=12, skip_corrupt=True)
    )
    assert "Keeping 8 of 8 shards" in caplog.text
    assert manifest.skipped == ("test/dog/007.png", "train/cat/003.png", "train/owl/020.png")
    names = [name for part in ("train", "test") for name, *_ in records(out, part)]
    assert len(names) == 93 and set(names).isdisjoint(manifest.skipped)
    folder = ka.load_dataset(DataSpec("image_folder", data_dir=damaged, skip_corrupt=True))
    data = ka.load_dataset(DataSpec("tfrecord", data_dir=out))
    assert data.skipped == folder.skipped and data.sha256 == folder.sha256
    assert np.array_equal(data.train.labels, folder.train.labels)
    assert [data.train.name(i) for i in range(70)] == [folder.train.name(i) for i in range(70)]


def test_mended_images_are_taken_up(damaged, tmp_path, monkeypatch):
    # As with more than 4 GiB, of which only names and sizes are hashed.
    monkeypatch.setattr(fingerprints, "CONTENTS_LIMIT_BYTES", 0)
    out = tmp_path / "out"
    with pytest.raises(UserError, match="3 of 96"):
        ka.prepare(PrepareConfig(source=damaged, out=out, images_per_shard=12))
    kept = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tfrecord")}
    write_images(tmp_path / "good" / "train", ["cat", "dog", "owl"], 24)
    for name in ("train/cat/003.png", "train/owl/020.png", "test/dog/007.png"):
        good = tmp_path / "good" / "train" / pathlib.Path(*pathlib.Path(name).parts[1:])
        (damaged / name).write_bytes(good.read_bytes())
    manifest = ka.prepare(PrepareConfig(source=damaged, out=out, images_per_shard=12))
    assert manifest.skipped == () and len(records(out)) == 72
    again = {p.name: p.stat().st_mtime_ns for p in out.glob("*.tfrecord")}
    assert 1 <= sum(kept[name] != again[name] for name in kept) <= 3


def test_damaged_shards_are_made_anew_and_whole_ones_kept(tiny_folder, tmp_path):
    first = ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path, images_per_shard=12))
    whole = contents(tmp_path)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.tfrecord")}
    (tmp_path / "train-00001-of-00006.tfrecord").unlink()
    changed = bytearray(whole["train-00003-of-00006.tfrecord"])
    changed[100] ^= 1
    (tmp_path / "train-00003-of-00006.tfrecord").write_bytes(changed)
    (tmp_path / "train.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"3 of 10 files .*00001-of.* is missing\), .*\(SHA-256"):
        ka.verify_prepared(tmp_path)
    assert ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path, images_per_shard=12)) == first
    assert contents(tmp_path) == whole
    assert ka.verify_prepared(tmp_path) == first
    rewritten = [name for name, t in times.items() if (tmp_path / name).stat().st_mtime_ns != t]
    assert sorted(rewritten) == ["train-00001-of-00006.tfrecord", "train-00003-of-00006.tfrecord"]


def test_another_source_or_setting_is_refused(tiny_folder, tmp_path):
    out = tmp_path / "out"
    ka.prepare(PrepareConfig(source=tiny_folder, out=out, images_per_shard=30))
    before = contents(out)
    with pytest.raises(UserError, match="seed was 0 and is now 5; images_per_shard was 30"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=out, seed=5))
    write_images(tmp_path / "other" / "train", ["cat", "dog", "owl"], 24, seed=7)
    write_images(tmp_path / "other" / "test", ["cat", "dog", "owl"], 8)
    with pytest.raises(UserError, match=r"\(source was"):
        ka.prepare(PrepareConfig(source=tmp_path / "other", out=out, images_per_shard=30))
    write_images(tmp_path / "other" / "test", ["bee"], 1)
    write_images(tmp_path / "other" / "train", ["bee"], 1)
    with pytest.raises(UserError, match=r"\(class_names; images was"):
        ka.prepare(PrepareConfig(source=tmp_path / "other", out=out, images_per_shard=30))
    assert contents(out) == before


def test_where_it_does_not_write(tiny_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty, and keras-alexnet prepare did not"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))
    with pytest.raises(UserError, match="notes.txt, which is a file"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path / "notes.txt"))
    with pytest.raises(UsageError, match="must not be inside the source"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=tiny_folder / "train" / "records"))
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_wrong_arguments(tiny_folder, tmp_path):
    for name in ("short_side", "images_per_shard", "threads"):
        with pytest.raises(UsageError, match=f"{name} must be a whole number of at least 1"):
            ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path, **{name: 0}))
    with pytest.raises(UsageError, match="seed must be a whole number of at least 0"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path, seed=-1))
    with pytest.raises(UserError, match="nowhere does not exist"):
        ka.prepare(PrepareConfig(source=tmp_path / "nowhere", out=tmp_path / "out"))
    with pytest.raises(UsageError, match="validation_labels are for"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path, validation_labels="labels.txt"))
    assert not list(tmp_path.iterdir())


def test_class_whose_name_is_not_utf8(tmp_path):
    write_images(tmp_path / "in", ["cat", os.fsdecode(b"caf\xe9")], 1)
    with pytest.raises(UserError, match=r"'caf\\xe9', which is not valid UTF-8"):
        ka.prepare(PrepareConfig(source=tmp_path / "in", out=tmp_path / "out"))


def test_damaged_note_of_what_was_begun(tiny_folder, tmp_path):
    settings = tmp_path / ".progress" / "settings.json"
    settings.parent.mkdir()
    settings.write_text("")
    with pytest.raises(UserError, match="settings.json is damaged: .* Remove it"):
        ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))
    settings.unlink()
    ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))


def test_two_at_a_time(tiny_folder, tmp_path, monkeypatch):
    problems = []

    def second(*arguments):
        with pytest.raises(UserError, match="Another process is preparing"):
            ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))
        problems.append("seen")
        return first(*arguments)

    first = shards.write
    monkeypatch.setattr(shards, "write", second)
    ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))
    assert problems == ["seen", "seen"]


def test_full_disk(tiny_folder, tmp_path):
    """A limit on the size of files fails where a full disk does."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match="train-00000.* could not be written: .*Make room"):
            ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".progress", "test-00000-of-00001.tfrecord"]
    manifest = ka.prepare(PrepareConfig(source=tiny_folder, out=tmp_path))
    assert manifest.parts["train"].images == 72 and ka.verify_prepared(tmp_path) == manifest


def run_script(*flags):
    command = [sys.executable, "scripts/prepare.py", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_script(tiny_folder, tmp_path):
    out = f"--out={tmp_path / 'out'}"
    done = run_script(f"--source={tiny_folder}", out, "--short_side=16", "--seed=2")
    assert done.returncode == 0, done.stderr
    expected = (
        "tiny-short16, 3 classes\ntest: 24 images in 1 shards\ntrain: 72 images in 1 shards\n"
    )
    assert expected in done.stdout and "skipped: 0" in done.stdout
    (tmp_path / "out" / "train.npz").write_bytes(b"")
    for flags, code, text in (
        (["--check"], 1, "train.npz (it has 0 bytes"),
        ([], 2, "--source is needed"),
    ):
        done = run_script(out, *flags)
        assert done.returncode == code and text in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.processes
def test_killed_and_run_again(tmp_path, caplog):
    source, out, whole = (tmp_path / name for name in ("letters", "out", "whole"))
    write_images(source / "train", ["a", "b"], 300)
    options = {"images_per_shard": 5, "threads": 1}
    ka.prepare(PrepareConfig(source=source, out=whole, **options))
    flags = [f"--source={source}", f"--out={out}", "--images_per_shard=5", "--threads=1"]
    process = subprocess.Popen(
        [sys.executable, "scripts/prepare.py", *flags], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    while len(list(out.glob(".progress/*.tfrecord.json"))) < 5 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = list(out.glob("*.tfrecord"))
    assert not (out / "manifest.json").exists(), "it ended before it could be killed"
    assert 5 <= len(finished) < 120
    # A kill may also leave behind what it had begun to write, and a note without its shard.
    (out / f".{process.pid}-train-00099-of-00120.tfrecord").write_bytes(b"half")
    finished[0].unlink()
    caplog.set_level("INFO", logger="absl")
    ka.prepare(PrepareConfig(source=source, out=out, **options))
    assert "of 120 shards, which are whole" in caplog.text
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("short_side", [None, 24])
def test_damage_that_the_decoder_only_warns_of(tmp_path, short_side, monkeypatch):
    monkeypatch.setattr(checking, "GROUP_IMAGES", 7)
    monkeypatch.setattr(checking, "_FEW", 0 if short_side is None else 256)
    folder = tmp_path / "pets"
    for number in range(20):
        path = folder / "train" / "ab"[number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(photographs(1, 48, seed=number)[0]).save(path, quality=90)
        if number in (5, 12):
            contents = path.read_bytes()
            path.write_bytes(contents[: len(contents) // 2] + b"\xff\xd9")
    config = PrepareConfig(source=folder, out=tmp_path / "out", short_side=short_side, seed=1)
    with pytest.raises(
        UserError, match="2 of 20 images cannot be decoded: train/a/12.jpg, train/b/05"
    ):
        ka.prepare(config)
    manifest = ka.prepare(dataclasses.replace(config, skip_corrupt=True))
    assert manifest.skipped == ("train/a/12.jpg", "train/b/05.jpg")


def test_images_are_shrunk_upright(tmp_path):
    folder, exif = tmp_path / "pets", PIL.Image.Exif()
    exif[0x0112] = 6
    for number in range(6):
        path = folder / "train" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(photographs(1, 60, seed=number)[0][:40]).save(path, exif=exif)
    ka.prepare(PrepareConfig(source=folder, out=tmp_path / "out", short_side=20))
    for shard in (tmp_path / "out").glob("*.tfrecord"):
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            example = tf.train.Example.FromString(record)
            [contents] = example.features.feature["image"].bytes_list.value
            with PIL.Image.open(io.BytesIO(contents)) as image:
                assert image.size == (20, 30) and not image.getexif()
