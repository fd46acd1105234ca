"""`EvaluateConfig`: one evaluation, and the choices that it has."""

import dataclasses
import os
from typing import TYPE_CHECKING

from keras_alexnet.data.config import DataSpec
from keras_alexnet.utils.arguments import setting

if TYPE_CHECKING:
    import keras

SPLITS = ("test", "validation", "train")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(DataSpec):
    """One evaluation; without `dataset`, of the data that the run was trained on.

    Example:
        >>> EvaluateConfig(model="runs/mine", views=10).split
        'test'
    """

    model: "str | os.PathLike | keras.Model" = setting(
        None,
        "A run's folder, a .keras, .tflite or .onnx file, or a SavedModel's folder; in Python also "
        "a model that build() made.",
    )
    split: str = setting(
        "test", "Which images; validation are those that the run held out.", SPLITS
    )
    views: int = setting(
        1,
        "Views of each image that are averaged: 1 the center, 2 with its mirror image, 10 with the "
        "corners.",
        (1, 2, 10),
    )
    batch_size: int = setting(256, "Views in one step over all devices.")
    variant: str | None = setting(None, "The network, if the files do not say which it is.")
    pictures: str | os.PathLike | None = setting(
        None, "Folder for confusion.png, per_class.png, per_class.csv and wrong.png."
    )
    num_devices: int | None = setting(None, "Devices to use; all GPUs, or the CPU, by default.")
