"""load_dataset: a data set by its name, read from a copy or downloaded."""

import dataclasses
import functools
import os
import pathlib

from absl import logging

from keras_alexnet.data import readers
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Arrays, Dataset, UnsplitDataset, in_memory
from keras_alexnet.data.images import EncodedImages
from keras_alexnet.data.readers import Reader, tfds
from keras_alexnet.data.table import log_table
from keras_alexnet.errors import UsageError, UserError, whole_number
from keras_alexnet.utils.reporting import reported
from keras_alexnet.utils.values import path_text

DEFAULT, FALLBACK = "cifar10", "shapes"  # what no name means, and what it means without a network


@reported
def load_dataset(data: DataSpec | str | None = None, *, seed: int = 0, verbose: int = 1) -> Dataset:
    """Finds a data set and makes it ready to be read.

    Args:
        data: which data set, or its name, one of `list_datasets()`. None means CIFAR-10 if there is
            a copy or it can be downloaded, and if not, with a warning, "shapes". `data_dir` is, for
            "image_folder", the folder or archive; for "tfrecord", the folder that `prepare` wrote;
            for published sets, a copy, official or prepared by tensorflow-datasets, or a folder
            that holds one, and nothing is downloaded. By default published sets are searched for in
            `$TFDS_DATA_DIR`, `~/tensorflow_datasets` and `~/.keras/datasets`, and downloaded
            through tensorflow-datasets if they are not there. Without `dataset_name`, the name in
            results is the stem of the folder or archive, or the data set's name.
        seed: divides a set of one part, such as an image folder that has no test set of its own.
            ("shapes" is always the same set.)
        verbose: 0 shows only warnings, 1 also lines and progress bars, 2 lines but no bars.

    Returns:
        The `Dataset`.

    Raises:
        UsageError: if the name is unknown, or a `data_dir` is needed or cannot be used.
        UserError: if there is no copy and no download, or if the data is incomplete or damaged.

    Example:
        >>> data = load_dataset("shapes")
        >>> len(data.train), len(data.test), data.class_names[:2]
        (10000, 2000, ('disc', 'ring'))
    """
    spec = data.data if isinstance(data, DataSpec) else DataSpec(data)
    seed = whole_number("seed", seed, 0)
    reader = readers.get(spec.dataset or DEFAULT)
    _check_options(reader, spec)
    if spec.data_dir is not None and not os.path.exists(spec.data_dir):
        raise UserError(
            f"The data_dir {spec.data_dir} does not exist. Pass the folder or archive that holds "
            "the images."
        )
    try:
        return _load(reader, spec, seed)
    except UserError as error:
        if spec.dataset is not None or spec.data_dir is not None:
            raise
        found = f"no copy of {DEFAULT} was found, so the built-in data set {FALLBACK} was used"
        logging.warning("No --dataset was given, and %s. %s", found, error)
        made = _made(readers.get(FALLBACK), spec.dataset_name)
        return dataclasses.replace(made, note=found)


def _check_options(reader: Reader, spec: DataSpec) -> None:
    for name in ("splits", "labels_csv"):
        if getattr(spec, name) is not None and name not in reader.options:
            raise UsageError(
                f"{name} is for --dataset image_folder. Received: {name}={getattr(spec, name)} "
                f"with the data set {reader.dataset}. Leave it out."
            )


def _load(reader: Reader, spec: DataSpec, seed: int) -> Dataset:
    if reader.published is not None:
        return _published(reader, spec, seed)
    if reader.data_dir is None:
        if spec.data_dir is not None:
            raise UsageError(
                f"The data set {reader.dataset} is generated, not read from files. Received: "
                f"data_dir={spec.data_dir}. Leave it out, or pass --dataset image_folder."
            )
        return _made(reader, spec.dataset_name)
    if spec.data_dir is None:
        raise UsageError(
            f"The data set {reader.dataset} needs {reader.data_dir}. Received: no data_dir. Pass "
            "--data_dir (data_dir=)."
        )
    options = {name: getattr(spec, name) for name in reader.options}
    found = reader.read(pathlib.Path(spec.data_dir), **options)
    if found is None:
        raise UserError(f"{spec.data_dir} is not {reader.data_dir}.")
    return _completed(reader, found, spec, seed)


@functools.cache  # once per process
def _made(reader: Reader, dataset_name: str | None) -> Dataset:
    found = reader.read(None)
    assert found is not None
    return _completed(reader, found, DataSpec(dataset_name=dataset_name), seed=0)


def _completed(
    reader: Reader, found: Arrays | UnsplitDataset, spec: DataSpec, seed: int
) -> Dataset:
    if isinstance(found, Arrays):
        return in_memory(spec.dataset_name or reader.dataset, found)
    most = whole_number("max_image_pixels", spec.max_image_pixels, 1)
    for split in found.splits.values():
        if isinstance(split.pixels, EncodedImages):
            split.pixels.max_pixels = most
            if not spec.image_cache:
                split.pixels.cache = None
    named = dataclasses.replace(found, name=spec.dataset_name or found.name)
    data = named.completed(seed, spec.skip_corrupt)
    if data.undivided is not None:
        parts = {"all": data.undivided.images}
        note = data.undivided.note
    else:
        parts = {"train": data.train, "test": data.test}
        if data.validation is not None:
            parts = {"train": data.train, "val": data.validation, "test": data.test}
        note = data.note
    labels = {name: split.labels for name, split in parts.items()}
    notes = [note] if note else []
    log_table(data.name, data.class_names, labels, data.left_out, notes)
    return data


def _published(reader: Reader, spec: DataSpec, seed: int) -> Dataset:
    """Finds a published data set, in `data_dir` or in the usual places, or downloads it."""
    published, problem = reader.published, None
    assert published is not None
    places = _usual_places() if spec.data_dir is None else [pathlib.Path(spec.data_dir)]
    for place in places:
        try:
            found = reader.read(place)
            if found is not None:
                return _completed(reader, found, spec, seed)
        except UserError as error:  # another place may have a whole copy
            problem = problem or error
    tfds_name = published.tfds_name if spec.data_dir is None else None
    if tfds_name and tfds.reachable(published.address):
        # Where tensorflow-datasets would put it.
        return _completed(reader, tfds.download(tfds_name, places[0]), spec, seed)
    if problem:
        raise problem
    silent = f", and {published.address} does not answer" if tfds_name else ""
    raise UserError(
        f"{published.title} is not in {' or '.join(map(str, places))}{silent}. Get it from "
        f"{published.address} and pass --data_dir (data_dir=) with the folder that holds "
        f"{published.copies}."
        + ("" if spec.data_dir is None else " For images in folders pass --dataset image_folder.")
    )


def _usual_places() -> list[pathlib.Path]:
    named = os.environ.get("TFDS_DATA_DIR")
    home = pathlib.Path.home()
    places = [home / "tensorflow_datasets", home / ".keras" / "datasets"]
    return [pathlib.Path(path_text("TFDS_DATA_DIR", named)), *places] if named else places
