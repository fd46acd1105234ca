"""The ImageNet archives, small: read where they are, or refused with a reason."""

import io
import tarfile

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, PrepareConfig
from keras_alexnet.data.readers import imagenet_tar
from keras_alexnet.data.readers.imagenet_tar import TRAIN, VALIDATION
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils.imagenet_classes import imagenet_labels

CLASSES = ("n01440764", "n01443537", "n02123045")
LABELS = ("n02123045", "n01440764", "n01443537", "n01440764")


def photograph(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40 + seed, 50, 3), np.uint8)
    return tf.io.encode_jpeg(pixels).numpy()


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def downloads(tmp_path):
    """Both archives and labels for validation in a folder, classes and images in disorder."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    train = {
        f"{name}.tar": tar({f"{name}_{n}.JPEG": photograph(10 * c + n) for n in (7, 10, 2)})
        for c, name in reversed(list(enumerate(CLASSES)))
    }
    (folder / TRAIN).write_bytes(tar(train))
    validation = {f"ILSVRC2012_val_{n:08d}.JPEG": photograph(50 + n) for n in (3, 1, 4, 2)}
    (folder / VALIDATION).write_bytes(tar(validation))
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    return folder


def prepare(downloads, out, **options):
    return ka.prepare(
        PrepareConfig(
            source=downloads, out=out, validation_labels=downloads / "labels.txt", **options
        )
    )


def unpacked(folder):
    for c, name in enumerate(CLASSES):
        (folder / "train" / name).mkdir(parents=True)
        (folder / "val" / name).mkdir(parents=True)
        for n in (7, 10, 2):
            (folder / "train" / name / f"{name}_{n}.JPEG").write_bytes(photograph(10 * c + n))
    for n, name in enumerate(LABELS, start=1):
        image = photograph(50 + n)
        (folder / "val" / name / f"ILSVRC2012_val_{n:08d}.JPEG").write_bytes(image)
    return folder


def test_the_same_as_the_unpacked_folders(downloads, tmp_path):
    manifest = prepare(downloads, tmp_path / "out", images_per_shard=2)
    assert manifest.name == "imagenet2012" and manifest.class_names == CLASSES
    data = ka.load_dataset(DataSpec("tfrecord", data_dir=tmp_path / "out"))
    folder = ka.load_dataset(DataSpec("image_folder", data_dir=unpacked(tmp_path / "unpacked")))
    assert data.sha256 == folder.sha256 and data.sha256_of == folder.sha256_of
    for one, other in ((data.train, folder.train), (data.test, folder.test)):
        assert np.array_equal(one.labels, other.labels)
        for row in range(len(one)):
            assert one.name(row) == other.name(row)
            place = tf.constant(row, tf.int64)
            assert one.pixels.contents(place) == other.pixels.contents(place)


def test_labels_that_come_with_tensorflow_datasets():
    labels = imagenet_tar.read_labels(None)
    assert len(labels) == 50_000 and labels[:2] == ["n01751748", "n09193705"]
    assert sorted(set(labels)) == [wordnet_id for wordnet_id, _ in imagenet_labels()]
    assert set(np.unique(labels, return_counts=True)[1]) == {50}


@pytest.mark.parametrize("name", [TRAIN, VALIDATION])
def test_missing_archive(downloads, tmp_path, name):
    (downloads / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing. Both"):
        prepare(downloads, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_archive_named(downloads, tmp_path):
    with pytest.raises(UsageError, match=f"Name the folder that holds both: {downloads}"):
        ka.prepare(PrepareConfig(source=downloads / TRAIN, out=tmp_path / "out"))


@pytest.mark.parametrize("name", [TRAIN, VALIDATION])
@pytest.mark.parametrize("kept", [0, 0.4, 0.8, 1])
def test_cut_off_archive(downloads, tmp_path, name, kept):
    path = downloads / name
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    # With 1, nothing but the block of zeros behind the last member is missing.
    end = last.offset_data + -(-last.size // 512) * 512
    path.write_bytes(whole[: int(end * kept)])
    with pytest.raises(UserError, match=f"{name} is cut off, damaged, or not a tar"):
        prepare(downloads, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("member", ["../n01440764.tar", "/n01440764.tar", "notes.txt"])
def test_member_that_does_not_belong(downloads, tmp_path, member):
    (downloads / TRAIN).write_bytes(tar({member: tar({"n01440764_1.JPEG": photograph(1)})}))
    with pytest.raises(UserError, match=f"holds '{member}', which does not belong"):
        prepare(downloads, tmp_path / "out")


def test_link_or_path_among_the_images(downloads, tmp_path):
    inner = tar({"n01440764_1.JPEG": photograph(1), "../../etc/n01440764_2.JPEG": photograph(2)})
    (downloads / TRAIN).write_bytes(tar({"n01440764.tar": inner}))
    with pytest.raises(UserError, match="holds '../../etc/n01440764_2.JPEG'"):
        prepare(downloads, tmp_path / "out")
    with tarfile.open(downloads / VALIDATION, "w") as archive:
        link = tarfile.TarInfo("ILSVRC2012_val_00000001.JPEG")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (downloads / TRAIN).write_bytes(tar({}))
    with pytest.raises(UserError, match="holds 'ILSVRC2012_val_00000001.JPEG', which does not"):
        prepare(downloads, tmp_path / "out")


@pytest.mark.parametrize(
    "labels, expected",
    [
        (LABELS[:3], "labels for the validation images 1 to 3, and .* has 4 images up to number 4"),
        ((*LABELS, LABELS[0]), "labels for the validation images 1 to 5, and .* has 4 images"),
        (
            ("490", "361", "171", "822"),
            "WordNet id .* Received: '490' for image 1.*different order",
        ),
        ((*LABELS[:3], "n09999999"), "has 3 classes and .* 4; only one of them has n09999999"),
    ],
    ids=["too few", "too many", "numbers", "unknown class"],
)
def test_labels_that_do_not_match(downloads, tmp_path, labels, expected):
    (downloads / "labels.txt").write_text("\n".join(labels))
    with pytest.raises(UserError, match=expected):
        prepare(downloads, tmp_path / "out")


def test_labels_that_are_not_there(downloads, tmp_path):
    (downloads / "labels.txt").unlink()
    with pytest.raises(UserError, match="labels.txt cannot be read"):
        prepare(downloads, tmp_path / "out")


def test_damaged_image_in_an_archive(downloads, tmp_path):
    data = bytearray((downloads / TRAIN).read_bytes())
    place = data.index(photograph(12))  # n01443537_2.JPEG
    data[place : place + 100] = bytes(100)
    (downloads / TRAIN).write_bytes(data)
    with pytest.raises(UserError, match="1 of 13 images .* train/n01443537/n01443537_2.JPEG"):
        prepare(downloads, tmp_path / "out")
    manifest = prepare(downloads, tmp_path / "out", skip_corrupt=True)
    assert manifest.parts["train"].images == 8
