"""Reads prepared images from the shards that `keras_alexnet.prepare` wrote.

The images are in the order of their source, whatever shard they are in, so training from the
shards sees the same batches as training from the source.
"""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from keras_alexnet.data.readers import Reader, register
from keras_alexnet.utils.text import printable

if TYPE_CHECKING:
    from keras_alexnet.data.dataset import UnsplitDataset


def read(place: pathlib.Path | None) -> UnsplitDataset:
    """Reads the labeled images of a folder that `prepare` wrote.

    The sizes of the shards are checked here, their hashes by `verify_prepared`.

    Raises:
        UserError: if the manifest or a shard is missing, damaged or from a different version.

    Example:
        >>> sorted(read(pathlib.Path("records/flowers")).splits)  # doctest: +SKIP
        ['test', 'train']
    """
    from keras_alexnet.data import manifest, shard_index
    from keras_alexnet.data.dataset import UnsplitDataset, check_labels

    assert place is not None
    found = manifest.read(place)
    splits = {name: shard_index.read_split(place, part) for name, part in found.parts.items()}
    for split in splits.values():
        check_labels(os.fspath(place), split.labels, found.class_names)
    return UnsplitDataset(
        name=found.name,
        class_names=found.class_names,
        splits=splits,
        sha256=found.sha256,
        sha256_of=found.sha256_of,
        skipped=found.skipped,
        left_out={printable(why): count for why, count in found.left_out.items()},
        note=None if found.note is None else printable(found.note),
    )


register(Reader(dataset="tfrecord", read=read, data_dir="the folder that `prepare` wrote"))
