"""TrainConfig: the settings of a training run, with their help texts."""

import dataclasses
import os
from typing import Any, ClassVar

from keras_alexnet.data.config import DataSpec
from keras_alexnet.distributed import precision_choice
from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import LARGEST_SIDE
from keras_alexnet.training.recipe import OVERRIDABLE
from keras_alexnet.training.tracking.names import LOGS
from keras_alexnet.utils.arguments import checked, setting

DEFAULT_VARIANT = "cifar_v1"
ON_NONFINITE = ("stop", "step_back")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(DataSpec):
    """The settings of a training run.

    Without `dataset`, a run trains on CIFAR-10 if a copy is found or can be downloaded, and on
    shapes if not.
    Without `variant`, it trains cifar_v1 or, from published weights such as "imagenet", the network
    that they are for.
    `overrides` maps fields of `training.recipe.Recipe` to values that replace the recipe's.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> TrainConfig(variant="cifar_v2", recipe="document", overrides={"epochs": 2}).variant
        'cifar_v2'
    """

    variant: str = setting(
        None,
        f"Network to train; by default {DEFAULT_VARIANT}, or that of --weights, if they are named "
        "by a network or are imagenet.",
    )
    recipe: str = setting(
        "default", "Recipe: default, paper, fine_tune or, for some variants, document or fast."
    )
    workdir: str | os.PathLike | None = setting(
        None,
        "Folder for everything that the run writes; by default runs/<variant>-<dataset>-<time>.",
    )
    resume: bool = setting(False, "Resume the run in --workdir from its newest checkpoint.")
    allow_change: str | None = setting(
        None,
        "Settings, separated by commas, that may change when a run is resumed, although that makes "
        "it a different experiment: names of flags, or data for different data. The changes are "
        "recorded.",
    )
    seed: int = setting(
        0, "Seed of the initial weights, the data order, augmentation and dropout.", least=0
    )
    num_classes: int | None = setting(
        None,
        "Number of classes, which must be that of the data; by default taken from the data.",
        least=1,
    )
    input_size: int | None = setting(
        None,
        "Height and width of the input in pixels; by default the recipe's or the variant's.",
        least=1,
        most=LARGEST_SIDE,
    )
    activation: str = setting("relu", "Activation of the hidden layers, such as relu or tanh.")
    lrn: bool | None = setting(
        None, "Local response normalization; --no-lrn removes it. By default as in the variant."
    )
    dropout: float | None = setting(
        None, "Dropout rate in place of the variant's; 0 removes dropout.", least=0, below=1
    )
    overlapping_pooling: bool | None = setting(
        None,
        "Pooling windows that overlap; --no-overlapping_pooling makes them as large as their "
        "stride. By default as in the variant.",
    )
    initial_weights: str | None = setting(
        None,
        "Initial weights in place of the variant's: fan_in_uniform, PyTorch's default; "
        "normal(STD), such as normal(0.01), with biases 0; or he_fan_out, for alexnet_half.",
    )
    pixel_std: float | None = setting(
        None,
        "Deviation that pixels are divided by, in place of the variant's; 1 leaves them on the "
        "scale 0-255.",
        above=0,
    )
    weights: str | os.PathLike | None = setting(
        None,
        "Weights to start from: a .keras file or a run's folder, PyTorch's .safetensors or .pth, "
        "a .caffemodel, bvlc_alexnet.npy, or the name of weights: imagenet, which are downloaded "
        "once, or those that come with the package, such as cifar10-jpeg. Their classifier is not "
        "used if the classes differ.",
    )
    validation_images: int | None = setting(
        None,
        "Number of training images held out for validation; by default the recipe's share.",
        least=0,
    )
    class_weights: bool = setting(
        False,
        "Weight the loss so that all classes count equally, however many images they have.",
    )
    deterministic: bool | None = setting(
        None,
        "Make training bit-for-bit reproducible on the same machine. By default on for CPUs, and "
        "off for GPUs, where it is slower.",
    )
    precision: str = setting(
        precision_choice.AUTO,
        "auto, the fastest for the machine and the network; float32; mixed_bfloat16, Keras's "
        "policy; mixed_float16, with loss scaling, for GPUs that lack bfloat16; or graph_bfloat16, "
        "TensorFlow's graph rewriter, for CPUs only. A resumed run keeps its own.",
        precision_choice.FOR_TRAINING,
    )
    num_devices: int | None = setting(
        None, "Number of devices to train on; by default all GPUs.", least=1
    )
    logical_cpu_devices: int | None = setting(
        None,
        "Split the CPU into this many devices, to try out several replicas without GPUs.",
        least=1,
        most=256,
    )
    join_timeout: int = setting(
        600,
        "Most seconds to wait for the other workers of a run; 0 waits without end.",
        least=0,
        most=10**6,
    )
    views: int | None = setting(
        None,
        "Number of views of each test image that are averaged; by default the recipe's.",
        (1, 2, 10),
    )
    freeze_until: str | None = setting(
        None,
        "First layer that is trained; the layers before it are frozen. By default the recipe's, "
        "which most recipes leave empty; an empty name trains all layers.",
        may_be_empty=True,
    )
    max_steps: int | None = setting(None, "Stop after this many optimizer steps.", least=1)
    checkpoint_every_steps: int | None = setting(
        None,
        "Save a checkpoint every N steps, in addition to the one at the end of each epoch.",
        least=1,
    )
    keep_checkpoints: int = setting(2, "Number of checkpoints to keep: the newest ones.", least=1)
    on_nonfinite: str = setting(
        "stop",
        "What to do if the loss or a weight is NaN or infinite: stop; or step_back, which returns "
        "to the newest checkpoint and divides the learning rate by --step_back_factor, at most "
        "--step_backs times.",
        ON_NONFINITE,
    )
    step_back_factor: float = setting(
        2.0, "Factor by which a step back divides the learning rate.", above=1
    )
    step_backs: int = setting(
        3, "Largest number of step backs; at the next NaN, the run stops.", least=0
    )
    record: str | os.PathLike | None = setting(
        None, "CSV file to which the result is appended as a row."
    )
    log: tuple[str, ...] = setting(
        ("csv",),
        "Where the figures of the run are written: csv, which is metrics.csv and always written; "
        "tensorboard, to tensorboard/ in the run's folder; wandb and mlflow, as these are set up. "
        "All but csv get the recipe and the confusion matrix, too, and need their packages.",
        LOGS,
    )
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)

    elsewhere: ClassVar[dict[str, str]] = {
        field.name: "it is one of the recipe, so give overrides={{%r: {value}}}." % field.name  # noqa: UP031
        for field in OVERRIDABLE
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant is None:
            of_weights = str(self.weights)
            known = variants.with_published(of_weights)
            if of_weights in variants.list_variants():
                known = [of_weights]
            object.__setattr__(self, "variant", known[0] if known else DEFAULT_VARIANT)
        fields = {field.name: field for field in OVERRIDABLE}
        overrides = {
            name: checked(fields[name], value) if name in fields else value
            for name, value in self.overrides.items()
        }
        object.__setattr__(self, "overrides", overrides)
