"""Named data sets → labelled training and test images."""

import functools
import os

import numpy as np
from absl import logging

from keras_alexnet import archives, fingerprints, folders, published, shapes
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.images import ImageFiles
from keras_alexnet.sources import Arrays, DataSource, in_memory
from keras_alexnet.splits import Split, divided, split_validation, without_damaged

__all__ = ["DataSource", "Split", "list_datasets", "load_dataset", "split_validation"]


def list_datasets() -> list[str]:
    """Names that `load_dataset` takes.

    Example:
        >>> list_datasets()[-1]
        'shapes'
    """
    return [*published.PUBLISHED, "image_folder", "shapes"]


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
        data_dir: for "image_folder" the folder or archive; for published sets a copy, official or
            prepared by tensorflow-datasets, or a folder that holds one; nothing is downloaded
            then. By default `$TFDS_DATA_DIR`, `~/tensorflow_datasets` and `~/.keras/datasets` are
            searched, and what is not there is downloaded through tensorflow-datasets.
        dataset_name: what results call it; by default the folder's or archive's stem, or `name`.
        seed: divides an image folder that has no test set of its own. ("shapes" is always the
            same set.)
        skip_corrupt: leave out images that cannot be read, instead of stopping at them.

    Returns:
        The `DataSource`.

    Raises:
        UsageError: for an unknown name, or a `data_dir` that is missing or out of place.
        UserError: if the data cannot be had, or is incomplete or damaged.

    Example:
        >>> data = load_dataset("shapes")
        >>> len(data.train), len(data.test), data.class_names[:2]
        (10000, 2000, ('disc', 'ring'))
    """
    if name is not None and name not in list_datasets():
        raise unknown_name("dataset", name, list_datasets())
    if data_dir is not None and not os.path.exists(data_dir):
        raise UserError(f"The data_dir {data_dir} does not exist.")
    if name == "image_folder":
        return _image_folder(data_dir, dataset_name, seed, skip_corrupt)
    if name == "shapes":
        if data_dir is not None:
            raise UsageError(
                f"The dataset shapes is drawn, not read. Received: data_dir={data_dir}. Leave it "
                "out, or pass --dataset image_folder."
            )
        return _shapes(dataset_name)
    if name is None:
        return _cifar10_or_shapes(data_dir, dataset_name)
    return published.load(name, data_dir, dataset_name, skip_corrupt)


@functools.cache  # drawn once a process
def _shapes(dataset_name: str | None, note: str | None = None) -> DataSource:
    return in_memory(dataset_name or "shapes", Arrays(shapes.CLASSES, *shapes.make()), note)


def _cifar10_or_shapes(data_dir, dataset_name: str | None) -> DataSource:
    try:
        return published.load("cifar10", data_dir, dataset_name, skip_corrupt=False)
    except UserError as error:
        if data_dir is not None:
            raise  # whoever names a place wants what is there
        logging.warning(
            "No --dataset was given, and CIFAR-10 cannot be had: the built-in procedural set "
            "'shapes' is used instead. %s",
            error,
        )
    return _shapes(dataset_name, "CIFAR-10 could not be had; the built-in procedural set was used")


def _image_folder(data_dir, dataset_name: str | None, seed: int, skip_corrupt: bool) -> DataSource:
    if data_dir is None:
        raise UsageError(
            "The dataset image_folder needs a folder or an archive of one. Received: no data_dir. "
            "Pass --data_dir (data_dir=)."
        )
    name = dataset_name or archives.stem(data_dir)
    folder = archives.unpacked(data_dir) if os.path.isfile(data_dir) else data_dir
    found = folders.scan(folder)
    names = [name for files in found.splits.values() for name in files.names]
    sha256, sha256_of = fingerprints.of_files(found.folder, names)
    parts = {
        part: Split.of(ImageFiles(found.folder, files.names), np.array(files.labels))
        for part, files in found.splits.items()
    }
    skipped = ()
    if skip_corrupt:
        parts, skipped = without_damaged(parts, found.class_names)
    train, validation, test, note = divided(parts, seed)
    return DataSource(
        name, found.class_names, train, test, sha256, sha256_of, validation, skipped, note
    )
