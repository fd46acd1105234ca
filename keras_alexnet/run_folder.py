"""The files of a run's folder and of exports: their names, readers and writers."""

import collections
import os
import pathlib
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import logging

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.utils import files, finite, json_files, keras_archive
from keras_alexnet.utils.json_schema import COUNT, Number, OneOf
from keras_alexnet.utils.text import printable
from keras_alexnet.utils.values import path_text

if TYPE_CHECKING:
    import keras

MODEL = "model.keras"
CONFIG = "config.json"
METRICS = "metrics.csv"
RESULTS = "results.json"
LABELS = "labels.txt"
DESCRIPTION = "signature.json"  # of the exported network, inside its file or beside it
GRAPH = "saved_model.pb"

KERAS, SAVED_MODEL, TFLITE, ONNX = "keras", "saved_model", "tflite", "onnx"

MODELS = "a run's folder, a .keras file, a SavedModel folder, a .tflite file or an .onnx file"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # with all that ends a line

_ENDINGS = {".keras": KERAS, ".tflite": TFLITE, ".onnx": ONNX}

# What is read of a config.json after the run; every run writes more.
_CONFIG = {
    "config": {
        "variant": str,
        "seed": int,
        "validation_images": OneOf(None, COUNT),
        "dataset?": OneOf(None, str),
        "data_dir?": OneOf(None, str),
        "dataset_name?": OneOf(None, str),
        "skip_corrupt?": bool,
    },
    "recipe": {"validation_fraction": Number(0, 1)},
    "data": {"sha256": str},
    "commit": str,
    "changes?": [dict],
}

CONFIG_ADVICE = (
    "It was not written by a run of this version, or has changed since: put a copy back."
)

# The same for results.json.
RESULTS_SCHEMA = {
    **dict.fromkeys(("variant", "recipe", "dataset", "data_sha256", "data_sha256_of"), str),
    **dict.fromkeys(("precision", "devices", "commit", "date", "overrides"), str),
    **dict.fromkeys(("tensorflow", "keras", "workdir"), str),
    **dict.fromkeys(("train_images", "validation_images", "test_images", "skipped_images"), COUNT),
    **dict.fromkeys(("epochs", "steps", "global_batch_size", "views"), COUNT),
    "seed": int,
    **dict.fromkeys(("test_loss", "seconds", "seconds_per_epoch"), Number()),
    **dict.fromkeys(("test_top1", "test_top5"), Number(0, 1)),
    "data_note": OneOf(None, str),
    "recipe_as_run": {"name": str, "note": str},
}
RESULTS_ADVICE = (
    "Delete it and resume the run with train --resume: the test is repeated, the training is not."
)


def save(workdir: str | os.PathLike, model: "keras.Model", labels: Sequence[str]) -> None:
    """Writes `model.keras` and `labels.txt` into a run's folder, each whole or not at all."""
    workdir = pathlib.Path(workdir)
    with files.atomic_write(workdir / MODEL) as temporary:
        model.save(temporary)
    write_labels(workdir / LABELS, labels)


def locate(model: str | os.PathLike, places: str = MODELS) -> tuple[str, pathlib.Path]:
    """Finds the model at a path.

    Args:
        model: a run's folder, a `.keras`, `.tflite` or `.onnx` file, the folder of a SavedModel,
            or a folder of its versions, of which the newest is taken.
        places: what error messages say that a model can be.

    Returns:
        Its kind, one of `KERAS`, `SAVED_MODEL`, `TFLITE` and `ONNX`, and its file or, for a
        SavedModel, its folder.

    Raises:
        UserError: there is no model.
    """
    typed = path_text("model", model)
    path = pathlib.Path(typed)
    if path.is_dir():
        if (path / MODEL).exists():
            return KERAS, path / MODEL
        folder = newest(path)
        if folder is None:
            raise UserError(_why_no_model(path, places))
        return SAVED_MODEL, folder
    if not path.exists():
        raise UserError(f"There is no model at {typed}. A model is {places}.")
    if path.suffix not in _ENDINGS:
        raise UserError(f"{path} is not a model. A model is {places}.")
    return _ENDINGS[path.suffix], path


def keras_file(model: str | os.PathLike) -> pathlib.Path:
    """Returns the `.keras` file of a run's folder, or the file itself.

    Raises:
        UserError: there is none.
    """
    kind, path = locate(model, "a run's folder or a .keras file")
    if kind != KERAS:
        raise UserError(f"A run's folder or a .keras file is needed here. Received: {model}.")
    return path


def read_model(path: str | os.PathLike) -> "keras.Model":
    """Reads a `.keras` file, for inference.

    Raises:
        UserError: it cannot be read, or holds weights that are NaN or infinite.
    """
    import keras

    keras_archive.check(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds of errors for damaged files.
        raise UserError(f"{path} cannot be read as a Keras model: {_reason(error)}") from error
    finite.check_weights(path, finite.weights_of(model))
    return model


def read_labels(path: str | os.PathLike) -> tuple[str, ...]:
    """Reads the names of classes, one per line, in Unicode's composed form.

    A byte order mark and carriage returns, which Windows writes, are not part of the names. Names
    that are used twice are logged.

    Raises:
        UserError: there is no such file, it is not UTF-8 text, or a line is empty or has control
            characters.
    """
    path = path_text("labels", path)
    try:
        with files.open_regular(path) as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(
            f"The labels cannot be read: {printable(error)}. Give a text file with one class per "
            f"line, such as the {LABELS} of a run."
        ) from error
    lines = text.replace("\r\n", "\n").split("\n")
    labels = tuple(
        unicodedata.normalize("NFC", line) for line in lines[: len(lines) - (not lines[-1])]
    )
    _check_names(labels, printable(path))
    twice = [name for name, count in collections.Counter(labels).items() if count > 1]
    if twice:
        logging.info(
            "%s names %d classes twice, such as %s (class %d).",
            *(path, len(twice), twice[0], labels.index(twice[0])),
        )
    return labels


def write_labels(path: str | os.PathLike, labels: Sequence[str]) -> None:
    """Writes the names of classes, one per line, whole or not at all.

    Raises:
        UserError: a name is empty or has control characters, so that it could not be read again.
    """
    _check_names(labels, "labels")
    files.write_text(path, "".join(f"{name}\n" for name in labels))


def _check_names(labels: Sequence[str], where: str) -> None:
    for number, name in enumerate(labels):
        if not name.strip():
            raise UserError(
                f"Every class needs a label. {where} has an empty line for class {number}. Write "
                "its name there."
            )
        if _CONTROL.search(name):
            raise UserError(
                f"A label is one line without control characters. {where} has {printable(name)} "
                f"for class {number}. Rename that class."
            )


def check_labels(
    labels: Sequence[str], classes: int, model: object, source: object = "labels"
) -> None:
    """Checks that there is one label for each class of a model.

    Args:
        labels: the names of the classes.
        classes: the number of classes of the model.
        model: what the message calls the model.
        source: what the message calls the labels.

    Raises:
        UserError: the numbers differ, or a name is empty or has control characters.
    """
    _check_names(labels, str(source))
    if len(labels) != classes:
        raise UserError(
            f"{source} must name the {classes} classes of {model}, one each. Received: "
            f"{len(labels)} names. They belong to a different network."
        )


def read_config(model: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the config.json of a run's folder or beside a model file; None if there is none.

    Raises:
        UserError: it was not written by a run of this version.
    """
    path = _folder_of(model) / CONFIG
    if not os.path.lexists(path):
        return None
    return json_files.read(path, _CONFIG, CONFIG_ADVICE, nan=True)


def read_results(model: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the results.json of a run's folder or beside a model file; None if there is none.

    Raises:
        UserError: it is damaged.
    """
    path = _folder_of(model) / RESULTS
    if not os.path.lexists(path):
        return None
    schema = {f"{name}?": each for name, each in RESULTS_SCHEMA.items()}
    return json_files.read(path, schema, RESULTS_ADVICE, nan=True)


def versions(folder: str | os.PathLike) -> dict[int, pathlib.Path]:
    """Returns version number → folder of the SavedModels directly in `folder`, oldest first."""
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        return {}
    found = {int(each.name): each for each in folder.iterdir() if each.name.isdecimal()}
    return {number: found[number] for number in sorted(found) if (found[number] / GRAPH).exists()}


def newest(folder: str | os.PathLike) -> pathlib.Path | None:
    """Returns `folder` if it is a SavedModel, or else the newest version in it, or None."""
    folder = pathlib.Path(folder)
    if (folder / GRAPH).exists():
        return folder
    found = versions(folder)
    return found[max(found)] if found else None


def _why_no_model(folder: pathlib.Path, places: str) -> str:
    exported = sorted(
        path
        for ending in (".tflite", ".onnx")
        for path in [*folder.glob(f"*{ending}"), *folder.glob(f"{ending[1:]}/*{ending}")]
    )
    if exported:
        return (
            f"{folder} holds no SavedModel. Name one of its other files: "
            f"{', '.join(map(str, exported))}."
        )
    if (folder / CONFIG).exists():
        return (
            f"{folder} holds no {MODEL}, because its run has not ended. Resume it with "
            f"train --resume --workdir={folder}."
        )
    return f"{folder} holds no {MODEL} and no SavedModel. A model is {places}."


def _folder_of(model: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(model)
    return path if path.is_dir() else path.parent


def _reason(error: Exception) -> str:
    # Keras wraps a layer's error in a page of advice and configuration, once for each level.
    if isinstance(error, MemoryError) or "OOM when allocating" in str(error):
        return "it needs more memory than there is"
    innermost = str(error).rpartition("Exception encountered: ")[2].strip()
    return innermost.splitlines()[0] if innermost else first_line(error)
