"""Shards: TFRecord files, each with a random share of a data set's images.

Which images a shard holds, in which order and with which bytes, depends only on the source, the
seed and the settings, and not on the number of threads or on interruptions.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet.data import decode
from keras_alexnet.data.checking import Checked
from keras_alexnet.data.manifest import Shard
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable

_PARTS = ("all", "train", "val", "test")  # a part's position is a key of the shuffling


class Planned(NamedTuple):
    """A shard to be written: `rows` are int64 `[images]` into the split, in the shard's order."""

    part: str
    file: str
    rows: np.ndarray


def plan(part: str, images: int, images_per_shard: int, seed: int) -> list[Planned]:
    """Distributes the images of a part over shards at random, in the same way for the same seed.

    Example:
        >>> [len(shard.rows) for shard in plan("train", 10, images_per_shard=4, seed=0)]
        [3, 3, 4]
    """
    random = np.random.Generator(np.random.PCG64([seed, _PARTS.index(part)]))
    order = random.random(images).argsort(kind="stable")
    count = -(-images // images_per_shard)
    ends = [images * number // count for number in range(count + 1)]
    return [
        Planned(
            part,
            f"{part}-{number:05d}-of-{count:05d}.tfrecord",
            order[ends[number] : ends[number + 1]],
        )
        for number in range(count)
    ]


def source_hash(split: Split, shard: Planned, data_sha256: str | None) -> str:
    """Returns a hash of the names, labels and sizes of the images to make a shard from.

    It includes `data_sha256`, the fingerprint of the contents of all data, if there is one.
    """
    digest = hashlib.sha256(json.dumps(data_sha256).encode())
    for row in shard.rows:
        size = split.encoded.size(int(split.rows[row]))
        digest.update(b"%s\0%d\0%d\0" % (os.fsencode(split.name(row)), split.labels[row], size))
    return digest.hexdigest()


def write(
    path: pathlib.Path, split: Split, images: Iterator[Checked], made_from: str, advance: Callable
) -> Shard:
    """Writes a shard, whole or not at all, with a record for every image that can be decoded.

    Args:
        path: the path of the file.
        split: has the names and labels of the images.
        images: the images of the shard, in order.
        made_from: see `source_hash`.
        advance: called with 1 after each image.

    Raises:
        UserError: if the file cannot be written.
    """
    stored, skipped = 0, []
    try:
        with files.atomic_write(path) as temporary:
            with tf.io.TFRecordWriter(os.fspath(temporary)) as records:
                for image in images:
                    if image.contents is None:
                        skipped.append(printable(split.name(image.row)))
                        logging.warning("%s: %s", skipped[-1], image.problem)
                    else:
                        records.write(_record(split, image.row, image.contents))
                        stored += 1
                    advance(1)
            size, sha256 = temporary.stat().st_size, files.sha256_of(temporary)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"{path} could not be written: {decode.reason(error)}. Make room for it and run "
            "keras-alexnet prepare again with the same flags: finished shards are kept."
        ) from error
    return Shard(path.name, size, sha256, stored, tuple(skipped), made_from)


def stored_rows(split: Split, planned: Planned, shard: Shard) -> np.ndarray:
    """Returns the rows of the split that a finished shard has records of, in their order."""
    if not shard.skipped:
        return planned.rows
    skipped = set(shard.skipped)
    names = (printable(split.name(row)) for row in planned.rows)
    kept = [row for row, name in zip(planned.rows, names, strict=True) if name not in skipped]
    return np.array(kept, np.int64)


def _record(split: Split, row: int, contents: bytes) -> bytes:
    def feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    label = tf.train.Int64List(value=[int(split.labels[row])])
    features = {
        "file_name": feature(os.fsencode(split.name(row))),
        "image": feature(contents),
        "label": tf.train.Feature(int64_list=label),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)  # the map's keys sorted
