"""Archives whose images are read where they are."""

import os
import tarfile

import pytest
import tensorflow as tf

from keras_alexnet import DataSpec
from keras_alexnet.data import archives, cache_limit
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.packed import archive, tar_members
from support.packed import packed


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Images that differ, one without an ending, a file that is none, and one that is hidden."""
    for number, name in enumerate(["cat/0.jpg", "cat/1", "dog/0.jpg", "dog/down/1.jpg"]):
        path = tmp_path / "pets" / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = tf.fill([8, 6, 3], tf.cast(40 * number, tf.uint8))
        path.write_bytes(tf.io.encode_jpeg(pixels).numpy())
    for name in ("notes.txt", ".DS_Store"):
        (tmp_path / "pets" / "train" / "cat" / name).write_text("no image")
    return tmp_path / "pets"


def load(data_dir):
    return load_dataset(DataSpec("image_folder", data_dir=data_dir))


def contents(data):
    return [data.train.encoded.read(int(row)) for row in data.train.rows]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_an_archive_is_read_like_its_folder(folder, cache, ending, monkeypatch):
    path = packed(folder, folder.with_name(f"pets{ending}"))
    expected, found = load(folder), load(path)
    assert found.sha256 == expected.sha256 and found.left_out == expected.left_out
    assert [found.train.name(i) for i in range(3)] == [expected.train.name(i) for i in range(3)]
    assert contents(found) == contents(expected)
    left = {each.suffix for each in cache.iterdir()}
    assert left == ({".json"} if ending == ".tar" else {".json", ".contents"})
    monkeypatch.setattr(archive, "_members_of_tar", None)
    monkeypatch.setattr(archive, "_write_zip", None)
    assert contents(load(path)) == contents(expected)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_finds(folder, form):
    path = folder.with_name("pets.tar")
    with tarfile.open(path, "w", format=form) as target:
        target.add(folder, "a" * 60 + "/" + "b" * 60)
    with tarfile.open(path) as source:
        files = [each for each in source if each.isreg()]
    found = tar_members.plain_members(path.read_bytes())
    if form == tarfile.USTAR_FORMAT:
        assert found is not None
        assert list(zip(*found, strict=True)) == [
            (each.name, each.offset_data, each.size) for each in files
        ]
    else:
        assert found is None  # long names are said elsewhere
    assert contents(load(path)) == contents(load(folder))


@pytest.mark.parametrize("what", ["link", "table", "twice"])
def test_other_archives_are_unpacked(folder, cache, what):
    path = folder.with_name("pets.tar.gz")
    if what == "link":
        (folder / "train" / "cat" / "9.jpg").symlink_to("0.jpg")
    elif what == "table":
        (folder / "labels.csv").write_text("file,label\n")
    with tarfile.open(path, "w:gz") as target:
        target.add(folder, "pets")
        if what == "twice":
            target.add(folder / "train" / "cat" / "0.jpg", "pets/train/dog/0.jpg")
    assert archive.opened(path) is None
    assert len(load(path).class_names) == 2
    assert not list(cache.glob("*.contents"))


@pytest.mark.parametrize("damage", ["cut", "changed", "list", "lost"])
def test_what_is_damaged_in_the_cache_is_made_again(folder, cache, damage, caplog):
    caplog.set_level("INFO", logger="absl")
    path = packed(folder, folder.with_name("pets.tar.gz"))
    before = contents(load(path))
    [kept], [files] = cache.glob("*.contents"), cache.glob("*.json")
    if damage == "cut":
        os.truncate(kept, 1000)
    elif damage == "changed":
        kept.write_bytes(kept.read_bytes()[::-1])
    elif damage == "list":
        files.write_text(files.read_text().replace("cat", "dog"))
    else:
        kept.unlink()
    assert contents(load(path)) == before
    assert [each for each in caplog.messages if "lost or changed" in each]
    caplog.clear()
    assert contents(load(path)) == before
    assert not [each for each in caplog.messages if "lost or changed" in each]


def test_a_cache_that_cannot_be_written(folder, monkeypatch, caplog):
    caplog.set_level("INFO", logger="absl")
    path = packed(folder, folder.with_name("pets.tar.gz"))
    expected = contents(load(folder))
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(path / "cache"))
    assert contents(load(path)) == expected
    assert [each for each in caplog.messages if "cannot be used (Not a directory" in each]


def test_a_process_that_was_killed_leaves_nothing_that_is_used(folder, cache, monkeypatch):
    path = packed(folder, folder.with_name("pets.tar.gz"))

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(archive, "_members_of_tar", killed)
        load(path)
    assert list(cache.iterdir()) == []
    assert contents(load(path)) == contents(load(folder))


@pytest.fixture
def ended(monkeypatch):
    """A call after which nothing is held, as after the end of the process that read it."""

    def end():
        for descriptor in cache_limit._HELD.values():
            os.close(descriptor)
        cache_limit._HELD.clear()

    end()
    yield end
    end()


def pack(folder, number, linked=False):
    """An archive of the folder, different for each number, whose contents are 10 kB or more."""
    (folder / "train" / "cat" / "notes.txt").write_bytes(os.urandom(10_000))
    link = folder / "train" / "cat" / "9.jpg"
    if linked:
        link.symlink_to("0.jpg")
    path = packed(folder, folder.with_name(f"pets{number}.tar.gz"))
    link.unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("linked", [False, True])
def test_archives_that_were_read_longest_ago_are_removed(
    folder, cache, ended, linked, monkeypatch, caplog
):
    caplog.set_level("INFO", logger="absl")
    cache_limit._say_the_limit.cache_clear()
    monkeypatch.setattr(cache_limit, "MOST_BYTES", 60_000)
    paths = [pack(folder, number, linked) for number in range(2)]
    for number, path in enumerate(paths):
        load(path)
        for each in cache.glob(f"pets{number}*.json"):
            os.utime(each, (number, number))
    ended()
    load(paths[0])  # the older one, which is used again
    ended()
    monkeypatch.setattr(cache_limit, "MOST_BYTES", 1.5 * size_of(cache, "pets0"))
    load(pack(folder, 2, linked))
    assert {each.name[:5] for each in cache.iterdir() if each.name != "decoded"} == {"pets2"}
    assert (
        len([each for each in caplog.messages if "what was used longest ago is removed" in each])
        == 1
    )
    assert [each for each in caplog.messages if "Removed 0 MB" in each]


def size_of(cache, name):
    return sum(
        each.stat().st_size for each in cache.rglob("*") if name in str(each) and each.is_file()
    )


@pytest.mark.parametrize("linked", [False, True])
def test_an_archive_that_is_read_stays(folder, cache, ended, linked, monkeypatch):
    monkeypatch.setattr(cache_limit, "MOST_BYTES", 100)  # less than any of them
    first = load(pack(folder, 0, linked))
    expected = contents(first)
    load(pack(folder, 1, linked))
    assert contents(first) == expected
    ended()
    load(pack(folder, 2, linked))
    assert {each.name[:5] for each in cache.iterdir()} == {"pets2"}


def test_decoded_images_and_archives_have_one_limit(folder, cache, ended, monkeypatch):
    load(pack(folder, 0))
    ended()
    (cache / cache_limit.DECODED).mkdir()
    (cache / "weights-0123456789abcdef").mkdir()  # without a list: not of the cache
    monkeypatch.setattr(cache_limit, "MOST_BYTES", 1000)
    cache_limit.make_room(cache, 900)
    assert {each.name for each in cache.iterdir()} == {"decoded", "weights-0123456789abcdef"}
    with pytest.raises(OSError, match="no room for 1,001 bytes"):
        cache_limit.make_room(cache, 1001)
