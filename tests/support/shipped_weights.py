"""Weights as they come with the package, made of any model."""

import dataclasses
import pathlib

import keras

from keras_alexnet.networks.build import standardize_layer
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.weights import quantized, shipped_file
from keras_alexnet.weights.source import variables_of

_OF_V2 = shipped_file.FOLDER / f"cifar_v2-cifar10-jpeg{shipped_file.WEIGHTS}"


def write_shipped(
    folder: pathlib.Path, model: keras.Model, labels: list[str], name: str = "toy", form="int8"
) -> pathlib.Path:
    """Writes a model's weights and a card to a folder, and returns the `.safetensors` file.

    What is measured on the card, and its run, are those of cifar_v2's.
    """
    network = TrainedNetwork.of_model(model, labels=labels)
    pixels = standardize_layer(model)
    card = {
        **shipped_file.read_card(_OF_V2),
        "variant": network.variant,
        "name": name,
        "stored_as": form,
        "labels": list(labels),
        "input_size": network.plan.input_size,
        "image_plan": dataclasses.asdict(network.plan),
        "pixel_mean": list(pixels.mean),
        "pixel_std": list(pixels.std),
    }
    file = folder / f"{network.variant}-{name}{shipped_file.WEIGHTS}"
    shipped_file.write(file, quantized.pack(variables_of(model)[0], form), card)
    return file
