"""Finds and reads data sets that tensorflow-datasets prepared, or downloads them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_alexnet.data.readers import Published, Reader, register
from keras_alexnet.errors import UserError
from keras_alexnet.utils import json_files

if TYPE_CHECKING:
    from keras_alexnet.data.dataset import Arrays, UnsplitDataset
    from keras_alexnet.data.splits import Split

PROBE_SECONDS = 3.0


_VERSION = re.compile(r"\d+\.\d+\.\d+$")


def find(name: str, data_dir: str | os.PathLike) -> Any:
    """Finds a data set that tensorflow-datasets has prepared, without using the network.

    Args:
        name: its name in tensorflow-datasets, for example "cifar10".
        data_dir: a `tensorflow_datasets` folder, the data set's folder in it, or one version's.

    Returns:
        A read-only `tfds.core.DatasetBuilder` of the newest version, or None.

    Raises:
        UserError: if files of it are missing.
    """
    root = pathlib.Path(data_dir)
    versions = [
        info.parent.resolve()
        for pattern in ("", "*/", f"{name}/*/", f"{name}/*/*/")
        for info in root.glob(f"{pattern}dataset_info.json")
        if _VERSION.match(info.parent.resolve().name) and _name_in(info) == name
    ]
    if not versions:
        return None
    newest = max(versions, key=lambda folder: [int(part) for part in folder.name.split(".")])
    tfds = _tfds()
    with _damage_named(newest):
        builder = tfds.builder_from_directory(newest)
        paths = [path for split in builder.info.splits.values() for path in split.filepaths]
    missing = [os.path.basename(path) for path in paths if not os.path.exists(path)]
    if missing or not paths:
        raise UserError(
            f"{newest} is incomplete: {len(missing)} of {len(paths)} files are missing"
            f"{', the first ' + missing[0] if missing else ''}. Prepare it again with "
            "tensorflow-datasets."
        )
    return builder


def read_arrays(name: str, data_dir: str | os.PathLike) -> Arrays | None:
    """Reads a small prepared data set into memory; gray images become RGB.

    Args:
        name, data_dir: as in `find`.

    Returns:
        The data set, or None if it is not there.

    Raises:
        UserError: if it cannot be read.
    """
    builder = find(name, data_dir)
    return None if builder is None else _arrays(builder)


def _arrays(builder: Any) -> Arrays:
    import numpy as np

    from keras_alexnet.data.dataset import Arrays

    columns = {}
    for part in ("train", "test"):
        with _damage_named(builder.data_path):
            dataset = builder.as_dataset(split=part, batch_size=-1)
            images, labels = dataset["image"].numpy(), dataset["label"].numpy()
        columns[f"{part}_images"] = np.repeat(images, 3, -1) if images.shape[-1] == 1 else images
        columns[f"{part}_labels"] = labels.astype(np.int64)
    return Arrays(tuple(builder.info.features["label"].names), **columns)


def read_imagenet(place: pathlib.Path | None) -> UnsplitDataset | None:
    """Reads ImageNet as tensorflow-datasets prepared it; images stay encoded in the TFRecord files.

    Raises:
        UserError: if the files are cut off, or do not hold ImageNet.
    """
    from keras_alexnet.data import fingerprints
    from keras_alexnet.data.dataset import UnsplitDataset, check_labels

    assert place is not None
    builder = find("imagenet2012", place)
    if builder is None:
        return None
    # The images of "test" have no labels.
    parts = {"train": "train", "val": "validation"}
    splits = {part: _encoded_split(builder, name) for part, name in parts.items()}
    class_names = tuple(builder.info.features["label"].names)
    for split in splits.values():
        check_labels("imagenet2012", split.labels, class_names)
    paths = [path for name in parts.values() for path in builder.info.splits[name].filepaths]
    names = [os.path.basename(path) for path in paths]
    sha256, sha256_of = fingerprints.of_files(builder.data_path, names)
    return UnsplitDataset("imagenet2012", class_names, splits, sha256, sha256_of)


def _encoded_split(builder: Any, part: str) -> Split:
    from keras_alexnet.data.records import RecordImages, index_records
    from keras_alexnet.data.splits import Split

    with _damage_named(builder.data_path):
        info = builder.info.splits[part]
        index = index_records(info.filepaths)
        if len(index.labels) != info.num_examples:
            raise ValueError(
                f"{part} should have {info.num_examples} images, but has {len(index.labels)}"
            )
    return Split.of(RecordImages(info.filepaths, index), index.labels)


def reachable(address: str, seconds: float = PROBE_SECONDS) -> bool:
    """Returns whether an address answers within some seconds."""
    import http.client
    import urllib.request

    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(address, method="HEAD")
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(request, timeout=seconds).close()
            answered.set()

    # In a separate thread, because looking up a host's name has no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def download(name: str, data_dir: str | os.PathLike) -> Arrays:
    """Downloads and prepares a data set in a `tensorflow_datasets` folder, and reads it.

    Raises:
        UserError: if it fails, for any reason.
    """
    tfds = _tfds()
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # tensorflow-datasets and its helpers raise many kinds
        raise UserError(f"Downloading {name} failed: {error}") from error
    return _arrays(builder)


@contextlib.contextmanager
def _damage_named(folder: object) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # tensorflow-datasets and TensorFlow raise many kinds
        raise UserError(
            f"{folder} is damaged or incomplete: {error}. Prepare it again with "
            "tensorflow-datasets."
        ) from error


def _name_in(info: pathlib.Path) -> str | None:
    try:
        return json_files.read(info, nan=True).get("name")
    except UserError:
        return None


def _tfds() -> Any:
    try:
        import tensorflow_datasets as tfds  # takes seconds to import, so only when needed
    except ImportError as error:
        raise UserError(
            f"This needs tensorflow-datasets ({error}). Run: pip install tensorflow-datasets."
        ) from error
    return tfds


register(
    Reader(
        dataset="imagenet2012",
        read=read_imagenet,
        data_dir="a folder of tensorflow-datasets with ImageNet",
        published=Published(
            title="ImageNet (ILSVRC 2012)",
            address="https://www.image-net.org/challenges/LSVRC/2012/",
            copies="imagenet2012/<version>/ as tensorflow-datasets prepares it from "
            "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar (for images in folders, "
            "train/<class>/ and val/<class>/, pass --dataset image_folder instead)",
        ),
    )
)
