"""Opens model files of every format and reads what they say about their network."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks.build import logits_of
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.runtimes import open_file
from keras_alexnet.runtimes.exported_file import ExportedFile
from keras_alexnet.runtimes.saved_model import SavedModel
from keras_alexnet.utils import json_files, json_schema
from keras_alexnet.utils.json_schema import Number
from keras_alexnet.utils.text import printable
from keras_alexnet.weights import named, shipped_file

_SIZE = Number(1, 2**14, whole=True)

# What is read of what exported files say about their network.
_DESCRIPTION: json_schema.Schema = {
    "variant": str,
    "labels": [str],
    "labels_are_names": bool,
    "image_plan": {
        **dict.fromkeys(("square_size", "crop_size", "input_size"), _SIZE),
        "crop_padding": Number(0, 2**14, whole=True),
        "warp?": bool,
        "resize?": str,
        ...: None,
    },
}

# Pixels, uint8 [N, H, W, 3] → "logits" and "probabilities", float32 [N, classes].
Compute = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A model file, open.

    Attributes:
        path: the file, or the folder of a SavedModel.
        model: a `keras.Model` that ends in logits, the layer of a SavedModel, or None.
        compute: computes logits and probabilities of pixels.
        input_shape: height, width and channels.
        classes: the number of classes.
        variant: the network's name, or None if it is not in the file.
        plan: how images become inputs, or None if it is not in the file.
        labels: the names of the classes, if they are known.
        config: the run's `config.json`, or None.
        results: the run's `results.json`, or None.
        card: the card of weights that have a name, or None.
    """

    path: pathlib.Path
    model: Any
    compute: Compute
    input_shape: tuple[int, int, int]
    classes: int
    variant: str | None = None
    plan: ImagePlan | None = None
    labels: tuple[str, ...] | None = None
    config: dict[str, Any] | None = None
    results: dict[str, Any] | None = None
    card: dict[str, Any] | None = None


def open_model(kind: str, path: pathlib.Path) -> ModelFile:
    """Opens what `named.locate` found.

    Raises:
        UserError: it cannot be read, or is not a network of this package.
    """
    if kind == named.NAMED:
        return _named(path)
    if kind != run_folder.KERAS:
        opened = SavedModel(path) if kind == run_folder.SAVED_MODEL else open_file(path)
        return _exported(path, opened)
    model = run_folder.read_model(path)
    config, labels = run_folder.read_config(path), path.with_name(run_folder.LABELS)
    return dataclasses.replace(
        of_keras(model),
        path=path,
        variant=config["config"]["variant"] if config else model.name,
        labels=run_folder.read_labels(labels) if labels.exists() else None,
        config=config,
        results=run_folder.read_results(path),
    )


def read_keras(model: str | os.PathLike) -> keras.Model:
    """Reads the model of a run's folder or a `.keras` file, or one with named weights.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    kind, path = named.locate(model, "a run's folder or a .keras file")
    if kind == named.NAMED:
        return shipped_file.read_model(path)
    return run_folder.read_model(run_folder.keras_file(path))


def of_keras(model: keras.Model) -> ModelFile:
    """Returns a Keras model as if it had been read from a file of its name.

    Raises:
        UserError: `build` did not make it.
    """
    logits = logits_of(model)  # without a softmax after them
    network = keras.Model(model.input, logits, name=model.name)
    return ModelFile(
        path=pathlib.Path(model.name),
        model=network,
        compute=compiled(network),
        input_shape=tuple(model.input_shape[1:]),
        classes=logits.shape[-1],
        variant=model.name,
    )


def compiled(model: keras.Model) -> Compute:
    """Returns the compiled function from pixels to a Keras model's logits and probabilities."""
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)]

    @tf.function(input_signature=signature, autograph=False)
    def forward(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model(tf.cast(pixels, tf.float32), training=False)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    return lambda pixels: {name: values.numpy() for name, values in forward(pixels).items()}


def _named(path: pathlib.Path) -> ModelFile:
    card = shipped_file.read_card(path)
    return dataclasses.replace(
        of_keras(shipped_file.read_model(path)),
        path=path,
        plan=ImagePlan(**card["image_plan"]),
        labels=tuple(card["labels"]),
        results=card.get("training"),
        card=card,
    )


def _exported(path: pathlib.Path, opened: SavedModel | ExportedFile) -> ModelFile:
    file = ModelFile(
        path=path,
        model=getattr(opened, "layer", None),
        compute=opened.run,
        input_shape=opened.input_shape,
        classes=opened.num_classes,
    )
    described = opened.description
    if described is None:
        return file
    name = f"The description of {path}"
    json_files.matched(described, _DESCRIPTION, name, "Export it again with this version.")
    try:
        variant, plan = described["variant"], ImagePlan(**described["image_plan"])
    except UsageError as error:  # a way of resizing that this version does not know
        raise UserError(f"{name} is of another version: {error}") from error
    # Anyone may have written them, and they are printed.
    names = tuple(map(printable, described["labels"]))
    labels = names if described["labels_are_names"] else None
    if plan.input_size != opened.input_shape[0]:
        raise UserError(
            f"{path} describes inputs of {plan.input_size} pixels, but takes "
            f"{opened.input_shape[0]}. Export it again."
        )
    return dataclasses.replace(file, variant=variant, plan=plan, labels=labels)
