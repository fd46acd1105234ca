"""prepare(source, out): archives or folders of images → shards, index and manifest."""

import hashlib
import itertools
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet import __version__
from keras_alexnet.data import shard_folder, shards
from keras_alexnet.data.config import PrepareConfig
from keras_alexnet.data.dataset import UnsplitDataset
from keras_alexnet.data.manifest import File, Manifest, Part, Shard, is_whole
from keras_alexnet.data.readers import image_folder, imagenet_tar
from keras_alexnet.data.records import RecordIndex, index_records
from keras_alexnet.data.shard_folder import ShardFolder
from keras_alexnet.data.shard_index import write_index
from keras_alexnet.data.shards import Planned
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import files, machine
from keras_alexnet.utils.terminal import Progress


def prepare(config: PrepareConfig) -> Manifest:
    """Turns images into shards of TFRecords, every one decoded to see that it is whole.

    What was finished before a kill is kept after its hash has been checked; a folder that is
    complete is checked, and its damaged shards are made anew. The same source, seed and settings
    give the same bytes, whatever the number of threads.

    Args:
        config: what to prepare, where to, and how.

    Returns:
        The `Manifest`, as it stands in `out/manifest.json`.

    Raises:
        UsageError: for an argument that cannot be used.
        UserError: if the source is missing, damaged or, without `skip_corrupt`, has images that
            cannot be decoded; or if `out` holds something else or cannot be written.

    Example:
        >>> import keras_alexnet as ka
        >>> config = ka.PrepareConfig(source="flowers.tar.gz", out="records/flowers")
        >>> manifest = ka.prepare(config)  # doctest: +SKIP
        >>> prepared = ka.DataSpec("tfrecord", data_dir="records/flowers")
        >>> ka.load_dataset(prepared).name  # doctest: +SKIP
        'flowers'
    """
    source, out = config.source, config.out
    seed, images_per_shard = config.seed, config.images_per_shard
    short_side, threads = config.short_side, config.threads
    dataset_name, skip_corrupt = config.dataset_name, config.skip_corrupt
    _check(seed=(seed, 0), images_per_shard=(images_per_shard, 1))
    _check(short_side=(short_side, 1), threads=(threads, 1))
    threads = threads or len(machine.processors())
    _check_places(pathlib.Path(source), pathlib.Path(out))
    found = _read(source, dataset_name, config.validation_labels)
    settings = {
        "seed": seed,
        "images_per_shard": images_per_shard,
        "short_side": short_side,
        "jpeg_quality": shards.JPEG_QUALITY if short_side else None,
    }
    identity = {
        "class_names": list(found.class_names),
        "images": {part: len(split) for part, split in found.splits.items()},
        "settings": settings,
    }
    source_described = {"sha256": found.sha256, "sha256_of": found.sha256_of}
    with shard_folder.opened_shard_folder(out, identity, source_described) as folder:
        done = _finished(folder, found, settings, skip_corrupt, threads)
        _refuse_damaged(done, skip_corrupt)
        name = found.name
        if dataset_name is None and short_side:
            name += f"-short{short_side}"
        manifest = _described(folder, found, done, name, settings, source_described)
        folder.end(manifest)
    return manifest


def _check(**arguments: tuple[int | None, int]) -> None:
    for name, (value, least) in arguments.items():
        if value is not None and value < least:
            raise UsageError(f"{name} must be at least {least}. Received: {value}.")


def _check_places(source: pathlib.Path, out: pathlib.Path) -> None:
    if not source.exists():
        raise UserError(f"The source {source} does not exist.")
    if source.name in (imagenet_tar.TRAIN, imagenet_tar.VALIDATION):
        raise UsageError(
            f"The two ImageNet archives are read together. Received: source={source}. Name the "
            f"folder that holds both: {source.parent}."
        )
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"out must not be inside the source {source}, where it would be taken for a class. "
            f"Received: out={out}."
        )


def _read(source, dataset_name: str | None, validation_labels) -> UnsplitDataset:
    if os.path.isdir(source) and imagenet_tar.are_in(source):
        return imagenet_tar.read(source, validation_labels)
    if validation_labels is not None:
        raise UsageError(
            f"validation_labels belong to {imagenet_tar.VALIDATION}, which is not in {source}."
        )
    found = image_folder.read(pathlib.Path(source))
    for name in (found.name, *found.class_names):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:  # which a manifest could not hold
            raise UserError(f"{name!r} is not valid UTF-8. Rename the class folder.") from error
    return found


def _finished(
    folder: ShardFolder, found: UnsplitDataset, settings: dict, skip_corrupt: bool, threads: int
) -> dict[str, list[tuple[Planned, Shard]]]:
    """All shards of each part: those that were finished earlier, and the others made now."""
    # The contents of all the data are one more thing that must not have changed, if known.
    data_sha256 = found.sha256 if found.sha256_of == "contents" else None
    plans, sources, kept = {}, {}, {}
    for part, split in found.splits.items():
        plans[part] = shards.plan(part, len(split), settings["images_per_shard"], settings["seed"])
        for planned in plans[part]:
            sources[planned.file] = shards.source_hash(split, planned, data_sha256)
    every = [planned for part in plans.values() for planned in part]

    def whole(planned: Planned) -> Shard | None:
        shard = folder.noted(planned.file)
        good = (
            shard is not None
            and shard.made_from == sources[planned.file]
            and (skip_corrupt or not shard.skipped)  # else they may have been mended
            and is_whole(folder.path, shard)
        )
        return shard if good else None

    with ThreadPoolExecutor(threads) as pool:
        kept = {shard.file: shard for shard in pool.map(whole, every) if shard is not None}
    if kept:
        logging.info("Keeping %d of %d shards, which are whole.", len(kept), len(every))
    missing = [planned for planned in every if planned.file not in kept]
    made = _made(folder, found.splits, missing, sources, settings["short_side"], threads)
    finished = {**kept, **made}
    return {part: [(p, finished[p.file]) for p in plan] for part, plan in plans.items()}


def _made(
    folder: ShardFolder,
    splits: dict[str, Split],
    missing: list[Planned],
    sources: dict[str, str],
    short_side: int | None,
    threads: int,
) -> dict[str, Shard]:
    made = {}
    with Progress(sum(len(planned.rows) for planned in missing), "preparing") as progress:
        for part, split in splits.items():
            of_part = [planned for planned in missing if planned.part == part]
            # One stream for all shards of a part: the next is decoded while one is written.
            rows = np.concatenate([np.array([], np.int64), *(planned.rows for planned in of_part)])
            images = shards.checked(split, rows, short_side, threads)
            for planned in of_part:
                shard = shards.write(
                    folder.path / planned.file,
                    split,
                    itertools.islice(images, len(planned.rows)),
                    sources[planned.file],
                    progress.advance,
                )
                folder.note(shard)
                made[planned.file] = shard
    return made


def _refuse_damaged(done: dict[str, list[tuple[Planned, Shard]]], skip_corrupt: bool) -> None:
    every = [shard for part in done.values() for _, shard in part]
    skipped = sorted(name for shard in every for name in shard.skipped)
    if skipped and not skip_corrupt:
        total = len(skipped) + sum(shard.images for shard in every)
        more = f" and {len(skipped) - 10} more" if len(skipped) > 10 else ""
        raise UserError(
            f"{len(skipped)} of {total} images cannot be decoded: {', '.join(skipped[:10])}{more}. "
            "The log says why. All others are done: replace these, or pass --skip_corrupt "
            "(skip_corrupt=True) to leave them out, and run scripts/prepare.py again."
        )
    for part, parts_shards in done.items():
        if not sum(shard.images for _, shard in parts_shards):
            raise UserError(f"No image of {part} can be decoded.")


def _described(
    folder: ShardFolder,
    found: UnsplitDataset,
    done: dict[str, list[tuple[Planned, Shard]]],
    name: str,
    settings: dict,
    source: dict[str, str],
) -> Manifest:
    """Writes the indices, and returns what the manifest has to say."""
    parts = {}
    for part, finished in done.items():
        made = tuple(shard for _, shard in finished)
        index = _index(folder.path, part, found.splits[part], finished)
        parts[part] = Part(sum(shard.images for shard in made), index, made)
    data = source
    if settings["short_side"]:
        hashes = "".join(shard.sha256 for part in parts.values() for shard in part.shards)
        data = {"sha256": hashlib.sha256(hashes.encode()).hexdigest(), "sha256_of": "shards"}
    return Manifest(
        name=name,
        class_names=found.class_names,
        **data,
        source=source,
        settings=settings,
        made_with={"keras_alexnet": __version__, "tensorflow": tf.__version__},
        parts=parts,
    )


def _index(path: pathlib.Path, part: str, split: Split, finished) -> File:
    rows = [shards.stored_rows(split, planned, shard) for planned, shard in finished]
    rows = np.concatenate(rows)
    in_shards = index_records([path / shard.file for _, shard in finished])
    order = np.argsort(rows)
    in_source = RecordIndex(*(column[order] for column in in_shards))
    file = path / f"{part}.npz"
    write_index(file, in_source, [split.name(row) for row in rows[order]])
    return File(file.name, file.stat().st_size, files.sha256_of(file))
