"""Published data sets: where copies are looked for, and how to get one."""

import dataclasses
import os
import pathlib

from keras_alexnet import cifar_archives, fashion_mnist, fingerprints, prepared
from keras_alexnet.errors import UserError
from keras_alexnet.sources import DataSource, check_labels, in_memory
from keras_alexnet.splits import without_damaged


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


def load(name: str, data_dir, dataset_name: str | None, skip_corrupt: bool) -> DataSource:
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
    if download and prepared.reachable(wanted.address):
        builder = prepared.download(name, places[0])  # where tensorflow-datasets would put it
        return in_memory(dataset_name or name, prepared.read(builder))
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
    if name in cifar_archives.VERSIONS:
        arrays = cifar_archives.find(name, place)
    elif name == "fashion_mnist":
        arrays = fashion_mnist.find(place)
    if arrays:
        return in_memory(dataset_name, arrays)
    builder = prepared.find(name, place)
    if builder is None:
        return None
    if name == "imagenet2012":
        return _prepared_imagenet(builder, dataset_name, skip_corrupt)
    return in_memory(dataset_name, prepared.read(builder))


def _usual_places() -> list[pathlib.Path]:
    named = os.environ.get("TFDS_DATA_DIR")
    home = pathlib.Path.home()
    places = [home / "tensorflow_datasets", home / ".keras" / "datasets"]
    return [pathlib.Path(named), *places] if named else places


def _prepared_imagenet(builder, name: str, skip_corrupt: bool) -> DataSource:
    # The labelled images beside the training set are called validation there; those of "test"
    # have no labels.
    parts = {part: prepared.encoded_split(builder, part) for part in ("train", "validation")}
    class_names = tuple(builder.info.features["label"].names)
    for split in parts.values():
        check_labels(name, split.labels, class_names)
    skipped = ()
    if skip_corrupt:
        parts, skipped = without_damaged(parts, class_names)
    files = [os.path.basename(p) for part in parts for p in builder.info.splits[part].filepaths]
    sha256, sha256_of = fingerprints.of_files(builder.data_path, files)
    train, test = parts["train"], parts["validation"]
    return DataSource(name, class_names, train, test, sha256, sha256_of, skipped=skipped)
