"""Reads the two ImageNet (ILSVRC 2012) archives without unpacking them.

`ILSVRC2012_img_train.tar` is a tar of one uncompressed tar per class; `ILSVRC2012_img_val.tar`
holds 50,000 images without their labels. Once the place of an image in them is known, it is read
like a separate file.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from keras_alexnet.errors import UserError
from keras_alexnet.utils.files import open_regular

if TYPE_CHECKING:
    import tarfile

    from keras_alexnet.data.dataset import UnsplitDataset
    from keras_alexnet.data.splits import Split

NAME = "imagenet2012"


TRAIN = "ILSVRC2012_img_train.tar"


VALIDATION = "ILSVRC2012_img_val.tar"


TRAIN_IMAGES = 1_281_167


_CLASS_ARCHIVE = re.compile(r"(n\d{8})\.tar")


_TRAIN_IMAGE = re.compile(r"n\d{8}_\d+\.JPEG")


_VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_\d{8}\.JPEG")


_LARGEST_LABELS = 2**24  # bytes of the text; the published one has half a million


_WORDNET_ID = re.compile(r"n\d{8}")


class _Member(NamedTuple):
    """Where an image is in an archive; `name` is its path in a folder of class folders."""

    name: str
    class_name: str
    offset: int
    length: int


def are_in(folder: str | os.PathLike) -> bool:
    """Returns whether one or both of the archives are in a folder."""
    return any((pathlib.Path(folder) / name).is_file() for name in (TRAIN, VALIDATION))


def read(
    folder: str | os.PathLike, validation_labels: str | os.PathLike | None = None
) -> UnsplitDataset:
    """Reads the labeled images of both archives, in the order of a folder of class folders.

    Args:
        folder: holds both archives.
        validation_labels: a text file with the WordNet id of validation image k on its line k; by
            default the list in tensorflow-datasets.

    Returns:
        The parts "train" and "val"; classes are sorted WordNet ids. The fingerprint is that of
        the unpacked images in `train/<WordNet id>/` and `val/<WordNet id>/`.

    Raises:
        UserError: if an archive is missing, cut off or a different one, or if labels and images do
            not match.

    Example:
        >>> len(read("downloads").splits["train"])  # doctest: +SKIP
        1281167
    """
    from absl import logging

    from keras_alexnet.data.dataset import UnsplitDataset

    paths = [pathlib.Path(folder) / name for name in (TRAIN, VALIDATION)]
    for path in paths:
        if not path.is_file():
            raise UserError(
                f"{path} is missing. Both {TRAIN} and {VALIDATION} are needed, from "
                "https://www.image-net.org/challenges/LSVRC/2012/."
            )
    logging.info("Listing the images in %s and %s.", *paths)
    labels = read_labels(validation_labels)
    members = {
        "train": sorted(_train_members(paths[0])),
        "val": sorted(_validation_members(paths[1], labels)),
    }
    class_names = _class_names(members)
    splits = {
        part: _split(path, members[part], class_names)
        for part, path in zip(members, paths, strict=True)
    }
    sha256, sha256_of = _fingerprint(splits)
    return UnsplitDataset(NAME, class_names, splits, sha256, sha256_of)


def _train_members(path: pathlib.Path) -> Iterator[_Member]:
    from keras_alexnet.data import archives

    with archives.reading(path), open(path, "rb") as file, archives.tar_in(file) as classes:
        for archive in _checked(path, classes, _CLASS_ARCHIVE):
            class_name = archive.name.removesuffix(".tar")
            inside = classes.extractfile(archive)
            assert inside is not None  # it is a file
            with archives.tar_in(inside) as images:
                for member in _checked(path, images, _TRAIN_IMAGE):
                    name = os.path.join("train", class_name, member.name)
                    offset = archive.offset_data + member.offset_data
                    yield _Member(name, class_name, offset, member.size)


def _validation_members(path: pathlib.Path, labels: list[str]) -> Iterator[_Member]:
    from keras_alexnet.data import archives

    seen = set()
    with archives.reading(path), open(path, "rb") as file, archives.tar_in(file) as images:
        for member in _checked(path, images, _VALIDATION_IMAGE):
            number = int(member.name.removeprefix("ILSVRC2012_val_").removesuffix(".JPEG"))
            seen.add(number)
            if number in range(1, len(labels) + 1):
                class_name = labels[number - 1]
                name = os.path.join("val", class_name, member.name)
                yield _Member(name, class_name, member.offset_data, member.size)
    if seen != set(range(1, len(labels) + 1)):
        raise UserError(
            f"There are labels for the validation images 1 to {len(labels)}, and {path} has "
            f"{len(seen)} images up to number {max(seen, default=0)}."
        )


def _checked(
    path: pathlib.Path, archive: tarfile.TarFile, name: re.Pattern
) -> Iterator[tarfile.TarInfo]:
    """Yields the members of an archive, all of which must be plain files with such names."""
    from keras_alexnet.data import archives

    for member in archives.members(archive):
        if not (member.isfile() and member.sparse is None and name.fullmatch(member.name)):
            raise UserError(
                f"{path} holds {member.name!r}, which does not belong there: names like "
                f"{name.pattern} are expected. Copy or download it again."
            )
        yield member


def read_labels(path: str | os.PathLike | None) -> list[str]:
    """Reads the WordNet id of each validation image, in the order of their numbers."""
    from keras_alexnet.data import archives

    if path is None:
        found = importlib.util.find_spec("tensorflow_datasets")  # imported, it would take seconds
        if found is None or not found.submodule_search_locations:
            raise UserError(
                "The labels of the validation images come with tensorflow-datasets, which is not "
                "installed. Run: pip install tensorflow-datasets, or pass --validation_labels."
            )
        place = "datasets/imagenet2012/validation_labels.txt"
        path = pathlib.Path(found.submodule_search_locations[0]) / place
    try:
        with open_regular(path) as file:
            labels = archives.read_up_to(file, _LARGEST_LABELS).decode().split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The validation labels {path} cannot be read: {error}.") from error
    for number, label in enumerate(labels, start=1):
        if not _WORDNET_ID.fullmatch(label):
            raise UserError(
                f"{path} must have a WordNet id such as n01440764 on each line. Received: "
                f"{label!r} for image {number}. (The numbers in the development kit count the "
                "classes in a different order, not the sorted one; without --validation_labels the "
                "list in tensorflow-datasets is used.)"
            )
    return labels


def _class_names(members: dict[str, list[_Member]]) -> tuple[str, ...]:
    from absl import logging

    train, validation = ({m.class_name for m in rows} for rows in members.values())
    if train != validation:
        raise UserError(
            f"{TRAIN} has {len(train)} classes and the labels of {VALIDATION} have "
            f"{len(validation)}; only one of them has "
            f"{', '.join(sorted(train ^ validation)[:10])}. Copy or download the archives again."
        )
    if len(train) == 1000 and len(members["train"]) != TRAIN_IMAGES:
        logging.warning(
            "%s has %d images; as published it has %d.", TRAIN, len(members["train"]), TRAIN_IMAGES
        )
    return tuple(sorted(train))


def _split(path: pathlib.Path, members: list[_Member], class_names: tuple[str, ...]) -> Split:
    import numpy as np

    from keras_alexnet.data.records import RecordImages, RecordIndex
    from keras_alexnet.data.splits import Split

    number = {name: label for label, name in enumerate(class_names)}
    labels = np.array([number[member.class_name] for member in members], np.int32)
    index = RecordIndex(
        files=np.zeros(len(members), np.int64),
        offsets=np.array([member.offset for member in members], np.int64),
        lengths=np.array([member.length for member in members], np.int64),
        labels=labels,
    )
    return Split.of(RecordImages([path], index, [member.name for member in members]), labels)


def _fingerprint(splits: dict[str, Split]) -> tuple[str, str]:
    from keras_alexnet.data import fingerprints

    places = [(split.encoded, row) for split in splits.values() for row in range(len(split))]
    return fingerprints.of_named(
        [pixels.name(row) for pixels, row in places],
        [pixels.size(row) for pixels, row in places],
        lambda number: [places[number][0].read(places[number][1])],
    )
