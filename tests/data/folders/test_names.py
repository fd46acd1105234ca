"""Names of classes and files that cannot be printed, or are written in two ways."""

import hashlib
import os
import unicodedata

import numpy as np
import pytest

from keras_alexnet import DataSpec, PrepareConfig, load_dataset, prepare
from keras_alexnet.data import class_names
from keras_alexnet.data.dataset import Arrays, in_memory
from keras_alexnet.data.folders import labels_csv
from keras_alexnet.data.folders.tree import read_tree
from keras_alexnet.data.readers import image_folder
from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import is_printable
from support.image_folders import write_images, write_names

NFC = "café"
NFD = unicodedata.normalize("NFD", NFC)

BAD = {
    "two\nlines": r"'two\\nlines'",
    "line\u2028break": r"'line\\u2028break'",
    "\x1b[31mred": r"'\\x1b\[31mred'",
    "next\x85line": r"'next\\x85line'",
    "right\u202eleft": r"\\u202e",
    os.fsdecode(b"caf\xe9"): r"'caf\\xe9', which is not valid UTF-8",
    " cat": "begins or ends with a blank",
    "cat\u3000": "begins or ends with a blank",
    " ": "is empty",
}


@pytest.fixture(params=BAD, ids=repr)
def bad(request):
    return request.param, BAD[request.param]


def test_names_that_are_refused_in_folders(tmp_path, bad):
    name, message = bad
    for folder in (f"train/{name}", f"{name}"):
        root = write_names(tmp_path / folder[:2], f"{folder}/1.png")
        write_names(root, f"{os.path.dirname(folder) or '.'}/other/1.png")
        with pytest.raises(UserError, match=message) as error:
            image_folder.scan(root)
        assert is_printable(str(error.value))


def test_names_that_are_refused_everywhere(tmp_path, bad):
    name, message = bad
    arrays = Arrays((name, "dog"), *[np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1])] * 2)
    with pytest.raises(UserError, match=message):
        in_memory("mine", arrays)
    write_names(tmp_path / "flat", "1.png", "2.png")
    (tmp_path / "labels.csv").write_text(
        f'1.png,"{name}"\n2.png,dog\n', encoding="utf-8", errors="surrogateescape", newline=""
    )
    if name == name.strip():  # blanks around cells are removed
        with pytest.raises(UserError, match=message):
            labels_csv.read_labels(tmp_path / "labels.csv", read_tree(tmp_path / "flat"))


def test_names_that_are_kept():
    names = ("Café", "日本", "👩\u200d🔬", "T-shirt/top", "=1+1", "two words", "a\xa0b")
    assert class_names.checked(names, "photos") == names


def test_decomposed_names_are_the_same(tmp_path):
    assert NFC != NFD
    found = [
        image_folder.read(write_names(tmp_path / each, f"{name}/1.png", "tea/2.png"))
        for each, name in (("one", NFC), ("two", NFD))
    ]
    assert found[0].class_names == found[1].class_names == (NFC, "tea")
    assert found[0].sha256 == found[1].sha256
    names = (f"train/{NFC}/1.png", "train/tea/2.png", f"test/{NFD}/1.png", "test/tea/2.png")
    assert image_folder.scan(write_names(tmp_path / "three", *names)).class_names == (NFC, "tea")


def test_two_names_that_are_the_same(tmp_path):
    with pytest.raises(UserError, match="more than one class named 'café'"):
        image_folder.scan(write_names(tmp_path, f"{NFC}/1.png", f"{NFD}/2.png"))


def test_the_fingerprint_of_an_ordinary_folder_stays(tmp_path):
    names = ("train/b/1.png", "train/a/x/2.png", "valid/a/1.png", "valid/b/a b.PNG")
    folder = write_names(tmp_path, *names)
    digest = hashlib.sha256()
    for name in sorted(names):
        contents = (folder / name).read_bytes()
        digest.update(b"%s\0%d\0" % (name.encode(), len(contents)) + contents)
    assert image_folder.read(folder).sha256 == digest.hexdigest()


def test_files_whose_names_cannot_be_printed(tmp_path):
    names = (b"caf\xe9.png", b"two\nlines.png", b"\x1b[31m.png")
    write_images(tmp_path / "in" / "train", ["a", "b"], 2)
    write_images(tmp_path / "in" / "test", ["a", "b"], 1)
    for name in names:
        path = os.path.join(os.fsencode(tmp_path / "in" / "train" / "a"), name)
        with open(path, "wb") as file:
            file.write((tmp_path / "in" / "train" / "a" / "000.png").read_bytes())
    (tmp_path / "in" / "train" / "a" / "list.txt").write_text("no image")
    data = load_dataset(DataSpec("image_folder", data_dir=tmp_path / "in"))
    assert len(data.train) == 7
    prepare(PrepareConfig(source=tmp_path / "in", out=tmp_path / "out", threads=1))
    again = load_dataset(DataSpec("tfrecord", data_dir=tmp_path / "out"))
    assert again.sha256 == data.sha256 and len(again.train) == 7
    assert again.left_out == data.left_out == {".txt (not an image)": 1}


def test_a_file_larger_than_any_image(tmp_path):
    write_names(tmp_path, "a/1.png", "b/2.png")
    with open(tmp_path / "a" / "sparse.png", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="sparse.png has 1,099,511,627,776 bytes"):
        image_folder.read(tmp_path)
