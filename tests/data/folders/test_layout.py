"""Folders as people have them: read as they are meant, or refused with what to do."""

import logging
import pathlib

import pytest

from keras_alexnet.data.folders import split_names
from keras_alexnet.data.readers import image_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils.logs import PlainFormatter
from support.image_folders import write_names


def scan(folder, *names, **options):
    return image_folder.scan(write_names(folder, *names), **options)


def named(found):
    """Split → class → names of its files, without their folders."""
    return {
        split: {
            name: [
                pathlib.Path(file).name
                for file, label in zip(files.names, files.labels, strict=True)
                if label == number
            ]
            for number, name in enumerate(found.class_names)
        }
        for split, files in found.splits.items()
    }


def both_classes(*parts, images=2):
    return [f"{part}/{name}/{i}.jpg" for part in parts for name in "ab" for i in range(images)]


def test_usual_names_of_splits():
    names = {
        "train": "train Train TRAINING training_set train-data trainset TrainImages tr train2017",
        "val": "val valid Validation validation_set valset dev DEV_SET development val2",
        "test": "test Testing test_set testset test1 eval Evaluation tst ts test images",
    }
    for split, wanted in names.items():
        for name in wanted.split():
            assert split_names.split_of(name) == (None if name == "images" else split), name
    for name in ("cat", "trainer", "latest", "seg_train", "bullet train", "value", "t", "devil"):
        assert split_names.split_of(name) is None, name


@pytest.mark.parametrize(
    "train, test",
    [
        ("Training", "Testing"),
        ("Train", "Test"),
        ("training_set", "test_set"),
        ("train", "dev"),
        ("train", "Test"),
        ("TRAIN", "eval"),
        ("tr", "ts"),
        ("Train/train", "Test/Test"),
    ],
)
def test_splits_by_their_usual_names(tmp_path, train, test):
    found = scan(tmp_path, *both_classes(train), *both_classes(test, images=1))
    split = "val" if test == "dev" else "test"
    assert found.class_names == ("a", "b")
    assert {name: len(files.names) for name, files in found.splits.items()} == {
        "train": 4,
        split: 2,
    }
    assert found.left_out == {}
    assert f"{train.split('/')[0]}/ as train, {test.split('/')[0]}/ as {split}" in found.note


def test_names_of_splits_do_not_change_the_fingerprint_of_the_usual_ones(tmp_path):
    usual = image_folder.read(write_names(tmp_path / "usual", *both_classes("train", "test")))
    other = image_folder.read(write_names(tmp_path / "other", *both_classes("Train", "Testing")))
    given = image_folder.read(
        write_names(tmp_path / "given", *both_classes("one", "two")), "train=one,test=two"
    )
    swapped = image_folder.read(tmp_path / "given", "train=two,test=one")
    assert usual.sha256 == other.sha256 == given.sha256 != swapped.sha256


def test_splits_within_every_class(tmp_path):
    found = scan(
        tmp_path, *("cat/train/1.jpg", "cat/test/2.jpg", "dog/train/3.jpg", "dog/test/4.jpg")
    )
    assert named(found) == {
        "train": {"cat": ["1.jpg"], "dog": ["3.jpg"]},
        "test": {"cat": ["2.jpg"], "dog": ["4.jpg"]},
    }


CLASSES = [
    ["bus/1.jpg", "train/2.jpg"],
    ["bus/1.jpg", "Train/2.jpg", "car/3.jpg"],
    ["en/1.jpg", "tr/2.jpg"],
    ["bullet train/1.jpg", "bus/2.jpg"],
    ["vehicles/bus/1.jpg", "vehicles/train/2.jpg", "animals/cat/3.jpg"],
    ["cat/images/1.jpg", "dog/images/2.jpg"],
    ["cat/1.jpg", "cat/cropped/2.jpg", "dog/1.jpg", "dog/cropped/2.jpg"],
    ["cat/day 1/1.jpg", "cat/day 2/1.jpg", "dog/day 3/1.jpg"],
    ["A/1.jpg", "a/1.jpg"],
    ["images/1.jpg", "paintings/1.jpg"],
    ["vehicles/train/1.jpg", "vehicles/bus/2.jpg", "tools/tester/3.jpg"],
]


@pytest.mark.parametrize("names", CLASSES, ids=str)
def test_classes_that_are_meant_as_such(tmp_path, names):
    found = scan(tmp_path, *names)
    assert found.class_names == tuple(sorted({name.partition("/")[0] for name in names}))
    assert list(found.splits) == ["all"] and len(found.splits["all"].names) == len(names)
    assert found.note is None


REFUSED = {
    "two copies": (
        ["original/a/1.jpg", "original/b/2.jpg", "resized_128/a/1.jpg", "resized_128/b/2.jpg"],
        r"original/ and resized_128/ .*\(a, b\).*--data_dir",
    ),
    "a copy beside the classes": (
        ["a/1.jpg", "b/2.jpg", "small/a/1.jpg", "small/b/2.jpg"],
        "small/ .* looks like a copy",
    ),
    "unusual names": (
        ["seg_train/a/1.jpg", "seg_train/b/1.jpg", "seg_test/a/1.jpg", "seg_test/b/1.jpg"],
        "look like splits .*--splits train=seg_train,test=seg_test",
    ),
    "unusual names, wrapped twice": (
        ["seg_train/seg_train/a/1.jpg", "seg_test/seg_test/a/1.jpg", "seg_pred/seg_pred/1.jpg"],
        "look like splits .*--splits train=seg_train,test=seg_test ",
    ),
    "with and without labels": (
        ["labeled/a/1.jpg", "labeled/b/1.jpg", "unlabeled/1.jpg"],
        "look like splits .*--splits train=labeled ",
    ),
    "unusual names, flat": (["my-train/1.jpg", "my-test/2.jpg"], "train=my-train,test=my-test"),
    "a split beside classes": (["train/a/1.jpg", "cat/1.jpg"], "other folders .*beside: cat/"),
    "another folder beside splits": (
        [*both_classes("train", "test"), "extra/1.jpg"],
        "beside: extra/.*--splits train=train,test=test",
    ),
    "two for one split": (both_classes("train", "val", "dev"), "more than one folder for val"),
    "flat": (["train/cat.0.jpg", "train/dog.0.jpg", "test/17.jpg"], "labels.csv"),
    "flat with classes": (["train/1.jpg", "Test/2.jpg", "cat/3.jpg"], "splits none"),
    "one flat split": (["test/1.jpg", "test/2.jpg"], "labels.csv.*predict"),
    "images beside a wrapper": (["logo.png", "photos/a/1.jpg"], "--data_dir .*photos to leave"),
    "one flat folder": (["cat.0.jpg", "dog.0.jpg"], "no class folder.*labels.csv"),
    "beside classes": (["a/1.jpg", "b/2.jpg", "stray.jpg"], "1 images, such as stray.jpg"),
    "beside classes of a split": (
        ["train/a/1.jpg", "train/b/2.jpg", "train/stray.jpg"],
        "stray.jpg, lie directly in .*train=train,test=test",
    ),
    "test without labels": (
        [*both_classes("train"), "Test/17.jpg"],
        "Test/ .* 1 images, such as 17.jpg.*predict",
    ),
    "test without labels, wrapped": (
        [*both_classes("train"), "test/images/17.jpg"],
        "test/ lacks a, b.*predict",
    ),
    "splits in one class": (
        ["cat/train/1.jpg", "cat/test/2.jpg", "dog/3.jpg"],
        "cat/ .* splits of one class, but dog/ holds 1 images",
    ),
    "splits below classes": (
        [f"animals/{name}/{split}/1.jpg" for name in "ab" for split in ("train", "Test")]
        + ["plants/c/train/1.jpg", "plants/c/test/1.jpg"],
        r"Test/, train/ in .*a look like splits inside of the class animals/",
    ),
    "splits below a class of a split": (
        [*both_classes("train", "test"), "train/a/x/val/1.jpg", "train/a/x/test/1.jpg"],
        "look like splits inside of the class a/",
    ),
    "names of another language": (
        ["Trainingsdaten/a/1.jpg", "Trainingsdaten/b/1.jpg", "Testdaten/c/1.jpg"],
        "--splits train=Trainingsdaten,test=Testdaten",
    ),
    "names of other letters": (["训练集/1.jpg", "测试集/2.jpg"], "train=训练集,test=测试集"),
    "images and masks": (["Images/1.jpg", "masks/1.png"], "Images/, masks/ .*masks or labels"),
    "other splits in another class": (
        ["cat/train/1.jpg", "cat/test/2.jpg", "dog/train/3.jpg"],
        "dog/ holds train/",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_clear_is_refused(tmp_path, case):
    names, message = REFUSED[case]
    with pytest.raises(UserError, match=message):
        scan(tmp_path, *names)


def test_splits_are_as_given(tmp_path):
    names = [*both_classes("mine/one", "two"), "three/1.jpg", "mine/stray.jpg"]
    found = scan(tmp_path, *names, splits="test=two, train=mine/one")
    assert set(found.splits) == {"train", "test"}
    assert found.splits["train"].names[0] == str(pathlib.Path("mine/one/a/0.jpg"))
    assert found.left_out == {"image in no split's folder": 2}
    found = scan(tmp_path / "in", *["photos/" + name for name in names], splits="train=two")
    assert list(found.splits) == ["train"] and found.folder == tmp_path / "in" / "photos"


def test_what_lies_around_a_wrapped_folder_is_counted(tmp_path):
    names = ("x/y/train/a/1.jpg", "x/y/train/b/1.jpg", "x/note.heic", "x/.hidden", "x/y/z.nef")
    assert sum(scan(tmp_path, *names).left_out.values()) == 3


def test_no_splits_as_given(tmp_path):
    found = scan(tmp_path, *both_classes("train", "test"), "stray.jpg", splits="none")
    assert found.class_names == ("test", "train") and len(found.splits["all"].names) == 8
    assert found.left_out == {"image in no split's folder": 1}


@pytest.mark.parametrize(
    "splits",
    ["", "train", "train=", "=one", "learn=one", "train=../one", "train=/one", "train=one,val=one"]
    + ["train=one,train=two", "train=one,test=one/a", "train=.,test=two"],
)
def test_splits_that_cannot_be_read(tmp_path, splits):
    with pytest.raises(UsageError, match="splits must"):
        scan(tmp_path, *both_classes("one", "two"), splits=splits)


def test_splits_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"names three as test, but .* holds one/, two/"):
        scan(tmp_path, *both_classes("one", "two"), splits="train=one,test=three")
    with pytest.raises(UserError, match="predict"):
        scan(tmp_path / "flat", "one/1.jpg", "two/1.jpg", splits="train=one,test=two")


def test_names_that_differ_only_in_case_are_noted(tmp_path):
    assert "classes Cat and cat differ only" in scan(tmp_path, "cat/1.jpg", "Cat/2.jpg").note
    assert scan(tmp_path / "letters", "A/1.jpg", "a/2.jpg").note is None


def test_flags_that_are_named_can_be_pasted(tmp_path):
    with pytest.raises(UserError, match="--splits 'train=my train,test=my test' to"):
        scan(tmp_path, *both_classes("my train", "my test"))


def test_the_table_says_what_was_found(tmp_path, caplog):
    from keras_alexnet import DataSpec
    from keras_alexnet.data.load import load_dataset

    caplog.set_level(logging.INFO, logger="absl")  # whatever level earlier tests have left
    folder = write_names(tmp_path / "pets", *both_classes("Train", "Test"), "Train/a/x.heic")
    data = load_dataset(DataSpec("image_folder", data_dir=folder))
    assert data.left_out == {".heic (a format that is not read: convert to JPEG or PNG)": 1}
    record = next(each for each in caplog.records if "pets: 8 images" in each.getMessage())
    table = PlainFormatter().format(record)  # as the command prints it
    assert table.startswith("pets: 8 images of 2 classes\n")
    assert "\n  a          2     2\n" in table and "1  .heic" in table
    assert "Train/ as train, Test/ as test" in table
