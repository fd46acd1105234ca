"""A trained network with its labels, image plan and run; the one loader."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from functools import cached_property

import keras
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.data.config import DataSpec
from keras_alexnet.data.dataset import Dataset, hold_out
from keras_alexnet.data.load import load_dataset
from keras_alexnet.data.splits import Split
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks import variants
from keras_alexnet.networks.build import logits_of
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.run_folder import CONFIG
from keras_alexnet.utils import files


def split_of(data: Dataset, name: str, config: dict | None) -> Split:
    """Returns the images of one of `SPLITS`, as the run of that config.json divided them.

    Raises:
        UsageError: if the run's division is asked for and is not known, or not of these data.
    """
    if name == "test":
        return data.test
    if config is None:
        if name == "train":
            return data.train
        raise UsageError("split=validation needs a run's folder, whose config.json tells it.")
    if data.sha256 != config["data"]["sha256"]:
        raise UsageError(
            f"split={name} is a part of the data that the run was trained on, and {data.name} is "
            f"not that: SHA-256 {data.sha256}, not {config['data']['sha256']}."
        )
    settings, recipe = config["config"], config["recipe"]
    training, validation = hold_out(
        data, settings["validation_images"], recipe["validation_fraction"], settings["seed"]
    )
    if name == "validation" and validation is None:
        raise UsageError("This run held no images out, so it has no validation split.")
    return training if name == "train" else validation


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
        described["config"]["seed"], described["recipe"]["validation_fraction"]
        described["data"]["sha256"], described["commit"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is not what a run of this version wrote: {error}.") from error
    return described


def load_data(config: dict | None, spec: DataSpec) -> Dataset:
    """Loads the data that a run was trained on, or others that are named.

    Args:
        config: as `read_config` returns it.
        spec: what is None there is the run's; the run's folder and name are of its own data set
            alone.

    Raises:
        UsageError, UserError: as `load_dataset`.
    """
    trained_on = config["config"] if config else {}
    if spec.dataset in (None, trained_on.get("dataset")):
        spec = dataclasses.replace(spec, dataset=trained_on.get("dataset"))
        if spec.data_dir is None:
            name = spec.dataset_name or trained_on.get("dataset_name")
            spec = dataclasses.replace(spec, data_dir=trained_on.get("data_dir"), dataset_name=name)
    return load_dataset(spec)


def check_labels(classes: int, labels: Sequence[str] | None, data: Dataset) -> None:
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


TOP = 5  # labels that a served model names


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
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


def load(where: str | os.PathLike, variant: str | None = None) -> TrainedNetwork:
    """Loads what is to be exported.

    Args:
        where: a run's folder, or a `.keras` file; labels are read from `labels.txt` beside it.
        variant: the network, when neither config.json nor the model's name tells it.

    Raises:
        UsageError: if the variant is not known, or the network is known to be another.
        UserError: if there is no such file, it is not a network of `build()`, or a label is empty.
    """
    path = run_folder.model_file(where)
    loaded = run_folder.load(path)
    _check_labels(loaded.labels or (), path)
    config = read_config(path)
    model = _to_logits(loaded.model, path)
    if loaded.labels is None:
        logging.warning(
            "%s has no %s beside it: class numbers stand in for the labels.",
            path,
            run_folder.LABELS,
        )
    name = _variant(variant, config["config"]["variant"] if config else loaded.model.name, path)
    return TrainedNetwork(
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
            f"Every class needs a label. {path.with_name(run_folder.LABELS)} has an empty "
            f"line for class "
            f"{empty[0]}. Write its name there."
        )


def _results(path: pathlib.Path) -> dict | None:
    results = path.with_name(run_folder.RESULTS)
    if not results.exists():
        return None
    try:
        return json.loads(results.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{results} is not what a run wrote: {error}.") from error
