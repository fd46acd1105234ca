"""The files of a run's folder and of an export's folder."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import keras

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files

DESCRIPTION = "signature.json"


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
        if (folder := newest(where)) is not None:
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
    with files.atomic_write(workdir / MODEL) as temporary:
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


def _reason(error: Exception) -> str:
    # Keras wraps a layer's own error in a page of advice and configuration, once for each level.
    innermost = str(error).rpartition("Exception encountered: ")[2].strip()
    return (innermost or type(error).__name__).splitlines()[0]


GRAPH = "saved_model.pb"


def versions(folder: str | os.PathLike) -> dict[int, pathlib.Path]:
    """Returns number → folder of the SavedModels directly below `folder`, oldest first."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return {}
    found = {int(each.name): each for each in folder.iterdir() if each.name.isdecimal()}
    return {number: found[number] for number in sorted(found) if (found[number] / GRAPH).exists()}


def newest(folder: str | os.PathLike) -> pathlib.Path | None:
    """Returns the SavedModel that `folder` is, or the newest version below it, or None."""
    folder = pathlib.Path(folder)
    if (folder / GRAPH).exists():
        return folder
    found = versions(folder)
    return found[max(found)] if found else None
