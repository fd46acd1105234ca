"""A run's folder: what is in it, and how to get model and labels out again."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import keras

from keras_alexnet import files, versions
from keras_alexnet.config import TrainConfig
from keras_alexnet.datasets import DataSource, load_dataset
from keras_alexnet.errors import UserError
from keras_alexnet.litert_metadata import DESCRIPTION
from keras_alexnet.recipes import Recipe

MODEL = "model.keras"
CONFIG = "config.json"
METRICS = "metrics.csv"
RESULTS = "results.json"
LABELS = "labels.txt"


class LoadedRun(NamedTuple):
    """What `load` returns; it unpacks as `model, labels`."""

    model: keras.Model | keras.layers.TFSMLayer
    labels: tuple[str, ...] | None


def load(where: str | os.PathLike) -> LoadedRun:
    """Loads a trained network.

    Args:
        where: a run's folder, a `.keras` file, or a SavedModel's folder: one version, or the
            folder of versions, of which it takes the newest. Labels are read from `labels.txt`
            beside the file, or out of the SavedModel; where there is none they are None.

    Returns:
        The model, float32, pixels 0–255 in and logits out, and its labels in class order. Of a
        SavedModel it is a `keras.layers.TFSMLayer`, to call and to build other models with.

    Raises:
        UserError: if there is no such file, or it cannot be read as a model.

    Example:
        >>> model, labels = load("runs/mine")  # doctest: +SKIP
    """
    if not (pathlib.Path(where) / MODEL).exists():
        if (folder := versions.newest(where)) is not None:
            return _load_saved_model(folder)
    path = model_file(where)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the damage leads it to.
        raise UserError(f"{path} cannot be read as a Keras model: {_reason(error)}") from error
    return LoadedRun(model, _read_labels(path.with_name(LABELS), model.output_shape[-1]))


def _load_saved_model(folder: pathlib.Path) -> LoadedRun:
    try:
        layer = keras.layers.TFSMLayer(str(folder), call_endpoint="logits")
        classes = layer.call_endpoint_fn.concrete_functions[0].structured_outputs.shape[-1]
    except Exception as error:  # TensorFlow too raises whatever the damage leads it to.
        raise UserError(
            f"{folder} cannot be read as a SavedModel of this package: {_reason(error)}"
        ) from error
    return LoadedRun(layer, _labels_of(folder, classes))


def _labels_of(folder: pathlib.Path, classes: int) -> tuple[str, ...] | None:
    """A SavedModel's labels, if they are names: without any, it holds the classes' numbers."""
    described = folder / "assets.extra" / DESCRIPTION
    if described.exists() and not json.loads(described.read_text())["labels_are_names"]:
        return None
    return _read_labels(folder / "assets" / LABELS, classes)


def _read_labels(path: pathlib.Path, classes: int) -> tuple[str, ...] | None:
    if not path.exists():
        return None
    names = tuple(path.read_text(encoding="utf-8").splitlines())
    if len(names) != classes:
        raise UserError(f"{path} names {len(names)} classes, and the model has {classes}.")
    return names


def save(workdir: str | os.PathLike, model: keras.Model, labels: Sequence[str]) -> None:
    """Writes `model.keras` and `labels.txt` into a run's folder, each whole or not at all."""
    workdir = pathlib.Path(workdir)
    with files.written_whole(workdir / MODEL) as temporary:
        model.save(temporary)
    files.write_text(workdir / LABELS, "".join(f"{name}\n" for name in labels))


def model_file(where: str | os.PathLike) -> pathlib.Path:
    """Returns the `.keras` file of a run's folder or the file itself.

    Raises:
        UserError: if there is none.
    """
    path = pathlib.Path(where)
    if path.is_dir():
        path = path / MODEL
        if not path.exists():
            raise UserError(
                f"{path.parent} holds no {MODEL}: it is not a run's folder, or the run has not "
                "ended. Go on with it by scripts/train.py --resume."
            )
    if not path.is_file():
        raise UserError(f"There is no model at {path}. Give a run's folder or a .keras file.")
    if path.suffix != ".keras":
        raise UserError(f"A model is a run's folder or a .keras file. Received: {path}.")
    return path


def read_config(where: str | os.PathLike) -> dict | None:
    """Returns the config.json of a run's folder or beside a model file, None where there is none.

    Raises:
        UserError: if it is not one that a run wrote.
    """
    folder = pathlib.Path(where)
    path = (folder if folder.is_dir() else folder.parent) / CONFIG
    if not path.exists():
        return None
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        TrainConfig(**described["config"]), Recipe(**described["recipe"])
        described["data"]["sha256"], described["commit"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is not what a run of this version wrote: {error}.") from error
    return described


def load_data(
    config: dict | None, dataset: str | None = None, *, data_dir=None, dataset_name=None, **options
) -> DataSource:
    """Loads the data that a run was trained on, or others that are named.

    Args:
        config: as `read_config` returns it.
        dataset, data_dir, dataset_name, options: as in `load_dataset`. What is None is the run's;
            the run's folder and name are of its own data set alone.

    Raises:
        UsageError, UserError: as `load_dataset`.
    """
    trained_on = config["config"] if config else {}
    if dataset in (None, trained_on.get("dataset")):
        dataset = trained_on.get("dataset")
        if data_dir is None:
            data_dir = trained_on.get("data_dir")
            dataset_name = dataset_name or trained_on.get("dataset_name")
    return load_dataset(dataset, data_dir=data_dir, dataset_name=dataset_name, **options)


def check_labels(classes: int, labels: Sequence[str] | None, data: DataSource) -> None:
    """Checks that a network of so many classes, with these labels, is one for the data.

    Raises:
        UserError: if it is not.
    """
    if classes != len(data.class_names):
        raise UserError(
            f"The network has {classes} classes and {data.name} has {len(data.class_names)}. "
            "Name the data that it was trained for with --dataset and --data_dir."
        )
    if labels is not None and tuple(labels) != tuple(data.class_names):
        index = next(i for i, name in enumerate(labels) if name != data.class_names[i])
        raise UserError(
            f"The classes of {data.name} are not the network's: class {index} is "
            f"{data.class_names[index]!r}, not {labels[index]!r}."
        )


def _reason(error: Exception) -> str:
    # Keras wraps a layer's own error in a page of advice and configuration, once for each level.
    innermost = str(error).rpartition("Exception encountered: ")[2].strip()
    return (innermost or type(error).__name__).splitlines()[0]
