"""Loads the data of a run again, and splits it as the run did."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset, hold_out
from keras_alexnet.data.load import load_dataset
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
    if spec.dataset in (None, trained_on.get("dataset")):
        spec = dataclasses.replace(spec, dataset=trained_on.get("dataset"))
        if spec.data_dir is None:
            name = spec.dataset_name or trained_on.get("dataset_name")
            data_dir = trained_on.get("data_dir")
            spec = dataclasses.replace(spec, data_dir=data_dir, dataset_name=name)
    return load_dataset(spec)


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
    if labels is not None and tuple(labels) != tuple(data.class_names):
        index = next(i for i, name in enumerate(labels) if name != data.class_names[i])
        raise UserError(
            f"The classes of {data.name} are not the network's: class {index} is "
            f"{data.class_names[index]!r}, not {labels[index]!r}."
        )
