"""The folder that features are written to, and what they depend on besides the images."""

import hashlib
import os
import pathlib
from typing import Any

import keras
import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.predicting import journal
from keras_alexnet.predicting.features import formats
from keras_alexnet.predicting.features.config import FeaturesConfig
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import finite, json_files, outputs

DESCRIPTION = "features.json"


def check_out(config: FeaturesConfig) -> None:
    """Checks, before long work, that features can be written as a config says.

    Raises:
        UserError: the folder is a file, holds something or cannot be written to, or a package is
            missing.
    """
    formats.check_installed(config.format)
    place = place_of(config)
    outputs.check_folder(place, "out")
    if place.is_dir() and any(place.iterdir()):
        done = " It holds features already." if (place / DESCRIPTION).exists() else ""
        raise UserError(
            f"out must be a folder that does not exist or is empty.{done} Received: {place}."
        )
    if place.is_mount():
        raise UserError(
            f"out must be a folder that can be renamed. Received: {place}, where a file system is "
            "mounted. Name a folder below it."
        )


def read_description(out: str | os.PathLike) -> dict[str, Any]:
    """Returns what features.json says of a folder of features.

    Raises:
        UserError: it cannot be read.
    """
    return json_files.read(pathlib.Path(out) / DESCRIPTION, {"layers": dict, "images": int})


def place_of(config: FeaturesConfig) -> pathlib.Path:
    """Returns the folder, without links in its path."""
    return pathlib.Path(os.path.realpath(str(config.out)))


def made_from(config: FeaturesConfig, network: TrainedNetwork) -> dict[str, Any]:
    """Returns what activations depend on besides the images."""
    if isinstance(config.model, keras.Model):
        given = TrainedNetwork.of_model(config.model, config.variant).model
        digest = hashlib.sha256(given.to_json().encode())
        for name, array in finite.weights_of(given):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        model = digest.hexdigest()
    else:
        model = str(journal.made_from(config.model)["model"])
    names = ("layers", "pooling", "flatten", "format", "batch_size", "variant", "max_image_pixels")
    found = {name: getattr(config, name) for name in names}
    found |= {"layers": list(config.layers), "precision": network.precision.name}
    return {"model": model, **found}
