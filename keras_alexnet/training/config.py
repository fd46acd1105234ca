"""What a training run is asked to do: the dataclass that the flags of scripts/train.py fill."""

import dataclasses
from typing import Any

from keras_alexnet.data.config import DataSpec
from keras_alexnet.distributed.precision import PRECISIONS
from keras_alexnet.training.recipe import OVERRIDABLE
from keras_alexnet.utils.arguments import setting

ON_NONFINITE = ("stop", "step_back")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(DataSpec):
    """One training run. Without `dataset` it trains on CIFAR-10 if that can be had, else on shapes.

    `overrides` maps fields of `recipes.Recipe` to values that replace the recipe's.

    Example:
        >>> TrainConfig(variant="cifar_v2", recipe="document", overrides={"epochs": 2}).variant
        'cifar_v2'
    """

    variant: str = setting("cifar_v1", "Network to train.")
    recipe: str = setting(
        "default", "Recipe: default, paper, fine_tune or, where there is one, document."
    )
    workdir: str | None = setting(
        None, "Folder for all that the run writes; runs/<variant>-<dataset>-<time> by default."
    )
    resume: bool = setting(False, "Go on with the run in --workdir from its newest checkpoint.")
    allow_change: str | None = setting(
        None,
        "Settings, separated by commas, that --resume may change, though it makes the run another "
        "experiment: names of flags, or data for other data. What changes is recorded.",
    )
    seed: int = setting(0, "Fixes initial weights, data order, augmentation and dropout.")
    num_classes: int | None = setting(
        None, "Classes; must be the data's. Taken from it by default."
    )
    input_size: int | None = setting(
        None, "Height and width of the input; by default the recipe's or the variant's."
    )
    activation: str = setting("relu", "Hidden non-linearity, such as relu or tanh.")
    lrn: bool | None = setting(None, "--nolrn takes local response normalization out.")
    dropout: float | None = setting(None, "Dropout rate in place of the variant's; 0 takes it out.")
    weights: str | None = setting(
        None,
        "File to start from: a .keras file or a run's folder, PyTorch's .safetensors or .pth, or a "
        ".caffemodel. Its classifier is not used where the classes differ.",
    )
    validation_images: int | None = setting(
        None, "Training images held out for validation; by default what the recipe says."
    )
    class_weights: bool = setting(
        False, "Weight the loss so that every class counts the same, however many images it has."
    )
    deterministic: bool | None = setting(
        None,
        "The same bits whenever it runs on the same machine; by default on CPUs but not on GPUs, "
        "where it costs speed.",
    )
    precision: str = setting(
        "float32",
        "float32; mixed_bfloat16 (Keras's policy); graph_bfloat16 (TensorFlow's rewriter, CPU).",
        PRECISIONS,
    )
    num_devices: int | None = setting(None, "Devices to train on; all GPUs by default.")
    logical_cpu_devices: int | None = setting(
        None, "Split the CPU into so many devices, to try several replicas without GPUs."
    )
    views: int | None = setting(
        None,
        "Views of each test image that are averaged: 1, 2 or 10; by default what the recipe says.",
        (1, 2, 10),
    )
    freeze_until: str | None = setting(
        None,
        "Layer up to which weights stay as they are: it and what follows are trained. By default "
        "what the recipe says, for most nothing; an empty name trains all.",
    )
    max_steps: int | None = setting(None, "Stop after so many optimizer steps.")
    checkpoint_every_steps: int | None = setting(
        None, "Save so often inside an epoch, besides at the end of each."
    )
    keep_checkpoints: int = setting(2, "How many of the newest checkpoints to keep.")
    on_nonfinite: str = setting(
        "stop",
        "At a NaN or an infinity: stop; or step_back to the newest checkpoint, dividing the "
        "learning rate by --step_back_factor, --step_backs times at the most.",
        ON_NONFINITE,
    )
    step_back_factor: float = setting(2.0, "What a step back divides the learning rate by.")
    step_backs: int = setting(3, "How often a run may step back before it stops.")
    record: str | None = setting(None, "CSV file to which the result is added as a row.")
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)


FLAG_FIELDS = tuple(f for f in dataclasses.fields(TrainConfig) if f.name != "overrides")


RECIPE_FLAG_FIELDS = OVERRIDABLE
