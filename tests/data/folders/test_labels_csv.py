"""labels.csv: labels of images in no class folders."""

import pathlib

import pytest

from keras_alexnet import DataSpec
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.readers import image_folder
from keras_alexnet.errors import UsageError, UserError
from support.image_folders import write_names


@pytest.fixture
def flat(tmp_path):
    return write_names(
        tmp_path / "pets",
        *("train/cat.0.jpg", "train/dog.0.jpg", "train/dog.1.jpg", "test/1.jpg", "test/2.jpg"),
    )


def scanned(folder, text, encoding="utf-8", **options):
    (folder / "labels.csv").write_bytes(text.encode(encoding))
    found = image_folder.scan(folder, **options)
    return {
        split: {
            pathlib.Path(name).as_posix(): found.class_names[label]
            for name, label in zip(files.names, files.labels, strict=True)
        }
        for split, files in found.splits.items()
    }, found


TRAIN = {"train/cat.0.jpg": "cat", "train/dog.0.jpg": "dog", "train/dog.1.jpg": "dog"}
SAME = [
    "train/cat.0.jpg,cat\ntrain/dog.0.jpg,dog\ntrain/dog.1.jpg,dog\n",
    "file name,label\ncat.0.jpg,cat\ndog.0.jpg,dog\n\ndog.1.jpg,dog",
    "id,breed\ncat.0,cat\ndog.0,dog\ndog.1,dog\n",
    "label;index;file\r\ncat;0;train\\cat.0.jpg\r\ndog;1;dog.0.jpg\r\ndog;2;./train/dog.1.jpg\r\n",
    '\ufeffname\tclass\ncat.0.jpg\tcat\n"dog.0.jpg"\t dog \ndog.1.jpg\tdog\n',
]


@pytest.mark.parametrize("text", SAME, ids=range(len(SAME)))
def test_forms_of_the_table(flat, text):
    found, scan = scanned(flat, text)
    assert found == {"all": TRAIN}
    assert scan.left_out == {
        "image that the list of labels does not name": 2,
        ".csv (not an image)": 1,
    }
    assert "labels.csv" in scan.note


def test_splits(flat):
    wanted = {"train": TRAIN, "test": {"test/1.jpg": "cat", "test/2.jpg": "dog"}}
    text = "cat.0.jpg,cat,training\ndog.0.jpg,dog,train\ndog.1.jpg,dog,Train\n"
    found, _ = scanned(flat, text + "1.jpg,cat,TEST\n2.jpg,dog,testing\n")
    assert found == wanted
    text = "cat.0.jpg,cat\ndog.0.jpg,dog\ndog.1.jpg,dog\ntest/1.jpg,cat\ntest/2.jpg,dog\n"
    assert scanned(flat, text)[0] == wanted


def test_splits_named_by_folders_anywhere(tmp_path):
    names = [f"{place}/{split}/1.jpg" for place in "xy" for split in ("train", "test")]
    folder = write_names(tmp_path, *names, "z/1.jpg")
    text = "".join(f"{name},{label}\n" for name, label in zip(names, "aabb", strict=True))
    found, _ = scanned(folder, text, labels_csv=folder / "labels.csv")
    assert found == {
        "train": {"x/train/1.jpg": "a", "y/train/1.jpg": "b"},
        "test": {"x/test/1.jpg": "a", "y/test/1.jpg": "b"},
    }
    with pytest.raises(UserError, match="such as z/1.jpg. Add a column split"):
        scanned(folder, f"{text}z/1.jpg,a\n", labels_csv=folder / "labels.csv")


def test_a_class_without_training_images(flat):
    text = "cat.0.jpg,cat,train\ndog.0.jpg,dog,train\n1.jpg,Cat,test\n"
    with pytest.raises(UserError, match="Line 3 .*Cat is a class of test, but not of train"):
        scanned(flat, text)


def test_labels_that_differ_only_in_case_are_noted(flat):
    assert "classes Cat and cat differ" in scanned(flat, "cat.0.jpg,cat\ndog.0.jpg,Cat\n")[1].note


def test_the_fingerprint_has_the_labels(flat, tmp_path):
    text = "cat.0.jpg,{}\ndog.0.jpg,dog\n"
    hashes = set()
    for label in ("cat", "dog", "owl"):
        (flat / "labels.csv").write_text(text.format(label))
        hashes.add(image_folder.read(flat).sha256)
    other = tmp_path / "elsewhere.csv"
    other.write_text(text.format("owl"))
    (flat / "labels.csv").unlink()
    data = load_dataset(DataSpec("image_folder", data_dir=flat, labels_csv=other))
    assert data.sha256 in hashes and len(hashes) == 3 and data.class_names == ("dog", "owl")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("file,label\n", "is empty"),
        ("cat.0.jpg,cat\nnone.jpg,dog\n", "Line 2 .*none.jpg is no image"),
        ("none.jpg,cat\ncat.0.jpg,cat\n", "Line 1 .*none.jpg"),
        ("cat.0.jpg,cat\ntrain/cat.0.jpg,dog\n", "Line 2 .*on line 1"),
        ("0001,cat\ncat.0.jpg,cat\n", "Line 1 .*not known which"),
        ("cat.0.jpg,cat\ndog.0.jpg,\n", "Line 2 .*no label"),
        ("cat.0.jpg,cat\ndog.0.jpg\n", "Line 2 .*no label"),
        ("cat.0.jpg,cat,train\ndog.0.jpg,dog,other\n", "Line 2 .*'other' is not train"),
        ("cat.0.jpg,cat,train\ndog.0.jpg,dog\n", "Line 2 .*split"),
        ("cat.0.jpg,cat,0.5,0.5\n", "more than"),
        ("image,cat,dog,owl\ncat.0.jpg,1,0,0\n", "not known which"),
        ("cat.0.jpg,ca\x1b[31mt\n", r"'ca\\x1b\[31mt', which has .* cannot be printed"),
        ('cat.0.jpg,"two\nlines"\n', r"two\\nlines"),
    ],
    ids=repr,
)
def test_tables_that_cannot_be_used(flat, text, message):
    with pytest.raises(UserError, match=message):
        scanned(flat, text)


def test_a_label_that_is_not_utf8(flat):
    with pytest.raises(UserError, match=r"caf\\xe9', which is not valid UTF-8"):
        scanned(flat, "cat.0.jpg,café\ndog.0.jpg,dog\n", encoding="latin-1")


def test_ambiguous_names(flat):
    write_names(flat, "test/cat.0.jpg")
    with pytest.raises(UserError, match=r"cat.0.jpg names 2 images"):
        scanned(flat, "cat.0.jpg,cat\n")
    assert scanned(flat, "train/cat.0.jpg,cat\n")[0] == {"all": {"train/cat.0.jpg": "cat"}}


def test_a_whole_path_is_not_ambiguous(tmp_path):
    folder = write_names(tmp_path, "1.jpg", "copies/1.jpg", "copies/2.jpg")
    found, _ = scanned(folder, "1.jpg,cat\ncopies/1.jpg,dog\n2.jpg,dog\n")
    assert found == {"all": {"1.jpg": "cat", "copies/1.jpg": "dog", "copies/2.jpg": "dog"}}


def test_not_read_beside_class_folders(tmp_path):
    folder = write_names(tmp_path, "cat/1.jpg", "dog/2.jpg")
    found, scan = scanned(folder, "cat/1.jpg,dog\ndog/2.jpg,cat\n")
    assert found == {"all": {"cat/1.jpg": "cat", "dog/2.jpg": "dog"}}
    assert "labels.csv was not read" in scan.note
    found, _ = scanned(folder, "cat/1.jpg,dog\ndog/2.jpg,cat\n", labels_csv=folder / "labels.csv")
    assert found == {"all": {"cat/1.jpg": "dog", "dog/2.jpg": "cat"}}


def test_in_one_folder_and_in_wrapped_ones(tmp_path):
    folder = write_names(tmp_path / "outer", "pets/images/1.jpg", "pets/images/2.jpg")
    (folder / "pets" / "labels.csv").write_text("images/1.jpg,cat\n2.jpg,dog\n")
    assert image_folder.scan(folder / "pets").class_names == ("cat", "dog")
    (folder / "labels.csv").write_text("pets/images/1.jpg,cat\n2.jpg,dog\n")
    (folder / "pets" / "labels.csv").unlink()
    assert image_folder.scan(folder).class_names == ("cat", "dog")
    found = image_folder.scan(folder, labels_csv=folder / "labels.csv")
    assert found.class_names == ("cat", "dog")


def test_with_other_data_or_splits(flat):
    with pytest.raises(UsageError, match="splits or labels_csv"):
        image_folder.scan(flat, splits="none", labels_csv="labels.csv")
    with pytest.raises(UsageError, match="labels_csv is for --dataset image_folder"):
        load_dataset(DataSpec("shapes", labels_csv="labels.csv"))
    with pytest.raises(UsageError, match="splits is for --dataset image_folder"):
        load_dataset(DataSpec("shapes", splits="none"))
    with pytest.raises(UserError, match="cannot be read: No such file"):
        image_folder.scan(flat, labels_csv=flat / "none.csv")
