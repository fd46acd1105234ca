"""Named data sets → labelled training and test images."""

import dataclasses
import os
import pathlib

import numpy as np
from absl import logging

from keras_alexnet import archives, fingerprints, folders, official, prepared, shapes
from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.images import ImageArray, ImageFiles
from keras_alexnet.official import Arrays
from keras_alexnet.splits import Split, divided, split_validation, without_damaged

__all__ = ["DataSource", "Split", "list_datasets", "load_dataset", "split_validation"]


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
            whatever its form), "contents" (of files, with their relative names) or "names and
            sizes" (of files of more than 4 GiB).
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


@dataclasses.dataclass(frozen=True)
class _Published:
    """Where a published data set comes from, and what copies of it look like."""

    title: str
    address: str  # of a file
    copies: str
    downloadable: bool = True


_PUBLISHED = {
    "cifar10": _Published(
        title="CIFAR-10",
        address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        copies="cifar-10-python.tar.gz or cifar-10-binary.tar.gz, or either unpacked",
    ),
    "cifar100": _Published(
        title="CIFAR-100",
        address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        copies="cifar-100-python.tar.gz or cifar-100-binary.tar.gz, or either unpacked",
    ),
    "fashion_mnist": _Published(
        title="Fashion-MNIST",
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
        "train-images-idx3-ubyte.gz",
        copies="the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
    ),
    "imagenet2012": _Published(
        title="ImageNet (ILSVRC 2012)",
        address="https://www.image-net.org/challenges/LSVRC/2012/",
        copies="imagenet2012/<version>/ as tensorflow-datasets prepares it from "
        "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar (for images in folders, train/<class>/ "
        "and val/<class>/, pass --dataset image_folder instead)",
        downloadable=False,  # only after signing in
    ),
}


def list_datasets() -> list[str]:
    """Names that `load_dataset` takes."""
    return [*_PUBLISHED, "image_folder", "shapes"]


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
    return _published(name, data_dir, dataset_name, skip_corrupt)


def _shapes(dataset_name: str | None, note: str | None = None) -> DataSource:
    return _in_memory(dataset_name or "shapes", Arrays(shapes.CLASSES, *shapes.make()), note)


def _cifar10_or_shapes(data_dir, dataset_name: str | None) -> DataSource:
    try:
        return _published("cifar10", data_dir, dataset_name, skip_corrupt=False)
    except UserError as error:
        if data_dir is not None:
            raise  # whoever names a place wants what is there
        logging.warning(
            "No --dataset was given, and CIFAR-10 cannot be had: the built-in procedural set "
            "'shapes' is used instead. %s",
            error,
        )
    return _shapes(dataset_name, "CIFAR-10 could not be had; the built-in procedural set was used")


def _published(name: str, data_dir, dataset_name: str | None, skip_corrupt: bool) -> DataSource:
    problem = None
    places = [pathlib.Path(data_dir)] if data_dir is not None else _usual_places()
    for place in places:
        try:
            found = _find(name, place, dataset_name or name, skip_corrupt)
        except UserError as error:  # another place may have a whole copy
            problem = problem or error
            continue
        if found:
            return found
    wanted = _PUBLISHED[name]
    download = data_dir is None and wanted.downloadable
    if download and prepared.reachable(wanted.address):
        builder = prepared.download(name, places[0])  # where tensorflow-datasets would put it
        return _in_memory(dataset_name or name, prepared.read(builder))
    if problem:
        raise problem
    silent = f", and {wanted.address} does not answer" if download else ""
    raise UserError(
        f"{wanted.title} is not in {' or '.join(map(str, places))}{silent}. Get it from "
        f"{wanted.address} and pass --data_dir (data_dir=) with the folder that holds "
        f"{wanted.copies}."
    )


def _find(name: str, place: pathlib.Path, dataset_name: str, skip_corrupt: bool):
    """The data set from one place, or None."""
    arrays = None
    if name in official.CIFAR_VERSIONS:
        arrays = official.find_cifar(name, place)
    elif name == "fashion_mnist":
        arrays = official.find_fashion_mnist(place)
    if arrays:
        return _in_memory(dataset_name, arrays)
    builder = prepared.find(name, place)
    if builder is None:
        return None
    if name == "imagenet2012":
        return _prepared_imagenet(builder, dataset_name, skip_corrupt)
    return _in_memory(dataset_name, prepared.read(builder))


def _usual_places() -> list[pathlib.Path]:
    named = os.environ.get("TFDS_DATA_DIR")
    home = pathlib.Path.home()
    places = [home / "tensorflow_datasets", home / ".keras" / "datasets"]
    return [pathlib.Path(named), *places] if named else places


def _in_memory(name: str, arrays: Arrays, note: str | None = None) -> DataSource:
    train = arrays.train_images, arrays.train_labels
    test = arrays.test_images, arrays.test_labels
    for _, labels in (train, test):
        _check_labels(name, labels, arrays.class_names)
    return DataSource(
        name=name,
        class_names=arrays.class_names,
        train=Split.of(ImageArray(train[0]), train[1]),
        test=Split.of(ImageArray(test[0]), test[1]),
        sha256=fingerprints.of_arrays(train, test),
        sha256_of="images and labels",
        note=note,
    )


def _check_labels(name: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    if len(labels) and (labels.min() < 0 or labels.max() >= len(class_names)):
        raise UserError(
            f"{name} has {len(class_names)} classes, so its labels must be from 0 to "
            f"{len(class_names) - 1}. Received: labels from {labels.min()} to {labels.max()}. "
            "This copy is damaged: get it again."
        )


def _prepared_imagenet(builder, name: str, skip_corrupt: bool) -> DataSource:
    # The labelled images beside the training set are called validation there; those of "test"
    # have no labels.
    parts = {part: prepared.encoded_split(builder, part) for part in ("train", "validation")}
    class_names = tuple(builder.info.features["label"].names)
    for split in parts.values():
        _check_labels(name, split.labels, class_names)
    skipped = ()
    if skip_corrupt:
        parts, skipped = without_damaged(parts, class_names)
    files = [os.path.basename(p) for part in parts for p in builder.info.splits[part].filepaths]
    sha256, sha256_of = fingerprints.of_files(builder.data_path, files)
    train, test = parts["train"], parts["validation"]
    return DataSource(name, class_names, train, test, sha256, sha256_of, skipped=skipped)


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
