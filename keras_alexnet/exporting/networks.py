"""What is exported: a trained network with its labels, its image plan and its run."""

import dataclasses
import json
import os
import pathlib
from functools import cached_property

import keras
from absl import logging

from keras_alexnet import files, runs, variants
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.models import logits_of
from keras_alexnet.rows import ImagePlan

INPUT_DTYPES = ("uint8", "float32")
TOP = 5  # labels that a served model names


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network and all that its exports say of it.

    Attributes:
        path: the `.keras` file.
        model: float32; RGB pixels 0–255 `[N, H, W, 3]` in, logits `[N, classes]` out.
        labels: of the classes, in order; the classes' numbers where no labels are known.
        named: whether `labels` are names.
        variant: the name of the network's row.
        plan: how an image of any size becomes an input.
        config: the run's `config.json`, or None for a bare file.
        results: the run's `results.json`, or None.
    """

    path: pathlib.Path
    model: keras.Model
    labels: tuple[str, ...]
    named: bool
    variant: str
    plan: ImagePlan
    config: dict | None
    results: dict | None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an input."""
        return tuple(self.model.input_shape[1:])

    @cached_property
    def sha256(self) -> str:
        """Of the `.keras` file."""
        return files.sha256_of(self.path)

    @cached_property
    def features(self) -> keras.Model:
        """The model from pixels to the last hidden layer: what feeds the classifier."""
        return keras.Model(self.model.input, self.model.get_layer("logits").input)

    def description(self) -> dict:
        """What an export says of itself, as JSON holds it; clients read `plan` and `labels`."""
        return {
            "format": 1,
            "variant": self.variant,
            "labels": list(self.labels),
            "labels_are_names": self.named,
            "image_plan": dataclasses.asdict(self.plan),
        }


def load(where: str | os.PathLike, variant: str | None = None) -> Network:
    """Loads what is to be exported.

    Args:
        where: a run's folder, or a `.keras` file; labels are read from `labels.txt` beside it.
        variant: the network, when neither config.json nor the model's name tells it.

    Raises:
        UsageError: if the variant is not known, or the network is known to be another.
        UserError: if there is no such file, it is not a network of `build()`, or a label is empty.
    """
    path = runs.model_file(where)
    loaded = runs.load(path)
    _check_labels(loaded.labels or (), path)
    config = runs.read_config(path)
    model = _to_logits(loaded.model, path)
    if loaded.labels is None:
        logging.warning(
            "%s has no %s beside it: class numbers stand in for the labels.", path, runs.LABELS
        )
    name = _variant(variant, config["config"]["variant"] if config else loaded.model.name, path)
    return Network(
        path=path,
        model=model,
        labels=loaded.labels or tuple(str(index) for index in range(model.output_shape[-1])),
        named=loaded.labels is not None,
        variant=name,
        plan=variants.image_plan(name, model.input_shape[1]),
        config=config,
        results=_results(path),
    )


def _variant(asked: str | None, found: str, path: pathlib.Path) -> str:
    if asked is not None and asked != found and found in variants.list_variants():
        raise UsageError(
            f"{path} is a {found}, and --variant is for networks that do not say what they are. "
            f"Leave it out. Received: {asked!r}."
        )
    return asked or found


def _to_logits(model: keras.Model, path: pathlib.Path) -> keras.Model:
    """Cuts a softmax behind the logits off: what is exported adds its own."""
    logits = logits_of(model)
    height, width, _ = model.input_shape[1:]
    if height != width:
        raise UsageError(
            f"Square networks alone can be exported, since an image plan cuts squares. {path} "
            f"takes images of {height} x {width}."
        )
    return keras.Model(model.input, logits, name=model.name)


def _check_labels(labels: tuple[str, ...], path: pathlib.Path) -> None:
    """An empty line makes TensorFlow's label table fail, and tells no one anything."""
    empty = [number for number, label in enumerate(labels) if not label]
    if empty:
        raise UserError(
            f"Every class needs a label. {path.with_name(runs.LABELS)} has an empty line for class "
            f"{empty[0]}. Write its name there."
        )


def _results(path: pathlib.Path) -> dict | None:
    results = path.with_name(runs.RESULTS)
    if not results.exists():
        return None
    try:
        return json.loads(results.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{results} is not what a run wrote: {error}.") from error
