"""Named data sets → labelled training and test images."""

import functools
import os

from absl import logging

from keras_alexnet import folders, published, shapes, tfrecords
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.sources import Arrays, DataSource, in_memory
from keras_alexnet.splits import Split, split_validation

_OF_IMAGES = {
    "image_folder": ("a folder or an archive of one", folders.read_parts),
    "tfrecord": ("the folder that scripts/prepare.py wrote", tfrecords.read_parts),
}

__all__ = ["DataSource", "Split", "list_datasets", "load_dataset", "split_validation"]


def list_datasets() -> list[str]:
    """Names that `load_dataset` takes.

    Example:
        >>> list_datasets()[-1]
        'shapes'
    """
    return [*published.PUBLISHED, *_OF_IMAGES, "shapes"]


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
        data_dir: for "image_folder" the folder or archive; for "tfrecord" the folder that
            `prepare` wrote; for published sets a copy, official or
            prepared by tensorflow-datasets, or a folder that holds one; nothing is downloaded
            then. By default `$TFDS_DATA_DIR`, `~/tensorflow_datasets` and `~/.keras/datasets` are
            searched, and what is not there is downloaded through tensorflow-datasets.
        dataset_name: what results call it; by default the folder's or archive's stem, or `name`.
        seed: divides a set of one part, such as an image folder that has no test set of its own.
            ("shapes" is always the same set.)
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
    if name in _OF_IMAGES:
        what, read_parts = _OF_IMAGES[name]
        if data_dir is None:
            raise UsageError(
                f"The dataset {name} needs {what}. Received: no data_dir. Pass --data_dir "
                "(data_dir=)."
            )
        return read_parts(data_dir, dataset_name).completed(seed, skip_corrupt)
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
