"""Image folders and archives of them: which files are found, and what is refused."""

import gzip
import os
import pathlib
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import DataSpec
from keras_alexnet.data import archives, fingerprints, pipeline
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.readers import image_folder
from keras_alexnet.errors import UsageError, UserError
from support.packed import packed

PNG = tf.io.encode_png(np.full((4, 4, 3), 7, np.uint8)).numpy()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(archives.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder, *names, contents=PNG):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder


def write_classes(folder, part, images, classes=("cat", "dog")):
    """Images of which each has its own bytes."""
    for label, name in enumerate(classes):
        for number in range(images):
            pixels = np.full((4, 4, 3), (label, number, len(part)), np.uint8)
            write(folder, f"{part}/{name}/{number}.png", contents=tf.io.encode_png(pixels).numpy())
    return folder


def load(data_dir, seed=0, **options):
    return load_dataset(DataSpec("image_folder", data_dir=data_dir, **options), seed=seed)


def test_train_and_test(tmp_path):
    folder = write_classes(write_classes(tmp_path / "pets", "train", 3), "test", 2)
    data = load(folder)
    assert data.name == "pets" and data.class_names == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    assert data.train.labels.dtype == np.int32
    assert data.train.name(4) == os.path.join("train", "dog", "1.png")
    assert data.validation is None and data.note is None and data.skipped == ()


@pytest.mark.parametrize("named", ["val", "validation", "valid"])
def test_validation_is_the_test_set_unless_there_is_one(tmp_path, named):
    folder = write_classes(write_classes(tmp_path, "train", 3), named, 2)
    data = load(folder)
    assert len(data.test) == 4 and data.validation is None
    data = load(write_classes(folder, "test", 1))
    assert len(data.test) == 2 and len(data.validation) == 4


@pytest.mark.parametrize("part", [".", "train", "val", "test"])
def test_a_single_part_is_divided_by_seed(tmp_path, part):
    write_classes(tmp_path, part, 20, classes=("a", "b", "c"))
    data, again, other = (load(tmp_path, seed=seed) for seed in (0, 0, 1))
    assert np.bincount(data.train.labels).tolist() == [18, 18, 18]
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2]
    names = [{split.name(i) for i in range(len(split))} for split in (data.train, data.test)]
    assert len(names[0] | names[1]) == 60
    assert np.array_equal(data.test.rows, again.test.rows)
    assert not np.array_equal(data.test.rows, other.test.rows)
    assert "a tenth" in data.note and "seed 0" in data.note


def test_classes_too_small_to_divide_are_divided_at_random(tmp_path):
    write_classes(tmp_path, "val", 1, classes=[f"n{i:02d}" for i in range(30)])
    data = load(tmp_path)
    assert len(data.train) == 27 and len(data.test) == 3
    assert "30 classes have too few images" in data.note
    assert not np.array_equal(data.test.rows, load(tmp_path, seed=1).test.rows)


def test_a_class_may_be_called_train(tmp_path):
    """It is one in CIFAR-100, of vehicles."""
    data = load(write_classes(tmp_path, ".", 2, classes=("bus", "train")))
    assert data.class_names == ("bus", "train")


def test_what_is_no_image_is_ignored(tmp_path):
    write(
        tmp_path, "train/cat/a.JPG", "train/cat/more/b.jpeg", "train/cat/c.bmp", "train/dog/d.gif"
    )
    write(tmp_path, "train/cat/._a.JPG", "train/cat/.DS_Store", "train/dog/Thumbs.db")
    write(tmp_path, "train/dog/list.txt", "__MACOSX/train/cat/a.jpg", ".git/x/y.png", "readme.md")
    found = image_folder.scan(tmp_path)
    assert found.class_names == ("cat", "dog")
    names = [pathlib.Path(name).as_posix() for name in found.splits["train"].names]
    assert names == [
        "train/cat/a.JPG",
        "train/cat/c.bmp",
        "train/cat/more/b.jpeg",
        "train/dog/d.gif",
    ]


def test_a_folder_that_wraps_another_is_stepped_into(tmp_path):
    write_classes(tmp_path / "outer" / "inner", "train", 2)
    assert image_folder.scan(tmp_path / "outer").folder == tmp_path / "outer" / "inner"


def test_no_image_in_a_class(tmp_path):
    write(write_classes(tmp_path, "train", 1), "train/owl/notes.txt")
    with pytest.raises(UserError, match=r"owl has no image \(left out: 1 .txt"):
        load(tmp_path)


def test_classes_differ(tmp_path):
    write_classes(tmp_path, "train", 1, classes=("cat", "dog", "owl"))
    write_classes(tmp_path, "test", 1, classes=("cat", "elk", "owl"))
    with pytest.raises(UserError, match="test/ lacks dog; train/ lacks elk"):
        load(tmp_path)


@pytest.mark.parametrize("missing", ["everything", "folder", "test classes", "training set"])
def test_missing_empty_or_half_unpacked(tmp_path, missing):
    folder = tmp_path / "pets"
    expected = "no class folder"
    if missing == "folder":
        expected = "does not exist"
    elif missing == "everything":
        folder.mkdir()
    elif missing == "test classes":
        (write_classes(folder, "train", 1) / "test").mkdir()
    else:
        write_classes(write_classes(folder, "val", 1), "test", 1)
        expected = "no train/"
    with pytest.raises(UserError, match=expected):
        load(folder)


def test_no_data_dir():
    with pytest.raises(UsageError, match="--data_dir"):
        load(None)


def test_one_image_cannot_be_divided(tmp_path):
    with pytest.raises(UserError, match="At least 2 images"):
        load(write(tmp_path, "cat/a.png"))


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz", ".zip"])
def test_archive_is_the_same_as_the_folder(tmp_path, cache, ending):
    folder = write_classes(write_classes(tmp_path / "pets", "train", 3), "test", 2)
    archive = packed(folder, tmp_path / f"animals{ending}")
    data, unpacked = load(folder), load(archive)
    assert unpacked.name == "animals" and data.name == "pets"
    assert unpacked.sha256 == data.sha256 and data.sha256_of == "contents"
    assert np.array_equal(unpacked.train.labels, data.train.labels)
    assert load(archive, dataset_name="mine").name == "mine"
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_the_second_time_nothing_is_unpacked(tmp_path, monkeypatch):
    archive = packed(write_classes(tmp_path / "pets", "train", 2), tmp_path / "pets.tar.gz")
    first = archives.unpacked(archive)
    monkeypatch.setattr(tarfile, "open", None)
    assert archives.unpacked(archive) == first


@pytest.mark.parametrize("change", ["lost", "changed", "added", "no list", "damaged list"])
def test_a_cache_that_lost_files_is_unpacked_again(tmp_path, caplog, change):
    archive = packed(write_classes(tmp_path / "pets", "train", 2), tmp_path / "pets.tar.gz")
    folder = archives.unpacked(archive)
    before = load(folder)
    image = folder / "pets" / "train" / "cat" / "0.png"
    (folder / ".DS_Store").write_text("left by a system")
    (folder / "pets" / "train" / "dog" / "Thumbs.db").write_text("left by another")
    assert archives.unpacked(archive) == folder and (folder / ".DS_Store").exists()
    if change == "lost":
        image.unlink()
    elif change == "changed":
        image.write_bytes(image.read_bytes()[::-1])
    elif change == "added":
        write(image.parent, "other.png")
    elif change == "no list":
        folder.with_name(f"{folder.name}.json").unlink()
    else:
        folder.with_name(f"{folder.name}.json").write_text("[" * 100_000)
    caplog.clear()
    assert load(archives.unpacked(archive)).sha256 == before.sha256
    warnings = [each for each in caplog.messages if "unpacked again" in each]
    assert len(warnings) == 1
    caplog.clear()
    assert archives.unpacked(archive) == folder
    assert not [each for each in caplog.messages if "unpacked again" in each]
    assert len(list(folder.parent.iterdir())) == 2


def test_a_changed_archive_is_another(tmp_path):
    folder = write_classes(tmp_path / "pets", "train", 2)
    archive = packed(folder, tmp_path / "pets.tar.gz")
    before = load(archive)
    write_classes(folder, "train", 3)
    after = load(packed(folder, archive))
    assert after.sha256 != before.sha256
    assert len(after.train) + len(after.test) == 6


def test_killed_while_unpacking(tmp_path, cache, monkeypatch):
    archive = packed(write_classes(tmp_path / "pets", "train", 2), tmp_path / "pets.tar")
    half = {}

    def killed(self, path, **options):
        half["folder"] = pathlib.Path(path)
        write(half["folder"], "pets/train/cat/0.png")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tarfile.TarFile, "extractall", killed)
        archives.unpacked(archive)
    # As if the process had had no time to clean up.
    write(half["folder"], "pets/train/cat/0.png")
    os.utime(half["folder"], (0, 0))
    data = load(archives.unpacked(archive))
    assert len(data.train) + len(data.test) == 4
    assert not half["folder"].exists()  # what is older than a day is removed


def test_another_process_was_faster(tmp_path, monkeypatch):
    archive = packed(write_classes(tmp_path / "pets", "train", 2), tmp_path / "pets.tar")
    extract = tarfile.TarFile.extractall

    def late(self, path, **options):
        extract(self, path, **options)
        with monkeypatch.context() as patch:
            patch.setattr(tarfile.TarFile, "extractall", extract)
            archives.unpacked(archive)

    monkeypatch.setattr(tarfile.TarFile, "extractall", late)
    folder = archives.unpacked(archive)
    assert len(list(folder.rglob("*.png"))) == 4
    left = sorted(path.name for path in folder.parent.iterdir())
    assert left == [folder.name, f"{folder.name}.json"]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.6])
def test_cut_off_archive(tmp_path, cache, ending, kept):
    archive = packed(write_classes(tmp_path / "pets", "train", 9), tmp_path / f"pets{ending}")
    contents = archive.read_bytes()
    # At the edge of a member, where nothing but the missing end gives a tar away.
    length = int(len(contents) * kept) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
    archive.write_bytes(contents[:length])
    with pytest.raises(UserError, match=f"pets{ending} is cut off, damaged, or not"):
        load(archive)
    assert not list(cache.glob("*")) if cache.exists() else True


@pytest.mark.parametrize("name", ["pets.tar.gz", "pets.zip", "pets.rar", "pets"])
def test_no_archive(tmp_path, name):
    with pytest.raises(UserError, match="not a tar or zip archive"):
        load(write(tmp_path, name, contents=b"<html>not found</html>") / name)


def test_tar_that_leads_out_of_its_folder(tmp_path):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as target:
        target.add(write(tmp_path, "x.png") / "x.png", "../../outside.png")
    with pytest.raises(UserError, match="not safe"):
        load(archive)
    assert not list(tmp_path.rglob("outside.png"))


@pytest.mark.parametrize("member", ["../outside.png", "/outside.png", "..\\outside.png"])
def test_zip_that_leads_out_of_its_folder(tmp_path, member):
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr(zipfile.ZipInfo(member), PNG)
    with pytest.raises(UserError, match="leads out of the folder"):
        load(archive)


def test_zip_with_a_link(tmp_path):
    archive = tmp_path / "evil.zip"
    link = zipfile.ZipInfo("train")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr(link, "/etc")
    with pytest.raises(UserError, match="'train' is a link"):
        load(archive)


def write_sparse(path):
    """A tar of one member that says it has a terabyte, of which none is stored."""
    claimed = 10**12
    member = tarfile.TarInfo("cat/1.png")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398] = b"%011o " % claimed  # one piece of no bytes, at the end
    header[398:410] = b"%011o " % 0
    header[483:495] = header[386:398]
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(1024))


def write_zeros(path, size=80 * 2**20):
    """A zip of zeros, a thousandth of their size."""
    chunk = bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        with target.open("cat/1.png", "w") as file:
            for _ in range(size // len(chunk)):
                file.write(chunk)


def write_claim(path, size=2**60):
    """A tar whose member says that it is larger than any disk."""
    member = tarfile.TarInfo("cat/1.png")
    member.size = size
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


def write_claim_compressed(path):
    """A compressed tar whose member says that it is larger than all that could be in it."""
    member = tarfile.TarInfo("data_batch_1")
    member.size = 2**60
    with gzip.open(path, "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


def write_header(path):
    """A compressed tar with a header of a gigabyte, which tarfile would read at once."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 2**30
    with gzip.open(path, "wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        for _ in range(70):
            file.write(bytes(2**20))


@pytest.mark.parametrize(
    "name, make, message",
    [
        ("x.tar", write_sparse, "says that it holds more than"),
        ("x.zip", write_zeros, "over 200 times its own size"),
        ("x.tar", write_claim, "says that it holds more than"),
        ("x.tar.gz", write_claim_compressed, "says that it holds more than"),
        ("x.tar.gz", write_header, "a header of 1073742336 bytes|header of"),
    ],
)
def test_sizes_that_an_archive_claims(tmp_path, cache, name, make, message):
    make(tmp_path / name)
    with pytest.raises(UserError, match=message):
        load(tmp_path / name)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("opened", [archives.unpacked, load])
@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_no_room_on_the_disk(tmp_path, cache, monkeypatch, opened, ending):
    archive = packed(write_classes(tmp_path / "pets", "train", 12), tmp_path / f"pets{ending}")
    usage = shutil.disk_usage(tmp_path)._replace(free=10 * 4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=f"more than the 40,960 bytes .* {archives.CACHE_VARIABLE}"):
        opened(archive)
    assert list(cache.iterdir()) == []


def test_damaged_images_are_skipped_when_asked(tmp_path, caplog):
    folder = write_classes(write_classes(tmp_path, "train", 4), "test", 2)
    write(folder, "train/cat/2.png", "test/dog/0.png", contents=PNG[:40])
    write(folder, "train/dog/1.png", contents=b"")
    whole = load(folder)
    data = load(folder, skip_corrupt=True)
    assert [pathlib.Path(name).as_posix() for name in data.skipped] == [
        "test/dog/0.png",
        "train/cat/2.png",
        "train/dog/1.png",
    ]
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [pathlib.Path(data.train.name(i)).stem for i in range(6)] == list("013023")
    assert data.test.labels.tolist() == [0, 0, 1]
    assert data.sha256 == whole.sha256


def test_a_link_to_nowhere(tmp_path):
    folder = write_classes(tmp_path / "pets", "train", 4)
    (folder / "train" / "cat" / "9.png").symlink_to(tmp_path / "nowhere.png")
    data = load(folder, skip_corrupt=True)
    assert [pathlib.Path(name).as_posix() for name in data.skipped] == ["train/cat/9.png"]
    with pytest.raises(UserError, match="1 of 9 images .*9.png"):
        pipeline.eval_batches(load(folder).train, "cifar_v1", batch_size=4)


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    def forbidden(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(UserError, match="pets cannot be read: .*Permission denied"):
        image_folder.scan(write_classes(tmp_path / "pets", "train", 1))


def test_nothing_left_of_a_class(tmp_path):
    write(write_classes(tmp_path, "train", 2), "train/owl/0.png", contents=b"")
    with pytest.raises(UserError, match="No image of class owl in train .*0.png"):
        load(tmp_path, skip_corrupt=True)


def test_fingerprint(tmp_path, monkeypatch):
    one, other = (write_classes(tmp_path / name, "train", 2) for name in ("one", "other"))
    names = ["train/cat/0.png", "train/dog/1.png"]
    digest, what = fingerprints.of_files(one, names)
    assert what == "contents"
    assert digest == fingerprints.of_files(other, names[::-1])[0]
    assert digest != fingerprints.of_files(one, names[:1])[0]
    before = (other / names[0]).read_bytes()
    write(other, names[0], contents=before[::-1])
    assert digest != fingerprints.of_files(other, names)[0]
    monkeypatch.setattr(fingerprints, "CONTENTS_LIMIT_BYTES", 10)
    large = fingerprints.of_files(one, names)
    assert large[1] == "names and sizes" and large == fingerprints.of_files(other, names)
    write(other, names[0], contents=before + b"0")
    assert large[0] != fingerprints.of_files(other, names)[0]
