"""The settings of an evaluation."""

import dataclasses
import os
from typing import TYPE_CHECKING

from keras_alexnet.data.config import DataSpec
from keras_alexnet.distributed import precision_choice
from keras_alexnet.utils.arguments import setting
from keras_alexnet.utils.limits import LARGEST_BATCH

if TYPE_CHECKING:
    import keras

SPLITS = ("test", "validation", "train")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(DataSpec):
    """The settings of an evaluation.

    Without `dataset`, the network is evaluated on the data that it was trained on.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> EvaluateConfig(model="runs/mine", views=10).split
        'test'
    """

    model: "str | os.PathLike | keras.Model" = setting(
        None,
        "A run's folder, a .keras, .tflite or .onnx file, a SavedModel's folder, or the name of "
        "weights or of their network, such as imagenet or cifar_v2; in Python, also a model that "
        "build() returned.",
    )
    split: str = setting(
        "test", "Images to evaluate on; validation is those that the run held out.", SPLITS
    )
    views: int = setting(
        1,
        "Number of views of each image that are averaged: 1 is the center, 2 adds its mirror "
        "image, 10 adds the four corners and theirs.",
        (1, 2, 10),
    )
    batch_size: int = setting(
        256, "Number of views in one step, over all devices together.", least=1, most=LARGEST_BATCH
    )
    variant: str | None = setting(None, "The network, if the files do not say which it is.")
    pictures: str | os.PathLike | None = setting(
        None, "Folder to write confusion.png, per_class.png, per_class.csv and wrong.png to."
    )
    precision: str = setting(
        precision_choice.AUTO, precision_choice.HELP, precision_choice.FOR_INFERENCE
    )
    num_devices: int | None = setting(
        None, "Number of devices to use; by default all GPUs, or the CPU.", least=1
    )
