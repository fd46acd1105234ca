"""Data sets: labeled splits, class names and a fingerprint."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from keras_alexnet.data import class_names, fingerprints
from keras_alexnet.data.images import ImageArray
from keras_alexnet.data.splits import Split, divided, split_validation, without_damaged
from keras_alexnet.errors import UsageError, UserError


class Arrays(NamedTuple):
    """A data set in memory: images uint8 `[n, height, width, 3]`, labels integers `[n]`."""

    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


class Undivided(NamedTuple):
    """All images of a data set of one part, and its note without the one on the division."""

    images: Split
    note: str | None


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, ready to be read.

    Attributes:
        name: its name in results, for example "cifar10-jpeg".
        class_names: the name of class i at index i.
        train: training images.
        test: test images.
        sha256: fingerprint of the data.
        sha256_of: what was hashed: "images and labels" (of sets in memory; the same for every copy
            in any format), "contents" (of files, with their relative names), "names and sizes" (of
            files of more than 4 GiB) or "shards" (of images that `prepare` shrank).
        validation: validation images, if the data set has them and test images.
        skipped: files left out because they could not be read.
        note: what a reader of results should know about the data, or None.
        left_out: why other files of a folder were not read → how many.
        undivided: what it was, if it had only one part, which was divided into `train` and `test`.

    Names of classes are checked, see `keras_alexnet.data.class_names`.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    sha256: str
    sha256_of: str
    validation: Split | None = None
    skipped: tuple[str, ...] = ()
    note: str | None = None
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    undivided: Undivided | None = None

    def __post_init__(self) -> None:
        _check_class_names(self)

    def with_note(self, note: str) -> "Dataset":
        """Returns the data set with one more note."""
        undivided = self.undivided
        if undivided is not None:
            undivided = Undivided(undivided.images, _joined(undivided.note, note))
        return dataclasses.replace(self, note=_joined(self.note, note), undivided=undivided)


@dataclasses.dataclass(frozen=True, eq=False)
class UnsplitDataset:
    """What a reader finds, before it is divided into training and test images.

    `splits` has one or more of "train", "val" and "test", or only "all". The other attributes
    are those of `Dataset`.
    """

    name: str
    class_names: tuple[str, ...]
    splits: dict[str, Split]
    sha256: str
    sha256_of: str
    skipped: tuple[str, ...] = ()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    note: str | None = None

    def __post_init__(self) -> None:
        _check_class_names(self)

    def completed(self, seed: int, skip_corrupt: bool) -> Dataset:
        """Returns the data set with training and test images; a single part is divided by `seed`.

        Raises:
            UserError: if there is nothing to train on, or, with `skip_corrupt`, if a class has no
                image that can be read.
        """
        splits, damaged = self.splits, tuple[str, ...]()
        if skip_corrupt:
            splits, damaged = without_damaged(splits, self.class_names)
        train, validation, test, note = divided(splits, seed)
        [first, *others] = splits.values()
        return Dataset(
            name=self.name,
            class_names=self.class_names,
            train=train,
            test=test,
            sha256=self.sha256,
            sha256_of=self.sha256_of,
            validation=validation,
            skipped=(*self.skipped, *damaged),
            note=_joined(self.note, note),
            left_out=self.left_out,
            undivided=None if others else Undivided(first, self.note),
        )


def _joined(*notes: str | None) -> str | None:
    return "; ".join(filter(None, notes)) or None


def _check_class_names(data: Dataset | UnsplitDataset) -> None:
    object.__setattr__(data, "class_names", class_names.checked(data.class_names, data.name))


def in_memory(name: str, arrays: Arrays, note: str | None = None) -> Dataset:
    """Returns the data set of that name with these images and labels.

    Raises:
        UserError: if a label has no class, or images and labels do not match.
    """
    train = arrays.train_images, arrays.train_labels
    test = arrays.test_images, arrays.test_labels
    for images, labels in (train, test):
        if images.ndim != 4 or images.shape[3] != 3 or labels.shape != images.shape[:1]:
            raise UserError(
                f"{name} must have images [n, height, width, 3] and labels [n]. Received: "
                f"{list(images.shape)} and {list(labels.shape)}. This copy is damaged: get it "
                "again."
            )
        check_labels(name, labels, arrays.class_names)
    return Dataset(
        name=name,
        class_names=arrays.class_names,
        train=Split.of(ImageArray(train[0]), train[1]),
        test=Split.of(ImageArray(test[0]), test[1]),
        sha256=fingerprints.of_arrays(train, test),
        sha256_of="images and labels",
        note=note,
    )


def check_labels(name: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Raises a `UserError` if a label is not one of the classes' numbers."""
    if len(labels) and (labels.min() < 0 or labels.max() >= len(class_names)):
        raise UserError(
            f"{name} has {len(class_names)} classes, so its labels must be from 0 to "
            f"{len(class_names) - 1}. Received: labels from {labels.min()} to {labels.max()}. "
            "This copy is damaged: get it again."
        )


def hold_out(
    data: Dataset, count: int | None, fraction: float, seed: int
) -> tuple[Split, Split | None]:
    """Returns the images to train on and those held out for validation, if any.

    Args:
        data: a data set; its own validation split is used if it has one and `count` is None.
        count: number of images to hold out; by default `fraction` of the training images.
        fraction: at least 0, which holds none out, and below 1.
        seed: fixes which images are held out.

    Raises:
        UsageError: none would be left to train on.

    Example:
        >>> import keras_alexnet as ka
        >>> train, validation = hold_out(ka.load_dataset("shapes"), None, fraction=0.1, seed=0)
        >>> len(train), len(validation)
        (9000, 1000)
    """
    if count is None and data.validation is not None:
        return data.train, data.validation if fraction else None
    if count is None:
        count = round(fraction * len(data.train))
    if not 0 <= count < len(data.train):
        raise UsageError(
            f"validation_images must leave some of the {len(data.train)} images to train on. "
            f"Received: {count}."
        )
    if count == 0:
        return data.train, None
    return split_validation(data.train, count, seed)
