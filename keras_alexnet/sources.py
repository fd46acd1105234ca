"""What a data set is once it has been found: labelled splits and where they come from."""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_alexnet import fingerprints
from keras_alexnet.errors import UserError
from keras_alexnet.images import ImageArray
from keras_alexnet.splits import Split, divided, without_damaged


class Arrays(NamedTuple):
    """A data set in memory: images uint8 `[n, height, width, 3]`, labels integers `[n]`."""

    class_names: tuple[str, ...]
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class DataSource:
    """A data set, ready to be read.

    Attributes:
        name: as results name it, for example "cifar10-jpeg".
        class_names: the name of class i at index i.
        train: training images.
        test: test images.
        sha256: fingerprint of the data.
        sha256_of: what was hashed: "images and labels" (sets in memory; the same for every copy,
            whatever its form), "contents" (of files, with their relative names), "names and
            sizes" (of files of more than 4 GiB) or "shards" (of images that `prepare` shrank).
        validation: validation images, if the data set brings its own besides test images.
        skipped: files left out because they could not be read.
        note: what a reader of results should know about the data, or None.
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


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """What a data set brings, before it is decided what to train on and what to test on.

    `splits` has one or more of "train", "val" and "test", or only "all". The other attributes
    are those of `DataSource`.
    """

    name: str
    class_names: tuple[str, ...]
    splits: dict[str, Split]
    sha256: str
    sha256_of: str
    skipped: tuple[str, ...] = ()

    def completed(self, seed: int, skip_corrupt: bool) -> DataSource:
        """The data set with training and test images, divided by `seed` if it brings one part.

        Raises:
            UserError: if there is nothing to train on, or with `skip_corrupt` if a class has no
                image that can be read.
        """
        splits, damaged = self.splits, ()
        if skip_corrupt:
            splits, damaged = without_damaged(splits, self.class_names)
        train, validation, test, note = divided(splits, seed)
        return DataSource(
            name=self.name,
            class_names=self.class_names,
            train=train,
            test=test,
            sha256=self.sha256,
            sha256_of=self.sha256_of,
            validation=validation,
            skipped=(*self.skipped, *damaged),
            note=note,
        )


def in_memory(name: str, arrays: Arrays, note: str | None = None) -> DataSource:
    """The data set of that name whose images and labels are these.

    Raises:
        UserError: if a label has no class.
    """
    train = arrays.train_images, arrays.train_labels
    test = arrays.test_images, arrays.test_labels
    for _, labels in (train, test):
        check_labels(name, labels, arrays.class_names)
    return DataSource(
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
