"""Loads a data set by name: where copies are looked for, and what is downloaded."""

import dataclasses
import functools
import os
import pathlib

from absl import logging

from keras_alexnet.data import fingerprints
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Arrays, Dataset, check_labels, in_memory
from keras_alexnet.data.readers import cifar, fashion_mnist, image_folder, shapes, tfds, tfrecord
from keras_alexnet.data.splits import without_damaged
from keras_alexnet.errors import UsageError, UserError, unknown_name

_OF_IMAGES = {
    "image_folder": ("a folder or an archive of one", image_folder.read_parts),
    "tfrecord": ("the folder that scripts/prepare.py wrote", tfrecord.read_parts),
}


def list_datasets() -> list[str]:
    """Names that `load_dataset` takes.

    Example:
        >>> list_datasets()[-1]
        'shapes'
    """
    return [*PUBLISHED, *_OF_IMAGES, "shapes"]


def load_dataset(data: DataSpec | str | None = None, *, seed: int = 0) -> Dataset:
    """Finds a data set and makes it ready to be read.

    Args:
        data: which data set, or its name, one of `list_datasets()`. None stands for CIFAR-10 if it
            is at hand or can be downloaded, and otherwise, with a warning, for "shapes". Its
            `data_dir` is for "image_folder" the folder or archive; for "tfrecord" the folder that
            `prepare` wrote; for published sets a copy, official or prepared by
            tensorflow-datasets, or a folder that holds one; nothing is downloaded then. By default
            `$TFDS_DATA_DIR`, `~/tensorflow_datasets` and `~/.keras/datasets` are searched, and what
            is not there is downloaded through tensorflow-datasets. Without `dataset_name` results
            call it by the folder's or archive's stem, or its name.
        seed: divides a set of one part, such as an image folder that has no test set of its own.
            ("shapes" is always the same set.)

    Returns:
        The `Dataset`.

    Raises:
        UsageError: for an unknown name, or a `data_dir` that is missing or out of place.
        UserError: if the data cannot be had, or is incomplete or damaged.

    Example:
        >>> data = load_dataset("shapes")
        >>> len(data.train), len(data.test), data.class_names[:2]
        (10000, 2000, ('disc', 'ring'))
    """
    spec = data.data if isinstance(data, DataSpec) else DataSpec(data)
    name, data_dir, dataset_name = spec.dataset, spec.data_dir, spec.dataset_name
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
        return read_parts(data_dir, dataset_name).completed(seed, spec.skip_corrupt)
    if name == "shapes":
        if data_dir is not None:
            raise UsageError(
                f"The dataset shapes is drawn, not read. Received: data_dir={data_dir}. Leave it "
                "out, or pass --dataset image_folder."
            )
        return _shapes(dataset_name)
    if name is None:
        return _cifar10_or_shapes(data_dir, dataset_name)
    return load_published(name, data_dir, dataset_name, spec.skip_corrupt)


@functools.cache  # drawn once a process
def _shapes(dataset_name: str | None, note: str | None = None) -> Dataset:
    return in_memory(dataset_name or "shapes", Arrays(shapes.CLASSES, *shapes.make()), note)


def _cifar10_or_shapes(data_dir, dataset_name: str | None) -> Dataset:
    try:
        return load_published("cifar10", data_dir, dataset_name, skip_corrupt=False)
    except UserError as error:
        if data_dir is not None:
            raise  # whoever names a place wants what is there
        logging.warning(
            "No --dataset was given, and CIFAR-10 cannot be had: the built-in procedural set "
            "'shapes' is used instead. %s",
            error,
        )
    return _shapes(dataset_name, "CIFAR-10 could not be had; the built-in procedural set was used")


@dataclasses.dataclass(frozen=True)
class Published:
    """Where a published data set comes from, and what copies of it look like."""

    title: str
    address: str  # of a file
    copies: str
    downloadable: bool = True


PUBLISHED = {
    "cifar10": Published(
        title="CIFAR-10",
        address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        copies="cifar-10-python.tar.gz or cifar-10-binary.tar.gz, or either unpacked",
    ),
    "cifar100": Published(
        title="CIFAR-100",
        address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        copies="cifar-100-python.tar.gz or cifar-100-binary.tar.gz, or either unpacked",
    ),
    "fashion_mnist": Published(
        title="Fashion-MNIST",
        address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
        "train-images-idx3-ubyte.gz",
        copies="the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
        "t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz",
    ),
    "imagenet2012": Published(
        title="ImageNet (ILSVRC 2012)",
        address="https://www.image-net.org/challenges/LSVRC/2012/",
        copies="imagenet2012/<version>/ as tensorflow-datasets prepares it from "
        "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar (for images in folders, "
        "train/<class>/ and val/<class>/, pass --dataset image_folder instead)",
        downloadable=False,  # only after signing in
    ),
}


def load_published(name: str, data_dir, dataset_name: str | None, skip_corrupt: bool) -> Dataset:
    """Finds a published data set, in `data_dir` alone or in the usual places, or downloads it.

    Raises:
        UserError: if it cannot be had, or is incomplete or damaged; says how to get it.
    """
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
    wanted = PUBLISHED[name]
    download = data_dir is None and wanted.downloadable
    if download and tfds.reachable(wanted.address):
        builder = tfds.download(name, places[0])  # where tensorflow-datasets would put it
        return in_memory(dataset_name or name, tfds.read(builder))
    if problem:
        raise problem
    silent = f", and {wanted.address} does not answer" if download else ""
    raise UserError(
        f"{wanted.title} is not in {' or '.join(map(str, places))}{silent}. Get it from "
        f"{wanted.address} and pass --data_dir (data_dir=) with the folder that holds "
        f"{wanted.copies}."
        + ("" if data_dir is None else " For images in folders pass --dataset image_folder.")
    )


def _find(name: str, place: pathlib.Path, dataset_name: str, skip_corrupt: bool):
    """The data set from one place, or None."""
    arrays = None
    if name in cifar.VERSIONS:
        arrays = cifar.find(name, place)
    elif name == "fashion_mnist":
        arrays = fashion_mnist.find(place)
    if arrays:
        return in_memory(dataset_name, arrays)
    builder = tfds.find(name, place)
    if builder is None:
        return None
    if name == "imagenet2012":
        return _prepared_imagenet(builder, dataset_name, skip_corrupt)
    return in_memory(dataset_name, tfds.read(builder))


def _usual_places() -> list[pathlib.Path]:
    named = os.environ.get("TFDS_DATA_DIR")
    home = pathlib.Path.home()
    places = [home / "tensorflow_datasets", home / ".keras" / "datasets"]
    return [pathlib.Path(named), *places] if named else places


def _prepared_imagenet(builder, name: str, skip_corrupt: bool) -> Dataset:
    # The labeled images beside the training set are called validation there; those of "test"
    # have no labels.
    parts = {part: tfds.encoded_split(builder, part) for part in ("train", "validation")}
    class_names = tuple(builder.info.features["label"].names)
    for split in parts.values():
        check_labels(name, split.labels, class_names)
    skipped = ()
    if skip_corrupt:
        parts, skipped = without_damaged(parts, class_names)
    files = [os.path.basename(p) for part in parts for p in builder.info.splits[part].filepaths]
    sha256, sha256_of = fingerprints.of_files(builder.data_path, files)
    train, test = parts["train"], parts["validation"]
    return Dataset(name, class_names, train, test, sha256, sha256_of, skipped=skipped)
