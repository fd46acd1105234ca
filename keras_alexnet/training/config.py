"""TrainConfig: the settings of a training run, with their help texts."""

import dataclasses
from typing import Any

from keras_alexnet.data.config import DataSpec
from keras_alexnet.distributed.precision import PRECISIONS
from keras_alexnet.training.recipe import OVERRIDABLE
from keras_alexnet.utils.arguments import setting

ON_NONFINITE = ("stop", "step_back")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(DataSpec):
    """The settings of a training run.

    Without `dataset` it trains on CIFAR-10 if a copy is found or can be downloaded, else on shapes.
    `overrides` maps fields of `training.recipe.Recipe` to values that replace the recipe's.

    Example:
        >>> TrainConfig(variant="cifar_v2", recipe="document", overrides={"epochs": 2}).variant
        'cifar_v2'
    """

    variant: str = setting("cifar_v1", "Network to train.")
    recipe: str = setting(
        "default", "Recipe: default, paper, fine_tune or, for some variants, document."
    )
    workdir: str | None = setting(
        None,
        "Folder of all that the run writes; runs/<variant>-<dataset>-<time> by default.",
    )
    resume: bool = setting(False, "Resume the run in --workdir from its newest checkpoint.")
    allow_change: str | None = setting(
        None,
        "Settings, separated by commas, that --resume may change although that makes the run a "
        "different experiment: names of flags, or data for different data. The changes are "
        "recorded.",
    )
    seed: int = setting(0, "Seed of initial weights, data order, augmentation and dropout.")
    num_classes: int | None = setting(
        None, "Number of classes; must be that of the data. Taken from the data by default."
    )
    input_size: int | None = setting(
        None, "Height and width of the input in pixels; by default the recipe's or the variant's."
    )
    activation: str = setting("relu", "Activation of the hidden layers, such as relu or tanh.")
    lrn: bool | None = setting(None, "--no-lrn removes local response normalization.")
    dropout: float | None = setting(
        None, "Dropout rate in place of the variant's; 0 removes dropout."
    )
    weights: str | None = setting(
        None,
        "File to start from: a .keras file or a run's folder, PyTorch's .safetensors or .pth, or a "
        ".caffemodel. Its classifier is not used if the classes differ.",
    )
    validation_images: int | None = setting(
        None, "Training images held out for validation; by default the recipe's share."
    )
    class_weights: bool = setting(
        False,
        "Weight the loss so that all classes count the same, however many images they have.",
    )
    deterministic: bool | None = setting(
        None,
        "Train the same bits every time on the same machine; by default on CPUs, but not on GPUs, "
        "where it is slower.",
    )
    precision: str = setting(
        "float32",
        "float32; mixed_bfloat16 (Keras's policy); graph_bfloat16 (TensorFlow's rewriter, CPU).",
        PRECISIONS,
    )
    num_devices: int | None = setting(None, "Devices to train on; all GPUs by default.")
    logical_cpu_devices: int | None = setting(
        None, "Split the CPU into this many devices, to try several replicas without GPUs."
    )
    views: int | None = setting(
        None,
        "Views of each test image that are averaged: 1, 2 or 10; by default the recipe's.",
        (1, 2, 10),
    )
    freeze_until: str | None = setting(
        None,
        "First layer that is trained: those before it are frozen. By default the recipe's, which "
        "for most is none; an empty name trains all layers.",
    )
    max_steps: int | None = setting(None, "Stop after this many optimizer steps.")
    checkpoint_every_steps: int | None = setting(
        None, "Save a checkpoint every so many steps, besides the one at the end of each epoch."
    )
    keep_checkpoints: int = setting(2, "Number of the newest checkpoints to keep.")
    on_nonfinite: str = setting(
        "stop",
        "If the loss or a weight is NaN or infinite: stop; or step_back to the newest checkpoint "
        "and divide the learning rate by --step_back_factor, at most --step_backs times.",
        ON_NONFINITE,
    )
    step_back_factor: float = setting(2.0, "A step back divides the learning rate by this.")
    step_backs: int = setting(3, "Number of step backs after which the run stops.")
    record: str | None = setting(None, "CSV file to which the result is appended as a row.")
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)


FLAG_FIELDS = tuple(f for f in dataclasses.fields(TrainConfig) if f.name != "overrides")


RECIPE_FLAG_FIELDS = OVERRIDABLE
