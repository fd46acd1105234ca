"""What is no image, what links reach twice, and training runs: left out and counted, or refused."""

import os
import pathlib
import shutil
import socket

import pytest

from keras_alexnet.data.folders.tree import read_tree
from keras_alexnet.data.readers import image_folder
from keras_alexnet.errors import UserError
from support.image_folders import write_names

HIDDEN = "hidden, or of an operating system or tool"


def scan(folder, *names, **options):
    return image_folder.scan(write_names(folder, *names), **options)


@pytest.fixture
def pets(tmp_path):
    return write_names(tmp_path / "pets", "cat/1.jpg", "cat/2.png", "dog/3.jpg")


def test_endings_are_counted(pets):
    write_names(pets, "cat/4.HEIC", "cat/5.heic", "dog/6.NEF", "dog/7.jpg.crdownload")
    for name in ("cat/a.txt", "cat/b.TXT", "dog/c.xml", "readme", "cat/old.jpg_large"):
        (pets / name).write_text("text")
    write_names(pets, "dog/8.jpg_large")
    found = image_folder.scan(pets)
    assert len(found.splits["all"].names) == 3
    convert = "(a format that is not read: convert to JPEG or PNG)"
    assert found.left_out == {
        f".heic {convert}": 2,
        ".jpg_large (not an image)": 2,
        ".txt (not an image)": 2,
        ".crdownload (half downloaded or copied)": 1,
        f".nef {convert}": 1,
        ".xml (not an image)": 1,
        "no ending (not an image)": 1,
    }


def test_endings_that_are_read(tmp_path):
    endings = "jpg JPEG jpe jfif png bmp dib gif webp WebP tif TIFF avif ppm pgm pbm".split()
    names = [f"{name}/{number}.{ending}" for name in "ab" for number, ending in enumerate(endings)]
    found = scan(tmp_path, *names)
    assert len(found.splits["all"].names) == 2 * len(endings) and found.left_out == {}


def test_images_without_an_ending(tmp_path):
    starts = (b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"RIFF1234WEBP", b"\0\0\0\x1cftypavif")
    write_names(tmp_path, "a/0001", "b/img 2. the last")
    for number, start in enumerate(starts):
        (tmp_path / "a" / f"x{number}").write_bytes(start + bytes(40))
    (tmp_path / "a" / "list").write_text("BMW")
    (tmp_path / "a" / "empty").write_bytes(b"")
    found = image_folder.scan(tmp_path)
    assert len(found.splits["all"].names) == 2 + len(starts)
    assert found.left_out == {"no ending (not an image)": 2}


def test_what_systems_and_tools_leave(pets):
    junk = (
        *(".DS_Store", "cat/._1.jpg", "cat/Thumbs.db", "Desktop.ini", "cat/Icon\r", "dog/3.jpg~"),
        *("__MACOSX/cat/1.jpg", "@eaDir/a.jpg", "cat/@eaDir/1.jpg", "$RECYCLE.BIN/x.jpg"),
        *(".ipynb_checkpoints/1.png", "cat/.ipynb_checkpoints/1.png", "lost+found/1.jpg"),
    )
    found = image_folder.scan(write_names(pets, *junk))
    assert found.class_names == ("cat", "dog") and len(found.splits["all"].names) == 3
    assert found.left_out == {HIDDEN: len(junk)}


def test_pipes_sockets_and_devices(pets, monkeypatch):
    os.mkfifo(pets / "cat" / "f.jpg")
    os.mkfifo(pets / "cat" / "f")
    monkeypatch.chdir(pets / "cat")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.png")
    (pets / "dog" / "linked.jpg").symlink_to(pets / "cat" / "f.jpg")
    (pets / "dog" / "null.jpg").symlink_to("/dev/null")
    (pets / "dog" / "nowhere").symlink_to(pets / "nowhere")
    found = image_folder.scan(pets)
    assert len(found.splits["all"].names) == 3
    assert found.left_out == {"named pipe, socket or device": 5, "link to nothing": 1}
    assert image_folder.read(pets).sha256


def test_a_folder_in_a_class_that_cannot_be_read(pets, monkeypatch):
    write_names(pets, "cat/more/1.jpg")
    list_folder = os.scandir

    def forbidden(path):
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied")
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(UserError, match="more cannot be read: Permission denied"):
        image_folder.scan(pets)


def test_links_to_folders_are_followed(pets, tmp_path):
    pool = write_names(tmp_path / "pool", "kittens/7.jpg", "owls/8.jpg")
    (pets / "cat" / "more").symlink_to(pool / "kittens")
    (pets / "owl").symlink_to(pool / "owls")
    found = image_folder.scan(pets)
    assert found.class_names == ("cat", "dog", "owl")
    assert str(pathlib.Path("cat/more/7.jpg")) in found.splits["all"].names
    assert len(found.splits["all"].names) == 5 and found.left_out == {}


def test_links_into_a_pool_beside_the_splits(tmp_path):
    pool = write_names(tmp_path / "all", "cat/1.jpg", "dog/2.jpg", "3.jpg")
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
    (tmp_path / "train" / "cat" / "more").symlink_to(pool / "cat")
    (tmp_path / "train" / "dog" / "1.jpg").symlink_to(pool / "dog" / "2.jpg")
    write_names(tmp_path, "test/cat/5.jpg", "test/dog/6.jpg")
    found = image_folder.scan(tmp_path, splits="train=train,test=test")
    assert len(found.splits["train"].names) == 2 and len(found.splits["test"].names) == 2


def test_links_in_a_circle(pets):
    (pets / "cat" / "again").symlink_to(pets)
    (pets / "dog" / "itself").symlink_to(pets / "dog")
    (pets / "dog" / "loop.jpg").symlink_to(pets / "dog" / "loop.jpg")
    found = image_folder.scan(pets)
    assert len(found.splits["all"].names) == 4  # the last one cannot be read
    assert found.left_out == {"link to a folder around it": 2}


def test_folders_that_link_to_each_other_without_end(tmp_path):
    """Each level doubles the number of ways to the images."""
    for level in range(40):
        (tmp_path / f"level{level}").mkdir()
        for way in "ab":
            (tmp_path / f"level{level}" / way).symlink_to(tmp_path / f"level{level + 1}")
    write_names(tmp_path, "level40/1.jpg")
    assert read_tree(tmp_path / "level0").count == 1


def test_reached_twice_in_a_class_counts_once(pets):
    (pets / "cat" / "same.jpg").symlink_to(pets / "cat" / "1.jpg")
    write_names(pets, "cat/young/8.jpg", "cat/young/9.jpg")
    (pets / "cat" / "kittens").symlink_to(pets / "cat" / "young")
    found = image_folder.scan(pets)
    assert len(found.splits["all"].names) == 5
    assert found.left_out == {"reached twice by links": 3}


@pytest.mark.parametrize(
    "link, target, message",
    [
        ("kitty", "cat", "cat and kitty are the same by a link, but in different classes"),
        ("dog/friend", "cat", "different classes"),
        ("dog/4.jpg", "cat/1.jpg", "different classes"),
    ],
)
def test_a_class_linked_to_another(pets, link, target, message):
    (pets / link).symlink_to(pets / target)
    with pytest.raises(UserError, match=message):
        image_folder.scan(pets)


def test_a_split_linked_to_another(tmp_path):
    write_names(tmp_path, "train/a/1.jpg", "train/b/2.jpg")
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(UserError, match="same by a link, but in different splits"):
        image_folder.scan(tmp_path)


def test_folders_without_end(tmp_path):
    folder = tmp_path / "a"
    deep = folder.joinpath(*["x"] * 80)
    write_names(deep, "1.jpg")
    with pytest.raises(UserError, match="folders deep"):
        image_folder.scan(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "names", [("config.json", "model.keras"), ("config.json", "metrics.csv"), ("per_class.csv",)]
)
def test_runs_in_the_data_folder(pets, names):
    run = write_names(pets, "runs/1/confusion.png", "runs/1/wrong.png") / "runs" / "1"
    for name in names:
        (run / name).write_text("{}")
    found = image_folder.scan(pets)
    assert found.class_names == ("cat", "dog")
    assert found.left_out == {"in a run's folder": 2 + len(names)}
    with pytest.raises(UserError, match="is the folder of a training run"):
        image_folder.scan(run)
