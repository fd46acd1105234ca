"""Labeled splits of a data set, and their stratified division."""

import dataclasses

import numpy as np
from absl import logging

from keras_alexnet.data.images import EncodedImages, ImageArray
from keras_alexnet.errors import UsageError, UserError, whole_number
from keras_alexnet.utils.text import printable

_TEST_SHARE = 10  # one image in ten, where a data set has no test set of its own


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Some images of a set, with their labels.

    Attributes:
        labels: int32 `[n]`.
        pixels: the images, in memory or still encoded, of this split and possibly of others.
        rows: int64 `[n]`, the position of each image of the split in `pixels`.
    """

    labels: np.ndarray
    pixels: ImageArray | EncodedImages
    rows: np.ndarray

    @classmethod
    def of(cls, pixels: ImageArray | EncodedImages, labels: np.ndarray) -> "Split":
        """Returns the split of all the images of a set."""
        return cls(np.asarray(labels, np.int32), pixels, np.arange(len(labels)))

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray) -> "Split":
        """Returns the images at `indices` (integers `[k]`), in that order; pixels are shared."""
        indices = np.asarray(indices, np.int64)
        return Split(self.labels[indices], self.pixels, self.rows[indices])

    @property
    def encoded(self) -> EncodedImages:
        """Returns the images of a split that is not in memory.

        Raises:
            TypeError: if it is.
        """
        if not isinstance(self.pixels, EncodedImages):
            raise TypeError("The images are in memory, and have no files.")
        return self.pixels

    def name(self, index: int) -> str:
        """Returns an image's file name, relative to its data set's folder, or its number."""
        return self.pixels.name(int(self.rows[index]))


def split_validation(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Divides a split into what remains to train on and `count` images for validation.

    Each class gives its share, to the nearest image; the seed decides which images.

    Args:
        split: the training images.
        count: images for validation, at least 1 and fewer than the split has.
        seed: any integer of at least 0.

    Returns:
        (training, validation), each in the order of the split.

    Raises:
        UsageError: if the count leaves either part empty.

    Example:
        >>> import keras_alexnet as ka
        >>> train, validation = split_validation(ka.load_dataset("shapes").train, 1000, seed=0)
        >>> len(train), len(validation)
        (9000, 1000)
    """
    seed = whole_number("seed", seed, 0)
    if not 0 < whole_number("count", count) < len(split):
        raise UsageError(
            f"The number of validation images must be from 1 to {len(split) - 1}, because the "
            f"training set has {len(split)} images. Received: {count}."
        )
    chosen = stratified_choice(split.labels, count, seed)
    return split.subset(np.flatnonzero(~chosen)), split.subset(np.flatnonzero(chosen))


def stratified_choice(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Chooses `count` images, each class in proportion: int `[n]` → bool `[n]`.

    Shares are rounded down; the images still missing come one each from the classes with the
    largest remainders, equal remainders in random order. With one image per class, the choice is
    therefore purely random.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    shuffled = np.argsort(random.random(len(labels)), kind="stable")
    classes, sizes = np.unique(labels, return_counts=True)
    # In whole numbers: share = size * count / n, remainder in units of 1 / n.
    shares, remainders = np.divmod(sizes * count, len(labels))
    by_remainder = np.lexsort((random.random(len(classes)), -remainders))
    shares[by_remainder[: count - shares.sum()]] += 1
    chosen = np.zeros(len(labels), bool)
    for label, share in zip(classes, shares, strict=True):
        chosen[shuffled[labels[shuffled] == label][:share]] = True
    return chosen


def divided(parts: dict[str, Split], seed: int) -> tuple[Split, Split | None, Split, str | None]:
    """Makes the training and test set from a data set's parts, "train", "val" and "test" or "all".

    A single part is divided, and a tenth of it becomes the test set. If there is a "test" part,
    "val" is the validation set; if not, it is the test set.

    Returns:
        (training, validation or None, test, a note on the division or None).

    Raises:
        UserError: if there is nothing to train on.
    """
    if len(parts) == 1:
        [(part, split)] = parts.items()
        if len(split) < 2:
            raise UserError("At least 2 images are needed, to train and to test. Received: 1.")
        chosen = stratified_choice(split.labels, max(1, len(split) // _TEST_SHARE), seed)
        train, test = (split.subset(np.flatnonzero(where)) for where in (~chosen, chosen))
        which = "all images" if part == "all" else f"{part}/, the only part there is,"
        note = f"a tenth of {which} was set apart by seed {seed} as the test set"
        in_one_part = len(np.setxor1d(train.labels, test.labels))
        if in_one_part:
            note += f"; {in_one_part} classes have too few images to be in both parts"
        return train, None, test, note
    if "train" not in parts:
        raise UserError("There are val/ and test/ but no train/: the data set is half unpacked.")
    if "test" in parts:
        return parts["train"], parts.get("val"), parts["test"], None
    return parts["train"], None, parts["val"], None


def without_damaged(
    parts: dict[str, Split], class_names: tuple[str, ...]
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Leaves out the images that cannot be read, and says which they were.

    Every image is decoded for this.

    Returns:
        (the parts without them, their names).

    Raises:
        UserError: if a class has no image left.
    """
    whole: dict[str, Split] = {}
    skipped: list[str] = []
    for part, split in parts.items():
        damaged = split.encoded.checked(split.rows)
        split.encoded.leave_out(damaged)
        skipped += [printable(split.pixels.name(row)) for row in damaged]
        whole[part] = split.subset(np.flatnonzero(~np.isin(split.rows, list(damaged))))
        empty = np.setdiff1d(split.labels, whole[part].labels)
        if empty.size:
            raise UserError(
                f"No image of class {class_names[empty[0]]} in {part} can be read: "
                f"{split.encoded.damage_error(damaged)}"
            )
    skipped.sort()
    if skipped:
        logging.warning(
            "Skipped %d images that cannot be read: %s", len(skipped), ", ".join(skipped[:10])
        )
    return whole, tuple(skipped)
