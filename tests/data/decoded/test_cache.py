"""Decoded images that are kept for the next run."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import DataSpec
from keras_alexnet.data import archives, cache_limit, images
from keras_alexnet.data.decoded import cache, plain_jpegs
from keras_alexnet.data.load import load_dataset

SQUARE = 16, False, "area"


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "FEWEST", 1)
    return tmp_path / "cache" / "decoded"


def jpeg(number, side=16):
    noise = np.random.Generator(np.random.PCG64(number)).integers(0, 256, (side, side, 3), np.uint8)
    return tf.io.encode_jpeg(noise).numpy()


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "test"):
        for number, name in enumerate(["cat/0.jpg", "cat/1.jpg", "dog/0.jpg", "dog/1.jpg"]):
            path = tmp_path / "pets" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg(number + len(split)))
    return tmp_path / "pets"


def load(folder, **options):
    return load_dataset(DataSpec("image_folder", data_dir=folder, **options))


def pixels(folder, kind=SQUARE, **options):
    return load(folder, **options).train.encoded.in_memory(*kind).images


@pytest.fixture
def nothing_decodes(monkeypatch):
    def decode(*args, **options):
        raise AssertionError("an image was decoded")

    def forbid():
        monkeypatch.setattr(plain_jpegs, "decoded", decode)
        monkeypatch.setattr(images.EncodedImages, "decoded_rows", decode)

    return forbid


@pytest.mark.parametrize("kind", [SQUARE, (8, False, "area"), (12, True, "antialiased_bilinear")])
def test_the_second_time_nothing_is_decoded(folder, kept, kind, nothing_decodes):
    without = pixels(folder, kind, image_cache=False)
    assert not kept.exists()
    first = pixels(folder, kind)
    nothing_decodes()
    second = pixels(folder, kind)
    assert np.array_equal(without, first) and np.array_equal(first, second)
    assert second.dtype == np.uint8


def test_changed_images_are_decoded(folder):
    before = pixels(folder)
    (folder / "train" / "dog" / "1.jpg").write_bytes(jpeg(99))
    after = pixels(folder)
    assert np.array_equal(before[:3], after[:3]) and not np.array_equal(before[3], after[3])
    (folder / "train" / "cat" / "1.jpg").rename(folder / "train" / "cat" / "zero.jpg")
    (folder / "train" / "cat" / "0.jpg").rename(folder / "train" / "cat" / "zz.jpg")
    assert np.array_equal(pixels(folder), after[[1, 0, 2, 3]])


def test_images_that_change_while_they_are_decoded_are_not_kept(folder, kept):
    data = load(folder)
    (folder / "train" / "dog" / "1.jpg").write_bytes(jpeg(99))
    data.train.encoded.in_memory(*SQUARE)
    assert not list(kept.glob("*.safetensors"))


@pytest.mark.parametrize("damage", ["cut", "pixel", "not its format"])
def test_a_damaged_file_is_made_again(folder, kept, damage, caplog):
    before = pixels(folder)
    [path] = kept.iterdir()
    contents = path.read_bytes()
    damaged = {"cut": contents[:-9], "pixel": contents[:-1] + b"?", "not its format": b"x" * 99}
    path.write_bytes(damaged[damage])
    assert np.array_equal(pixels(folder), before)
    assert [each for each in caplog.messages if "is damaged, so the images are decoded" in each]
    caplog.clear()
    assert np.array_equal(pixels(folder), before)
    assert not [each for each in caplog.messages if "is damaged" in each]


def test_what_was_used_longest_ago_is_removed(folder, kept, monkeypatch):
    data = load(folder)
    for split in (data.train, data.test):
        split.encoded.in_memory(*SQUARE)
    for path in kept.iterdir():
        os.utime(path, (0, 0))
    pixels(folder)  # of the training set, which is used now
    used = max(kept.iterdir(), key=lambda path: path.stat().st_mtime)
    monkeypatch.setattr(cache_limit, "MOST_BYTES", used.stat().st_size + 4 * 8 * 8 * 3)
    pixels(folder, (8, False, "area"))
    assert used.exists() and len(list(kept.iterdir())) == 2


@pytest.mark.parametrize("problem", ["full", "no folder", "small"])
def test_a_run_goes_on_without_room(folder, kept, problem, monkeypatch, caplog):
    caplog.set_level("INFO", logger="absl")
    expected = pixels(folder, image_cache=False)

    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if problem == "small":
        monkeypatch.setattr(cache_limit, "MOST_BYTES", 10)
    elif problem == "full":
        monkeypatch.setattr(cache.safetensors.numpy, "save_file", full)
    else:
        place = folder / "train" / "dog" / "0.jpg" / "cache"
        monkeypatch.setenv(archives.CACHE_VARIABLE, str(place))
    assert np.array_equal(pixels(folder), expected)
    assert not list(kept.glob("*")) if kept.exists() else True
    said = [each for each in caplog.messages if "not kept for the next run" in each]
    assert len(said) == 1


def test_what_was_found_damaged_is_the_same_the_second_time(folder, nothing_decodes, caplog):
    (folder / "train" / "cat" / "0.jpg").write_bytes(jpeg(0)[:60])
    whole = jpeg(1)
    (folder / "train" / "cat" / "1.jpg").write_bytes(whole[:-20] + whole[-2:])  # libjpeg warns
    (folder / "train" / "cat" / "2.jpg").write_bytes(jpeg(5))
    runs = []
    for _ in range(2):
        caplog.clear()
        data = load(folder, skip_corrupt=True)
        found = data.train.encoded.in_memory(*SQUARE).images
        runs.append((data.skipped, found.tobytes(), [m for m in caplog.messages if "Skip" in m]))
        nothing_decodes()
    assert runs[0] == runs[1]
    assert len(runs[0][0]) == 2 and len(runs[0][2]) == 1


def test_warnings_of_the_decoder_are_the_same_the_second_time(folder, nothing_decodes, caplog):
    whole = jpeg(1)
    (folder / "train" / "cat" / "1.jpg").write_bytes(whole[:-20] + whole[-2:])
    runs = []
    for _ in range(2):
        caplog.clear()
        encoded = load(folder).train.encoded
        encoded.in_memory(*SQUARE)
        runs.append((encoded.warned, [m for m in caplog.messages if "are damaged" in m]))
        nothing_decodes()
    assert runs[0] == runs[1] and len(runs[0][0]) == len(runs[0][1]) == 1
