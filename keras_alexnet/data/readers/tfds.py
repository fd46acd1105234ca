"""Data sets as tensorflow-datasets prepares them: found without a network, or downloaded."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import threading
import urllib.request
from collections.abc import Iterator

import numpy as np

from keras_alexnet.data.dataset import Arrays
from keras_alexnet.data.records import RecordImages, index_records
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UserError

PROBE_SECONDS = 3.0


_VERSION = re.compile(r"\d+\.\d+\.\d+$")


def find(name: str, data_dir: str | os.PathLike):
    """Finds a data set that tensorflow-datasets has prepared, without touching the network.

    Args:
        name: as tensorflow-datasets has it, for example "cifar10".
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


def read(builder) -> Arrays:
    """Reads a small prepared data set into memory; gray images become RGB.

    Raises:
        UserError: if it cannot be read.
    """
    columns = {}
    for part in ("train", "test"):
        with _damage_named(builder.data_path):
            dataset = builder.as_dataset(split=part, batch_size=-1)
            images, labels = dataset["image"].numpy(), dataset["label"].numpy()
        columns[f"{part}_images"] = np.repeat(images, 3, -1) if images.shape[-1] == 1 else images
        columns[f"{part}_labels"] = labels.astype(np.int64)
    return Arrays(tuple(builder.info.features["label"].names), **columns)


def encoded_split(builder, part: str) -> Split:
    """One split of a large prepared data set, its images left encoded in the TFRecord files.

    Raises:
        UserError: if the files are cut off, or hold something else.
    """
    with _damage_named(builder.data_path):
        info = builder.info.splits[part]
        index = index_records(info.filepaths)
        if len(index.labels) != info.num_examples:
            raise ValueError(
                f"{part} should have {info.num_examples} images, {len(index.labels)} are there"
            )
    return Split.of(RecordImages(info.filepaths, index), index.labels)


def reachable(address: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether an address can be downloaded from, to be told within some seconds."""
    answered = threading.Event()

    def ask():
        request = urllib.request.Request(address, method="HEAD")
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(request, timeout=seconds).close()
            answered.set()

    # In a thread of its own, since looking up a host's name knows no time limit.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def download(name: str, data_dir: str | os.PathLike):
    """Downloads and prepares a data set in a `tensorflow_datasets` folder; returns its builder.

    Raises:
        UserError: if it fails, whatever the reason.
    """
    tfds = _tfds()
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as error:  # tensorflow-datasets and its helpers raise many kinds
        raise UserError(f"Downloading {name} failed: {error}") from error
    return builder


@contextlib.contextmanager
def _damage_named(folder) -> Iterator[None]:
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
        return json.loads(info.read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError):
        return None


def _tfds():
    try:
        import tensorflow_datasets as tfds  # takes seconds to import, so only when needed
    except ImportError as error:
        raise UserError(
            f"This needs tensorflow-datasets ({error}). Run: pip install tensorflow-datasets."
        ) from error
    return tfds
