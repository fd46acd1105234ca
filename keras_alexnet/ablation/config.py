"""AblateConfig: the settings of an ablation study, with their help texts."""

import dataclasses
import os
from typing import Any

from keras_alexnet.training.config import TrainConfig
from keras_alexnet.utils.arguments import Config, normalize, setting

# What --without takes. The parts of a network come first, then those of a recipe's augmentation.
PARTS = ("lrn", "dropout", "overlap", "flip", "crop", "color")

BEST_RATE_BY = ("validation", "training_error")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AblateConfig(Config):
    """The settings of an ablation study.

    Attributes:
        train: the settings of all runs. Its workdir, resume, allow_change, seed, record and views
            are those of the study.
        versions: name of a version → what it changes: fields of `TrainConfig` or of
            `training.recipe.Recipe` and their values. `without` and `activation` add versions, too.

    Raises:
        UsageError: if a field cannot have its value.

    Example:
        >>> AblateConfig(workdir="runs/study", without=["flip"], seeds=2).without
        ('flip',)
    """

    workdir: str | os.PathLike = setting(
        None,
        "Folder for everything that the study writes. A study that has begun there is continued: "
        "with the same settings, or with more seeds, versions or learning rates.",
    )
    resume: bool = setting(
        False, "Continue the study in --workdir with its own settings; no other flag is needed."
    )
    without: tuple[str, ...] = setting(
        (), "Parts to leave out, separated by commas: a version without each of them.", PARTS
    )
    activation: str | None = setting(
        None,
        "Another activation of the hidden layers, such as tanh: a version with it, beside the "
        "variant's ReLU.",
    )
    seeds: int = setting(3, "Number of seeds; they are 0, 1, 2 and so on.", least=1, most=1000)
    learning_rates: tuple[float, ...] = setting(
        (),
        "Learning rates, separated by commas. Each version is trained with all of them with the "
        "first seed, and with its best one with the other seeds.",
        above=0,
    )
    best_rate_by: str = setting(
        "validation",
        "What makes a learning rate the best: validation top-1, or the fewest epochs to "
        "--training_error.",
        BEST_RATE_BY,
    )
    training_error: float = setting(
        25.0,
        "Training error in percent; the table says how many epochs each version takes to it.",
        above=0,
        below=100,
    )
    versions: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        normalize(self)
