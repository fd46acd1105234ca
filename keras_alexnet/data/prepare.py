"""prepare: turns folders or archives of images into shards, their index and a manifest."""

import contextlib
import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet import __version__
from keras_alexnet.data import checking, shard_folder, shards
from keras_alexnet.data.config import PrepareConfig
from keras_alexnet.data.dataset import UnsplitDataset
from keras_alexnet.data.decoding import decoder_warnings
from keras_alexnet.data.manifest import File, Manifest, Part, Shard, is_whole
from keras_alexnet.data.readers import image_folder, imagenet_tar
from keras_alexnet.data.records import RecordIndex, index_records
from keras_alexnet.data.shard_folder import ShardFolder
from keras_alexnet.data.shard_index import write_index
from keras_alexnet.data.shards import Planned
from keras_alexnet.data.splits import Split
from keras_alexnet.data.table import log_table
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import files, machine, outputs
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.terminal import Progress
from keras_alexnet.utils.text import printable


@reported
def prepare(config: PrepareConfig, *, verbose: int = 1) -> Manifest:
    """Turns images into shards of TFRecords, after decoding each image to check it.

    If a preparation was killed, its finished shards are kept after their hash has been checked. A
    complete folder is checked, and its damaged shards are made again. The same source, seed and
    settings give the same bytes with any number of threads.

    Args:
        config: what to prepare, where to, and how.
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        The `Manifest` in `out/manifest.json`.

    Raises:
        UsageError: if an argument cannot be used.
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
    _check(config)
    images = _read(config)
    if not decoder_warnings.can_listen():
        logging.warning(
            "The JPEG decoder of this machine does not print its warnings, so that images with "
            "damage that it passes over are not found."
        )
    settings = {
        "seed": config.seed,
        "images_per_shard": config.images_per_shard,
        "short_side": config.short_side,
        "jpeg_quality": checking.JPEG_QUALITY if config.short_side else None,
    }
    identity = {
        "class_names": list(images.class_names),
        "images": {part: len(split) for part, split in images.splits.items()},
        "settings": settings,
    }
    fingerprint = {"sha256": images.sha256, "sha256_of": images.sha256_of}
    with (
        _kept_at_a_signal(),
        shard_folder.opened_shard_folder(config.out, identity, fingerprint) as folder,
    ):
        finished = _finished(folder, images, config)
        _refuse_damaged(finished, config.skip_corrupt)
        manifest = _described(folder, images, finished, settings)
        folder.end(manifest)
    return manifest


@contextlib.contextmanager
def _kept_at_a_signal() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note("Finished shards are kept: the same command goes on from there.")
        raise


def _threads(config: PrepareConfig) -> int:
    return config.threads or len(machine.processors())


def _check(config: PrepareConfig) -> None:
    if config.source is None or config.out is None:
        raise UsageError("source and out are needed: what to prepare, and where to.")
    source, out = pathlib.Path(config.source), pathlib.Path(config.out)
    if not source.exists():
        raise UserError(
            f"The source {source} does not exist. Pass the folder or archive that holds the images."
        )
    if source.name in (imagenet_tar.TRAIN, imagenet_tar.VALIDATION):
        raise UsageError(
            f"The two ImageNet archives are read together. Received: source={source}. Name the "
            f"folder that holds both: {source.parent}."
        )
    outputs.check_folder(out, "out")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"out must not be inside the source {source}, where it would be read as a class. "
            f"Received: out={out}."
        )


def _read(config: PrepareConfig) -> UnsplitDataset:
    """Returns the images to prepare, with the name that the prepared ones get."""
    source = pathlib.Path(config.source)
    if source.is_dir() and imagenet_tar.are_in(source):
        for option in ("splits", "labels_csv"):
            if getattr(config, option) is not None:
                raise UsageError(f"{option} is for image folders, not for ImageNet's archives.")
        images = imagenet_tar.read(source, config.validation_labels)
    elif config.validation_labels is not None:
        raise UsageError(
            f"validation_labels are for {imagenet_tar.VALIDATION}, which is not in {source}. Leave "
            "them out."
        )
    else:
        images = image_folder.read(source, config.splits, config.labels_csv)
    labels = {part: split.labels for part, split in images.splits.items()}
    notes = [images.note] if images.note else []
    log_table(images.name, images.class_names, labels, images.left_out, notes)
    shrunk = f"-short{config.short_side}" if config.short_side else ""
    name = images.name + shrunk if config.dataset_name is None else config.dataset_name
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:  # which a manifest could not hold
        raise UserError(f"The name {printable(name)} is not valid UTF-8.") from error
    for split in images.splits.values():
        split.encoded.max_pixels = config.max_image_pixels
    return dataclasses.replace(images, name=name)


Finished = dict[str, list[tuple[Planned, Shard]]]  # the shards of each part, in order


def _finished(folder: ShardFolder, images: UnsplitDataset, config: PrepareConfig) -> Finished:
    """Returns all shards of each part: those finished earlier, and the others made now."""
    # The contents of all the data, if they are known, must not have changed either.
    data_sha256 = images.sha256 if images.sha256_of == "contents" else None
    plans, sources = {}, {}
    for part, split in images.splits.items():
        plans[part] = shards.plan(part, len(split), config.images_per_shard, config.seed)
        for planned in plans[part]:
            sources[planned.file] = shards.source_hash(split, planned, data_sha256)
    every = [planned for part in plans.values() for planned in part]

    def whole(planned: Planned) -> Shard | None:
        shard = folder.noted(planned.file)
        good = (
            shard is not None
            and shard.made_from == sources[planned.file]
            and (config.skip_corrupt or not shard.skipped)  # else they may have been repaired
            and is_whole(folder.path, shard)
        )
        return shard if good else None

    with ThreadPoolExecutor(_threads(config)) as pool:
        known = {shard.file: shard for shard in pool.map(whole, every) if shard is not None}
    if known:
        logging.info("Keeping %d of %d shards, which are whole.", len(known), len(every))
    missing = [planned for planned in every if planned.file not in known]
    known |= _made(folder, images.splits, missing, sources, config)
    return {part: [(p, known[p.file]) for p in plan] for part, plan in plans.items()}


def _made(
    folder: ShardFolder,
    splits: dict[str, Split],
    missing: list[Planned],
    sources: dict[str, str],
    config: PrepareConfig,
) -> dict[str, Shard]:
    made = {}
    with Progress(sum(len(planned.rows) for planned in missing), "preparing") as progress:
        for part, split in splits.items():
            of_part = [planned for planned in missing if planned.part == part]
            # One stream for all shards of a part: the next is decoded while one is written.
            rows = np.concatenate([np.array([], np.int64), *(planned.rows for planned in of_part)])
            images = checking.checked(split, rows, config.short_side, _threads(config))
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


def _refuse_damaged(finished: Finished, skip_corrupt: bool) -> None:
    every = [shard for part in finished.values() for _, shard in part]
    skipped = sorted(name for shard in every for name in shard.skipped)
    if skipped and not skip_corrupt:
        total = len(skipped) + sum(shard.images for shard in every)
        more = f" and {len(skipped) - 10} more" if len(skipped) > 10 else ""
        raise UserError(
            f"{len(skipped)} of {total} images cannot be decoded: {', '.join(skipped[:10])}{more}. "
            "The log says why. All others are stored: replace these, or pass --skip_corrupt "
            "(skip_corrupt=True) to leave them out, and run keras-alexnet prepare again."
        )
    for part, parts_shards in finished.items():
        if not sum(shard.images for _, shard in parts_shards):
            raise UserError(f"No image of {part} can be decoded.")


def _described(
    folder: ShardFolder, images: UnsplitDataset, finished: Finished, settings: dict
) -> Manifest:
    """Writes the indices, and returns the manifest."""
    parts = {}
    for part, own in finished.items():
        made = tuple(shard for _, shard in own)
        index = _index(folder.path, part, images.splits[part], own)
        parts[part] = Part(sum(shard.images for shard in made), index, made)
    source = {"sha256": images.sha256, "sha256_of": images.sha256_of}
    fingerprint = source
    if settings["short_side"]:
        hashes = "".join(shard.sha256 for part in parts.values() for shard in part.shards)
        sha256 = hashlib.sha256(hashes.encode()).hexdigest()
        fingerprint = {"sha256": sha256, "sha256_of": "shards"}
    return Manifest(
        name=images.name,
        class_names=images.class_names,
        **fingerprint,
        source=source,
        settings=settings,
        made_with={"keras_alexnet": __version__, "tensorflow": tf.__version__},
        parts=parts,
        left_out=dict(images.left_out),
        note=images.note,
    )


def _index(
    path: pathlib.Path, part: str, split: Split, finished: list[tuple[Planned, Shard]]
) -> File:
    rows = np.concatenate(
        [shards.stored_rows(split, planned, shard) for planned, shard in finished]
    )
    in_shards = index_records([path / shard.file for _, shard in finished])
    order = np.argsort(rows)
    in_source = RecordIndex(*(column[order] for column in in_shards))
    file = path / f"{part}.npz"
    write_index(file, in_source, [split.name(row) for row in rows[order]])
    return File(file.name, file.stat().st_size, files.sha256_of(file))
