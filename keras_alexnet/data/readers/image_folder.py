"""Reads image folders: one folder per class, named after it."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, NamedTuple

from keras_alexnet.data.readers import Reader, register
from keras_alexnet.errors import UserError

if TYPE_CHECKING:
    from keras_alexnet.data.dataset import UnsplitDataset

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}


_LAYOUT = "Expected train/<class>/… with test/ or val/, or <class>/…."


class LabeledFiles(NamedTuple):
    """Names of files below a data set's folder, and the class of each."""

    names: list[str]
    labels: list[int]


class ImageFolder(NamedTuple):
    """What a folder of images holds.

    `splits` has one or more of "train", "val" and "test", or only "all" if the class folders are
    directly in `folder`.
    """

    folder: pathlib.Path
    class_names: tuple[str, ...]
    splits: dict[str, LabeledFiles]


def read(place: pathlib.Path | None) -> UnsplitDataset:
    """Reads the labeled images of a folder, or of an archive of one.

    Raises:
        UserError: as in `scan`, or if the archive is damaged.

    Example:
        >>> sorted(read(pathlib.Path("flowers.zip")).splits)  # doctest: +SKIP
        ['test', 'train']
    """
    import numpy as np

    from keras_alexnet.data import archives, fingerprints
    from keras_alexnet.data.dataset import UnsplitDataset
    from keras_alexnet.data.images import ImageFiles
    from keras_alexnet.data.splits import Split

    assert place is not None
    found = scan(archives.unpacked(place) if place.is_file() else place)
    names = [name for files in found.splits.values() for name in files.names]
    splits = {
        part: Split.of(ImageFiles(found.folder, files.names), np.array(files.labels))
        for part, files in found.splits.items()
    }
    sha256, sha256_of = fingerprints.of_files(found.folder, names)
    return UnsplitDataset(archives.stem(place), found.class_names, splits, sha256, sha256_of)


def scan(folder: str | os.PathLike) -> ImageFolder:
    """Lists the images of `train/<class>/…`, `val/…`, `test/…`, or of `<class>/…`.

    Hidden files and those that operating systems leave behind are ignored, and so are files not
    named as images. A folder that only holds another one, as in many archives, is skipped.

    Raises:
        UserError: if there is no folder, no class or a class without an image, or if the splits
            do not have the same classes.

    Example:
        >>> scan("flowers").class_names  # doctest: +SKIP
        ('daisy', 'rose')
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise UserError(f"The image folder {folder} does not exist. {_LAYOUT}")
    folder = _unwrapped(folder)
    parts = _split_folders(folder)
    class_names = _same_classes(folder, parts)
    splits = {}
    for split, part in parts.items():
        names, labels = [], []
        for label, class_name in enumerate(class_names):
            images = _images(folder, part / class_name)
            names += images
            labels += [label] * len(images)
        splits[split] = LabeledFiles(names, labels)
    return ImageFolder(folder, class_names, splits)


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is one that operating systems leave behind."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _subfolders(folder: pathlib.Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not is_hidden(e.name))
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error}.") from error


def _unwrapped(folder: pathlib.Path) -> pathlib.Path:
    while True:
        below = _subfolders(folder)
        if len(below) != 1 or below[0] in SPLIT_NAMES or not _subfolders(folder / below[0]):
            return folder
        folder = folder / below[0]


def _split_folders(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    named = [name for name in _subfolders(folder) if name in SPLIT_NAMES]
    # A folder "train" that has images but no folders is a class (of vehicles), not a split.
    if not any(_subfolders(folder / name) for name in named):
        return {"all": folder}
    parts = {SPLIT_NAMES[name]: folder / name for name in named}
    if len(parts) < len(named):
        raise UserError(f"{folder} has more than one validation folder: {', '.join(named)}.")
    return parts


def _same_classes(folder: pathlib.Path, parts: dict[str, pathlib.Path]) -> tuple[str, ...]:
    classes = {part: set(_subfolders(part)) for part in parts.values()}
    for part, names in classes.items():
        if not names:
            raise UserError(f"{part} has no class folder: it is empty or half unpacked. {_LAYOUT}")
    every = sorted(set.union(*classes.values()))
    missing = [
        f"{part.name}/ lacks {', '.join(sorted(set(every) - names))}"
        for part, names in classes.items()
        if len(names) < len(every)
    ]
    if missing:
        raise UserError(
            f"The splits of {folder} must have the same class folders. Received: "
            f"{'; '.join(missing)}. Complete or rename the folders."
        )
    return tuple(every)


def _images(folder: pathlib.Path, class_folder: pathlib.Path) -> list[str]:
    """Returns the names of a class's images relative to `folder`, sorted, with subfolders."""
    names: list[str] = []
    others: list[str] = []
    for parent, subfolders, files in os.walk(class_folder):
        subfolders[:] = [name for name in subfolders if not is_hidden(name)]
        relative = os.path.relpath(parent, folder)
        for name in files:
            if not is_hidden(name):
                kind = names if name.lower().endswith(EXTENSIONS) else others
                kind.append(os.path.join(relative, name))
    if not names:
        also = f" (but {len(others)} other files, such as {others[0]})" if others else ""
        raise UserError(
            f"The class folder {class_folder} has no image{also}. Images end in "
            f"{', '.join(EXTENSIONS)}. Add images, or remove the folder from every split."
        )
    return sorted(names)


register(
    Reader(dataset="image_folder", read=read, data_dir="a folder of images, or an archive of one")
)
