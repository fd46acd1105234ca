"""Data sets as tensorflow-datasets prepares them, read without a network or downloaded by it."""

import json
import os
import pathlib
import re
import threading
import urllib.error
import urllib.request

import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.official import Arrays

PROBE_SECONDS = 3.0
DOWNLOAD_ADDRESSES = {
    "cifar10": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "cifar100": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}
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
        info.parent
        for pattern in ("", "*/", f"{name}/*/", f"{name}/*/*/")
        for info in root.glob(f"{pattern}dataset_info.json")
        if _VERSION.match(info.parent.name) and _name_in(info) == name
    ]
    if not versions:
        return None
    newest = max(versions, key=lambda folder: [int(part) for part in folder.name.split(".")])
    builder = _tfds().builder_from_directory(newest)
    missing = [
        path
        for split in builder.info.splits.values()
        for path in split.filepaths
        if not os.path.exists(path)
    ]
    if missing:
        raise UserError(
            f"{newest} is incomplete: {missing[0]} is missing ({len(missing)} in all). Prepare it "
            "again with tensorflow-datasets."
        )
    return builder


def read(builder) -> Arrays:
    """Reads a small prepared data set into memory; grey images become RGB."""
    columns = {}
    for part in ("train", "test"):
        dataset = builder.as_dataset(split=part, batch_size=-1)
        images, labels = dataset["image"].numpy(), dataset["label"].numpy()
        columns[f"{part}_images"] = np.repeat(images, 3, -1) if images.shape[-1] == 1 else images
        columns[f"{part}_labels"] = labels.astype(np.int64)
    return Arrays(tuple(builder.info.features["label"].names), **columns)


def reachable(name: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the host that a data set is downloaded from answers within some seconds.

    Asked in a thread of its own, since looking up a host's name knows no time limit.
    """
    answered = threading.Event()

    def ask():
        request = urllib.request.Request(DOWNLOAD_ADDRESSES[name], method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # an answer, too
        except OSError:
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def download(name: str):
    """Downloads and prepares a data set in tensorflow-datasets' folder and returns its builder.

    Raises:
        UserError: if it fails, whatever the reason.
    """
    tfds = _tfds()
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except Exception as error:  # tensorflow-datasets raises many kinds
        raise UserError(f"Downloading {name} failed: {error}") from error
    return builder


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
            f"This data set needs tensorflow-datasets: {error}. Run pip install tensorflow-datasets."
        ) from error
    return tfds
