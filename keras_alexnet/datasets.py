"""Named data sets → labelled training and test images."""

import dataclasses
import hashlib
import os
import pathlib

import numpy as np
from absl import logging

from keras_alexnet import archives, folders, official, prepared, shapes
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.images import ImageArray, ImageFiles
from keras_alexnet.official import Arrays
from keras_alexnet.splits import Split, split_validation, stratified_choice

__all__ = ["DataSource", "Split", "list_datasets", "load_dataset", "split_validation"]

_TEST_FRACTION = 10  # one in ten, where a folder has no test set of its own


@dataclasses.dataclass(frozen=True, eq=False)
class DataSource:
    """A data set, ready to be read.

    Attributes:
        name: as results name it, for example "cifar10-jpeg".
        class_names: the name of class i at index i.
        train: training images.
        test: test images.
        validation: validation images, where the data set brings its own besides a test set.
        sha256: fingerprint of the data.
        sha256_of: what was hashed: "images and labels" (sets in memory), "contents" (relative
            names and contents of files) or "names and sizes" (of more than a few GiB).
        skipped: files left out because they could not be decoded.
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


def list_datasets() -> list[str]:
    """Names that `load_dataset` takes."""
    return ["cifar10", "cifar100", "fashion_mnist", "imagenet2012", "image_folder", "shapes"]


def load_dataset(
    name: str | None = None,
    *,
    data_dir: str | os.PathLike | None = None,
    dataset_name: str | None = None,
    seed: int = 0,
    skip_corrupt: bool = False,
) -> DataSource:
    """Finds a data set and makes it ready to be read.

    Args:
        name: one of `list_datasets()`. None stands for CIFAR-10 if it is at hand or can be
            downloaded, and otherwise, with a warning, for "shapes".
        data_dir: for "image_folder" the folder or archive; for "shapes" nothing; for the others
            a prepared (tensorflow-datasets) or official copy, or a folder that holds one. By
            default the usual places are searched: `$TFDS_DATA_DIR`, `~/tensorflow_datasets` and
            `~/.keras/datasets`; then it is downloaded. With `data_dir` nothing is.
        dataset_name: what results call it; by default the folder's or archive's stem, or `name`.
        seed: divides an image folder that has no test set of its own.
        skip_corrupt: leave images out that cannot be decoded, instead of stopping at them.

    Returns:
        The `DataSource`.

    Raises:
        UsageError: for an unknown name, or a `data_dir` that is missing or makes no sense.
        UserError: if the data cannot be had, or is incomplete or damaged.

    Example:
        >>> data = load_dataset("shapes")
        >>> len(data.train), len(data.test), data.class_names[:2]
        (10000, 2000, ('disc', 'ring'))
    """
    if name is not None and name not in list_datasets():
        raise unknown_name("dataset", name, list_datasets())
    if name == "image_folder":
        return _image_folder(data_dir, dataset_name, seed, skip_corrupt)
    if name == "shapes":
        return _shapes(dataset_name)
    if name is None:
        return _default(data_dir, dataset_name)
    return _published(name, data_dir, dataset_name)


def _shapes(name: str | None, note: str | None = None) -> DataSource:
    return _in_memory(name or "shapes", Arrays(shapes.CLASSES, *shapes.make()), note)


def _default(data_dir, dataset_name) -> DataSource:
    try:
        return _published("cifar10", data_dir, dataset_name)
    except UserError as error:
        if data_dir is not None:
            raise  # the user has said where the data is
        note = f"no --dataset given and no CIFAR-10 to be had, so this is shapes ({error})"
    logging.warning("%s", note)
    return _shapes(dataset_name, note)


def _published(name: str, data_dir, dataset_name) -> DataSource:
    for place in _places(data_dir):
        arrays = _find(name, place)
        if arrays:
            return _in_memory(dataset_name or name, arrays)
    if data_dir is None and prepared.reachable(name):
        return _in_memory(dataset_name or name, prepared.read(prepared.download(name)))
    raise UserError(f"no {name}")


def _find(name: str, place: pathlib.Path) -> Arrays | None:
    find = {"fashion_mnist": official.find_fashion_mnist}.get(name)
    arrays = find(place) if find else official.find_cifar(name, place)
    if arrays is None:
        builder = prepared.find(name, place)
        arrays = builder and prepared.read(builder)
    return arrays


def _places(data_dir) -> list[pathlib.Path]:
    if data_dir is not None:
        return [pathlib.Path(data_dir)]
    home = pathlib.Path.home()
    named = [os.environ["TFDS_DATA_DIR"]] if os.environ.get("TFDS_DATA_DIR") else []
    places = [*named, home / "tensorflow_datasets", home / ".keras" / "datasets"]
    return [pathlib.Path(place) for place in places]


def _in_memory(name: str, arrays: Arrays, note: str | None = None) -> DataSource:
    for labels in (arrays.train_labels, arrays.test_labels):
        _check_labels(name, labels, arrays.class_names)
    return DataSource(
        name=name,
        class_names=arrays.class_names,
        train=Split.of(ImageArray(arrays.train_images), arrays.train_labels),
        test=Split.of(ImageArray(arrays.test_images), arrays.test_labels),
        sha256=_sha256(arrays),
        sha256_of="images and labels",
        note=note,
    )


def _check_labels(name: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise UserError(
            f"{name} has {len(class_names)} classes, so labels must be from 0 to "
            f"{len(class_names) - 1}. Received: labels from {labels.min()} to {labels.max()}. The "
            "copy is damaged: fetch it again."
        )


def _sha256(arrays: Arrays) -> str:
    """The same whatever the order of the images, since copies differ in it."""
    digest = hashlib.sha256()
    for images, labels in (
        (arrays.train_images, arrays.train_labels),
        (arrays.test_images, arrays.test_labels),
    ):
        labels = np.asarray(labels, "<i4")
        each = (
            hashlib.sha256(label.tobytes() + image.tobytes()).digest()
            for image, label in zip(images, labels, strict=True)
        )
        digest.update(b"".join(sorted(each)))
    return digest.hexdigest()


def _image_folder(data_dir, dataset_name, seed: int, skip_corrupt: bool) -> DataSource:
    if data_dir is None:
        raise UsageError(
            "The dataset image_folder needs a folder or archive. Received: no data_dir. Pass "
            "--data_dir DIR."
        )
    name = dataset_name or archives.stem(data_dir)
    archive = pathlib.Path(data_dir).is_file()
    found = folders.scan(archives.unpacked(data_dir) if archive else data_dir)
    sha256, sha256_of = folders.sha256(found)
    splits = {
        part: Split.of(ImageFiles(found.folder, files.names), np.array(files.labels))
        for part, files in found.splits.items()
    }
    skipped = ()
    if skip_corrupt:
        splits, skipped = _without_damaged(splits)
    train, validation, test, note = _three_parts(splits, seed)
    return DataSource(
        name, found.class_names, train, test, sha256, sha256_of, validation, skipped, note
    )


def _without_damaged(splits: dict[str, Split]) -> tuple[dict[str, Split], tuple[str, ...]]:
    whole, skipped = {}, []
    for part, split in splits.items():
        damaged = split.pixels.damaged(split.rows)
        skipped += [split.name(row) for row in sorted(damaged)]
        whole[part] = split.subset(np.setdiff1d(split.rows, list(damaged)))
    if skipped:
        logging.warning("Skipped %d damaged images, the first %s.", len(skipped), skipped[0])
    return whole, tuple(skipped)


def _three_parts(splits: dict[str, Split], seed: int):
    """Training, validation (or None), test, and a note on how they came about."""
    if len(splits) == 1:
        [(part, split)] = splits.items()
        test = stratified_choice(split.labels, round(len(split) / _TEST_FRACTION), seed)
        note = f"a tenth divided off as test set by seed {seed}"
        return split.subset(np.flatnonzero(~test)), None, split.subset(np.flatnonzero(test)), note
    if "test" in splits:
        return splits["train"], splits.get("val"), splits["test"], None
    return splits["train"], None, splits["val"], None
