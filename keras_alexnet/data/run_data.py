"""Loads the data of a run again, and splits it as the run did."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset, hold_out
from keras_alexnet.data.folders.tree import as_nfc
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.readers import list_datasets
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError, UserError


def load_run_data(config: Mapping[str, Any] | None, spec: DataSpec) -> Dataset:
    """Loads the data that a run was trained on, or other data.

    Args:
        config: the run's config.json, or None if there is no run.
        spec: the data set. Fields that are not set are taken from the run; the folder and the name
            of the run's data are used only for the same data set.

    Raises:
        UsageError, UserError: as in `load_dataset`.
    """
    trained_on = config["config"] if config else {}
    if spec.dataset not in (None, trained_on.get("dataset")):
        return load_dataset(spec)
    spec = dataclasses.replace(spec, dataset=trained_on.get("dataset"))
    same_place = spec.data_dir is None or _same_path(spec.data_dir, trained_on.get("data_dir"))
    if not same_place:
        return load_dataset(spec)
    taken = ["data_dir", "dataset_name"]
    if spec.splits is None and spec.labels_csv is None:
        taken += ["splits", "labels_csv"]
    missing: dict[str, Any] = {
        name: trained_on.get(name) for name in taken if getattr(spec, name) is None
    }
    spec = dataclasses.replace(spec, **missing)
    data = load_dataset(spec)
    if config and data.sha256 != config["data"]["sha256"]:
        changed = f"{data.name} has changed since the network was trained on it (SHA-256)"
        logging.warning("%s.", changed)
        data = data.with_note(changed)
    return data


def usual_dataset(trained_on: str) -> str:
    """Returns the data set to use with a network whose run is not here, if none is named.

    Args:
        trained_on: the name of the data that the network was trained on.

    Raises:
        UsageError: there is no data set that everyone can have.

    Example:
        >>> usual_dataset("cifar10-jpeg")
        'cifar10'
    """
    name = trained_on.partition("-")[0]  # cifar10-jpeg is a copy of cifar10
    if name not in list_datasets():
        raise UsageError(
            f"The network was trained on {trained_on}, which may be anywhere. Name the data with "
            "--dataset and --data_dir."
        )
    logging.info("No data set was named, so %s is used. The network saw %s.", name, trained_on)
    return name


def _same_path(one: str | os.PathLike, other: str | os.PathLike | None) -> bool:
    return other is not None and os.path.realpath(one) == os.path.realpath(other)


def as_tested(config: Mapping[str, Any] | None, data: Dataset) -> Dataset:
    """Returns the data set whose test images are all images, if it has no splits of its own.

    The run that was trained on a part of the same images is tested on the rest, which `data` has
    as its test images already.

    Args:
        config: the run's config.json, or None if there is no run.
        data: a data set.
    """
    own = config is not None and config["data"]["sha256"] == data.sha256
    if data.undivided is not None and not own:
        images = data.undivided.images
        note = f"all {len(images)} images were evaluated, because the data has no splits"
        data = dataclasses.replace(
            data, test=images, note=data.undivided.note, undivided=None
        ).with_note(note)
    if data.note:
        logging.info("%s: %s.", data.name, data.note)
    return data


def run_split(config: Mapping[str, Any] | None, data: Dataset, name: str) -> Split:
    """Returns the "test", "validation" or "train" images of a data set, as a run split them.

    Args:
        config: the run's config.json, or None if there is no run; all training images are then
            "train".
        data: a data set; for "validation" and "train" the one that the run was trained on.
        name: the name of the split.

    Raises:
        UsageError: the run's split is needed, but is unknown or is of different data.
    """
    if name == "test":
        return data.test
    if config is None:
        if name == "train":
            return data.train
        raise UsageError("split=validation needs a run's folder, because its config.json says it.")
    trained_on = config["data"]["sha256"]
    if data.sha256 != trained_on:
        raise UsageError(
            f"split={name} is a part of the data that the run was trained on, but {data.name} is "
            f"different data: SHA-256 {data.sha256}, not {trained_on}."
        )
    settings, fraction = config["config"], config["recipe"]["validation_fraction"]
    training, validation = hold_out(data, settings["validation_images"], fraction, settings["seed"])
    if name == "train":
        return training
    if validation is None:
        raise UsageError("This run held no images out, so it has no validation split.")
    return validation


def check_classes(classes: int, labels: Sequence[str] | None, data: Dataset) -> None:
    """Checks that the classes of a network are those of a data set.

    Args:
        classes: the number of classes of the network.
        labels: their names, or None if only numbers are known.
        data: a data set.

    Raises:
        UserError: they are not.
    """
    if classes != len(data.class_names):
        raise UserError(
            f"The network has {classes} classes, but {data.name} has {len(data.class_names)}. "
            "Name the data that it was trained for with --dataset and --data_dir."
        )
    differing = [i for i, name in enumerate(labels or ()) if as_nfc(name) != data.class_names[i]]
    if labels is not None and differing:
        index = differing[0]
        raise UserError(
            f"The classes of {data.name} are not the network's: class {index} is "
            f"{data.class_names[index]!r}, not {labels[index]!r}."
        )
