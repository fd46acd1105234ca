"""Image folders: one folder a class, the folder's name its label."""

import hashlib
import os
import pathlib
from typing import NamedTuple

from keras_alexnet.decode import EXTENSIONS
from keras_alexnet.errors import UserError

SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "validation": "val",
    "valid": "val",
    "test": "test",
}
_HASHED_BYTES = 4 * 2**30


class LabelledFiles(NamedTuple):
    """Files below a data set's folder, sorted, and the class of each."""

    names: list[str]
    labels: list[int]


class ImageFolder(NamedTuple):
    """What a folder of images holds.

    `splits` has one or more of "train", "val", "test", or only "all" where the class folders
    stand directly below `folder`.
    """

    folder: pathlib.Path
    class_names: tuple[str, ...]
    splits: dict[str, LabelledFiles]


def scan(folder: str | os.PathLike) -> ImageFolder:
    """Lists the images of `train/<class>/…`, `val/…`, `test/…`, or of `<class>/…`.

    Hidden files and those that file managers leave behind are ignored, and so are files that are
    not named as images. A folder that only wraps another, as in many archives, is stepped into.

    Raises:
        UserError: if there is no folder, no class, a class without an image, or if the splits
            do not have the same classes.
    """
    folder = _unwrap(_existing(folder))
    below = _subfolders(folder)
    found = {SPLIT_NAMES[name]: name for name in below if name in SPLIT_NAMES}
    if not found:
        found = {"all": "."}
    classes = {split: _subfolders(folder / name) for split, name in found.items()}
    class_names = _same_classes(folder, classes)
    splits = {}
    for split, name in found.items():
        names, labels = [], []
        for label, class_name in enumerate(class_names):
            images = _images(folder, os.path.normpath(os.path.join(name, class_name)))
            names += images
            labels += [label] * len(images)
        splits[split] = LabelledFiles(names, labels)
    return ImageFolder(folder, class_names, splits)


def sha256(image_folder: ImageFolder) -> tuple[str, str]:
    """Hash of the images' relative names and contents, in sorted order, and what it is of.

    The same for a folder and an archive of it. Above a few GiB only names and sizes are hashed.

    Returns:
        (hexadecimal digest, "contents" or "names and sizes").
    """
    names = sorted(name for files in image_folder.splits.values() for name in files.names)
    paths = [image_folder.folder / name for name in names]
    sizes = [path.stat().st_size for path in paths]
    digest = hashlib.sha256()
    if sum(sizes) > _HASHED_BYTES:
        for name, size in zip(names, sizes, strict=True):
            digest.update(f"{_portable(name)}\0{size}\0".encode())
        return digest.hexdigest(), "names and sizes"
    for name, path in zip(names, paths, strict=True):
        contents = path.read_bytes()
        digest.update(f"{_portable(name)}\0{len(contents)}\0".encode())
        digest.update(contents)
    return digest.hexdigest(), "contents"


def is_hidden(name: str) -> bool:
    """Whether a file or folder name is one that operating systems leave behind."""
    return name.startswith(".") or name in ("Thumbs.db", "desktop.ini", "__MACOSX")


def _existing(folder) -> pathlib.Path:
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise UserError(f"No such image folder: {folder}.")
    return folder


def _portable(name: str) -> str:
    return name.replace(os.sep, "/")


def _subfolders(folder: pathlib.Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not is_hidden(e.name))


def _unwrap(folder: pathlib.Path) -> pathlib.Path:
    while True:
        below = _subfolders(folder)
        if len(below) != 1 or below[0] in SPLIT_NAMES or not _subfolders(folder / below[0]):
            return folder
        folder = folder / below[0]


def _same_classes(folder: pathlib.Path, classes: dict[str, list[str]]) -> tuple[str, ...]:
    for split, names in classes.items():
        if not names:
            raise UserError(f"{folder} has no class folder in {split}.")
    first, *others = classes.items()
    for split, names in others:
        if names != first[1]:
            raise UserError(
                f"{folder}: classes differ. Only in {first[0]}: {sorted(set(first[1]) - set(names))}. "
                f"Only in {split}: {sorted(set(names) - set(first[1]))}."
            )
    return tuple(first[1])


def _images(folder: pathlib.Path, class_folder: str) -> list[str]:
    names = []
    for parent, folders, files in os.walk(folder / class_folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        relative = os.path.relpath(parent, folder)
        names += [
            os.path.join(relative, name)
            for name in files
            if name.lower().endswith(EXTENSIONS) and not is_hidden(name)
        ]
    if not names:
        raise UserError(f"The class folder {folder / class_folder} has no image.")
    return sorted(names)
