"""Reads image folders: one folder per class, named after it, or a table of labels."""

from __future__ import annotations

import hashlib
import os
import pathlib
from typing import TYPE_CHECKING, NamedTuple

from keras_alexnet.data.folders.files import EXTENSIONS, is_hidden
from keras_alexnet.data.readers import Reader, register
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils.text import printable

if TYPE_CHECKING:
    from keras_alexnet.data.dataset import UnsplitDataset
    from keras_alexnet.data.folders.collect import Collected, LabeledFiles
    from keras_alexnet.data.folders.tree import Folder, Source
    from keras_alexnet.data.images import EncodedImages

__all__ = ["EXTENSIONS", "ImageFolder", "is_hidden", "read", "scan"]


_LARGEST_FILE_BYTES = 2**31 - 1  # what TensorFlow's decoders take

_ANY_NAME = "utf-8", "surrogateescape"  # how names of files become bytes


class ImageFolder(NamedTuple):
    """What a folder of images holds.

    `splits` has one or more of "train", "val" and "test", or only "all" if the class folders are
    directly in `folder`. `left_out` says why files were left out → how many, and `note` how the
    folders were read, if their names do not say it.
    """

    folder: pathlib.Path
    class_names: tuple[str, ...]
    splits: dict[str, LabeledFiles]
    left_out: dict[str, int]
    note: str | None


def read(
    place: pathlib.Path | None,
    splits: str | None = None,
    labels_csv: str | os.PathLike | None = None,
) -> UnsplitDataset:
    """Reads the labeled images of a folder, or of an archive of one.

    Args:
        place: the folder or archive.
        splits, labels_csv: as in `scan`.

    Raises:
        UsageError, UserError: as in `scan`, or if the archive is damaged, or if a file is larger
            than any image that can be read.

    Example:
        >>> sorted(read(pathlib.Path("flowers.zip")).splits)  # doctest: +SKIP
        ['test', 'train']
    """
    import numpy as np

    from keras_alexnet.data import archives, fingerprints
    from keras_alexnet.data.dataset import UnsplitDataset
    from keras_alexnet.data.decoded import cache as decoded_cache
    from keras_alexnet.data.image_files import ImageFiles
    from keras_alexnet.data.packed import archive
    from keras_alexnet.data.splits import Split

    assert place is not None
    packed = archive.opened(place) if place.is_file() and labels_csv is None else None
    folder = archives.unpacked(place) if place.is_file() and packed is None else place
    found = scan(folder, splits, labels_csv, packed)
    images: dict[str, EncodedImages] = {
        part: ImageFiles(found.folder, files.names)
        if packed is None
        else packed.images(found.folder, files.names)
        for part, files in found.splits.items()
    }
    states = {part: decoded_cache.state_of(pixels.paths) for part, pixels in images.items()}
    hashed = [name for files in found.splits.values() for name in files.hashed]
    names = [name for files in found.splits.values() for name in files.names]
    of_files = fingerprints.of_files if packed is None else packed.fingerprint
    sha256, sha256_of = of_files(found.folder, names, hashed, largest=_LARGEST_FILE_BYTES)
    for part, pixels in images.items():
        if sha256_of != "contents" or len(pixels) < decoded_cache.FEWEST:
            continue
        order = hashlib.sha256("\n".join([sha256, *found.splits[part].hashed]).encode(*_ANY_NAME))
        pixels.cache = decoded_cache.DecodedCache(order.hexdigest(), pixels.paths, states[part])
    parts = {
        part: Split.of(images[part], np.array(files.labels)) for part, files in found.splits.items()
    }
    return UnsplitDataset(
        name=printable(archives.stem(place)),
        class_names=found.class_names,
        splits=parts,
        sha256=sha256,
        sha256_of=sha256_of,
        left_out=found.left_out,
        note=found.note,
    )


def scan(
    folder: str | os.PathLike,
    splits: str | None = None,
    labels_csv: str | os.PathLike | None = None,
    source: Source | None = None,
) -> ImageFolder:
    """Lists the images of `train/<class>/…`, `val/…`, `test/…`, or of `<class>/…`.

    Splits are known by their usual names. Files that are not images are counted. A folder that
    only holds another one, as in many archives, is skipped.

    Args:
        folder: the data folder.
        splits: which folders are splits, such as "train=Training,test=Testing", or "none" if the
            folders are classes; None if they are to be recognized.
        labels_csv: a table of file name,label[,split], for images in no class folders. Without it,
            a `labels.csv` in a folder without class folders is read.
        source: what reads the folder, such as an archive; by default the disk.

    Raises:
        UsageError: if `splits` cannot be read.
        UserError: if there is no folder, no class or a class without an image, if the splits
            do not have the same classes, or if it is not clear what is a split or a class.

    Example:
        >>> scan("flowers").class_names  # doctest: +SKIP
        ('daisy', 'rose')
    """
    from keras_alexnet.data.folders import layout, tree

    folder = pathlib.Path(folder)
    if source is None and not folder.is_dir():
        raise UserError(f"The image folder {printable(folder)} does not exist. {layout.LAYOUT}")
    if splits is not None and labels_csv is not None:
        raise UsageError(
            f"Pass splits or labels_csv, whose third column names the split. Received: {splits!r} "
            f"and {printable(labels_csv)}."
        )
    root = tree.read_tree(folder, source)
    if root.is_run:
        raise UserError(
            f"{printable(folder)} is the folder of a training run or evaluation, not of a data set."
        )
    path, inner = layout.unwrapped(root, splits)
    inside = folder / path
    if labels_csv is None and splits is None:
        labels_csv = _table_of(folder, inside, inner)
    if labels_csv is not None:
        return _with_table(root, path, inside, labels_csv)
    return _with_folders(root, inner, inside, splits)


def _with_folders(
    root: Folder, inner: Folder, folder: pathlib.Path, splits: str | None
) -> ImageFolder:
    from keras_alexnet.data.folders import collect, labels_csv, layout

    found = layout.find_layout(inner, splits)
    files = collect.collected(root, found)
    notes = [found.note] if found.note else []
    if (folder / labels_csv.NAME).is_file():
        notes.append(f"{labels_csv.NAME} was not read, because there are class folders")
    return _noted(folder, files, notes)


def _with_table(
    root: Folder, path: str, folder: pathlib.Path, table: str | os.PathLike
) -> ImageFolder:
    from keras_alexnet.data.folders import labels_csv

    files = labels_csv.read_labels(table, root, path)
    return _noted(folder, files, [f"labels were read from {printable(os.path.basename(table))}"])


def _noted(folder: pathlib.Path, files: Collected, notes: list[str]) -> ImageFolder:
    from keras_alexnet.data import class_names

    if alike := class_names.alike(files.class_names):
        notes = [*notes, f"the classes {' and '.join(alike)} differ only in upper and lower case"]
    note = "; ".join(notes) or None
    return ImageFolder(folder, files.class_names, files.splits, files.left_out, note)


def _table_of(folder: pathlib.Path, inside: pathlib.Path, root: Folder) -> pathlib.Path | None:
    """The table in a data folder, or in the folder inside, whose images lie in no class folders."""
    from keras_alexnet.data.folders import labels_csv, layout, split_names

    tables = [place / labels_csv.NAME for place in (inside, folder)]
    below = {name: each for name, each in layout.subfolders(root).items() if each.count}
    flat = all(not layout.subfolders(each) for each in below.values())
    unlabeled = len(below) < 2 or all(split_names.split_of(name) for name in below)
    found = [table for table in tables if table.is_file()] if flat and unlabeled else []
    return found[0] if found else None


register(
    Reader(
        dataset="image_folder",
        read=read,
        data_dir="a folder of images, or an archive of one",
        options=("splits", "labels_csv"),
    )
)
