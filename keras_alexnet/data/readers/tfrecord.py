"""Prepared images, read from the shards that `prepare` wrote.

Images stand in the order of their source, whatever shard they are in, so that training from the
shards sees the batches that it would see from the source.
"""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_alexnet.data.dataset import UnsplitDataset, check_labels
from keras_alexnet.data.manifest import Part, is_whole, read
from keras_alexnet.data.records import RecordImages, RecordIndex
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UserError
from keras_alexnet.utils import files


class _Names(Sequence):
    """Names, one after the other in one array: a million of them as strings take 100 MB."""

    def __init__(self, characters: np.ndarray, ends: np.ndarray):
        self._characters, self._ends = characters, ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> str:
        start = self._ends[row - 1] if row else 0
        return os.fsdecode(self._characters[start : self._ends[row]].tobytes())


def read_parts(folder: str | os.PathLike, dataset_name: str | None = None) -> UnsplitDataset:
    """The labeled images of a folder that `prepare` wrote.

    Sizes of the shards are compared with the manifest here, their hashes by `verify_prepared`.

    Raises:
        UserError: if the manifest or a shard is missing or damaged, or of another version.

    Example:
        >>> sorted(read_parts("records/flowers").splits)  # doctest: +SKIP
        ['test', 'train']
    """
    manifest = read(folder)
    splits = {name: _split(pathlib.Path(folder), part) for name, part in manifest.parts.items()}
    for split in splits.values():
        check_labels(os.fspath(folder), split.labels, manifest.class_names)
    return UnsplitDataset(
        name=dataset_name or manifest.name,
        class_names=manifest.class_names,
        splits=splits,
        sha256=manifest.sha256,
        sha256_of=manifest.sha256_of,
        skipped=manifest.skipped,
    )


def write_index(path: str | os.PathLike, index: RecordIndex, names: Sequence[str]) -> None:
    """Writes where each image stands in the shards, and its name, in the order of the source."""
    encoded = [os.fsencode(name) for name in names]
    with files.atomic_write(path) as temporary:
        np.savez(
            temporary,
            **index._asdict(),
            names=np.frombuffer(b"".join(encoded), np.uint8),
            name_ends=np.cumsum([len(name) for name in encoded], dtype=np.int64),
        )


def _split(folder: pathlib.Path, part: Part) -> Split:
    path = folder / part.index.file
    # Small beside the shards, and all depends on it: its hash is looked at every time.
    if not is_whole(folder, part.index):
        raise UserError(f"{path} has changed (SHA-256). Run scripts/prepare.py again or copy it.")
    try:
        with np.load(path, allow_pickle=False) as columns:
            index = RecordIndex(*(columns[name] for name in RecordIndex._fields))
            names = _Names(columns["names"], columns["name_ends"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}. Run scripts/prepare.py again.") from error
    if len(index.labels) != part.images:
        raise UserError(f"{path} has {len(index.labels)} images, the manifest {part.images}.")
    shards = [folder / shard.file for shard in part.shards]
    return Split.of(RecordImages(shards, index, names), index.labels)
