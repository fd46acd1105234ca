"""Readers of data sets, one module per source, and their registry.

To add one, write a module here that registers a `Reader`, or `register` it from your own code.
These modules are imported whenever the names of the data sets are listed, for example by `--help`:
import TensorFlow, numpy and the like inside functions.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_alexnet.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from keras_alexnet.data.dataset import Arrays, UnsplitDataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """Where a published data set comes from.

    Attributes:
        title: its name in messages, such as "CIFAR-10".
        address: of a page or file to get it from.
        copies: which files or folders its reader knows.
        tfds_name: its name in tensorflow-datasets, through which it is downloaded; None if it
            cannot be downloaded without signing in.
    """

    title: str
    address: str
    copies: str
    tfds_name: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reader:
    """How a data set is read.

    Attributes:
        dataset: the name of the data set, or of its kind.
        read: reads what is at a place. Returns arrays, or splits whose images stay encoded, or
            None if there is nothing of the data set. Raises a `UserError` if it is damaged.
        data_dir: what `data_dir` must be, such as "a folder of images"; None if the data set is
            generated instead of read, so that `read` gets None.
        options: fields of `DataSpec` that `read` also takes, as keywords.
        published: where the data set comes from. Without a `data_dir`, it is searched for in the
            usual places, and downloaded if it is not there.

    Example:
        >>> import numpy as np
        >>> from keras_alexnet.data.dataset import Arrays
        >>> def read(place):
        ...     images, labels = np.zeros([8, 32, 32, 3], np.uint8), np.zeros(8, np.int32)
        ...     return Arrays(("black",), images, labels, images, labels)
        >>> register(Reader(dataset="night", read=read))
        >>> keras_alexnet.load_dataset("night").class_names
        ('black',)
        >>> unregister("night")
    """

    dataset: str
    read: Callable[..., Arrays | UnsplitDataset | None]
    data_dir: str | None = None
    options: tuple[str, ...] = ()
    published: Published | None = None


_READERS: dict[str, Reader] = {}


def list_datasets() -> list[str]:
    """Returns all names of data sets: published ones, then those from files, then generated ones.

    Example:
        >>> list_datasets()[-1]
        'shapes'
    """

    def place(reader: Reader) -> tuple[int, str]:
        return 0 if reader.published else 1 if reader.data_dir else 2, reader.dataset

    return [reader.dataset for reader in sorted(_READERS.values(), key=place)]


def get(dataset: str) -> Reader:
    """Returns the reader of a data set.

    Raises:
        UsageError: if no data set has that name.

    Example:
        >>> get("image_folder").data_dir
        'a folder of images, or an archive of one'
    """
    if dataset not in _READERS:
        raise unknown_name("dataset", dataset, list_datasets())
    return _READERS[dataset]


def register(reader: Reader) -> None:
    """Adds a reader, so that `load_dataset`, training and the others find its data set by name.

    Raises:
        UsageError: if another reader has that name.
    """
    if _READERS.get(reader.dataset, reader) != reader:
        raise UsageError(
            f"A data set named {reader.dataset!r} already exists. Give yours a different name, or "
            "call unregister first."
        )
    _READERS[reader.dataset] = reader


def unregister(dataset: str) -> None:
    """Removes a reader that `register` added.

    Raises:
        UsageError: if no data set has that name.
    """
    get(dataset)
    del _READERS[dataset]


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
