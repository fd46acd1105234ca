"""A run's folder: what is in it, and how to get model and labels out again."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import keras

from keras_alexnet import files
from keras_alexnet.config import TrainConfig
from keras_alexnet.errors import UserError
from keras_alexnet.recipes import Recipe

MODEL = "model.keras"
CONFIG = "config.json"
METRICS = "metrics.csv"
RESULTS = "results.json"
LABELS = "labels.txt"


class LoadedRun(NamedTuple):
    """What `load` returns; it unpacks as `model, labels`."""

    model: keras.Model
    labels: tuple[str, ...] | None


def load(where: str | os.PathLike) -> LoadedRun:
    """Loads a trained network.

    Args:
        where: a run's folder, or a `.keras` file. Labels are read from `labels.txt` beside the
            file; without it they are None.

    Returns:
        The model, float32, pixels 0–255 in and logits out, and its labels in class order.

    Raises:
        UserError: if there is no such file, or it cannot be read as a model.

    Example:
        >>> model, labels = load("runs/mine")  # doctest: +SKIP
    """
    path = model_file(where)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the damage leads it to.
        raise UserError(f"{path} cannot be read as a Keras model: {_first_line(error)}") from error
    labels = path.with_name(LABELS)
    if not labels.exists():
        return LoadedRun(model, None)
    names = tuple(labels.read_text(encoding="utf-8").splitlines())
    if len(names) != model.output_shape[-1]:
        raise UserError(
            f"{labels} names {len(names)} classes, and the model has {model.output_shape[-1]}."
        )
    return LoadedRun(model, names)


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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
