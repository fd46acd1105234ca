"""How long a run is: epochs, steps, and what is said of a run with few steps or images."""

import dataclasses

from keras_alexnet.data import pipeline
from keras_alexnet.data.splits import Split
from keras_alexnet.training import recipes
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import Recipe
from keras_alexnet.training.schedule import Schedule

_FEW_STEPS = 100  # too few for a network to leave chance, and for the run to notice that
_FEW_IMAGES = 100  # of a class


@dataclasses.dataclass(frozen=True)
class Length:
    """How long a run is; `max_steps` ends it early, possibly inside an epoch.

    Example:
        >>> Length(2, 10, 1280, 128, max_steps=15).total_steps
        15
    """

    epochs: int
    steps_per_epoch: int
    train_images: int
    global_batch_size: int
    max_steps: int | None = None

    @property
    def total_steps(self) -> int:
        """Number of optimizer steps of the whole run."""
        steps = self.epochs * self.steps_per_epoch
        return steps if self.max_steps is None else min(steps, self.max_steps)


def lengthened(recipe: Recipe, config: TrainConfig, train: Split) -> Recipe:
    """Returns the recipe with the epochs of a run on `train`: more for few images.

    Epochs that `config` overrides stay as they are. A recipe that was lengthened stays as it is, so
    that a resumed run has its length.
    """
    if config.overrides.get("epochs") is not None:
        return recipe
    steps_per_epoch = pipeline.steps_per_epoch(train, recipe.global_batch_size)
    epochs = max(recipe.epochs, -(-recipe.min_steps // steps_per_epoch))
    return dataclasses.replace(recipe, epochs=epochs)


def remarks(config: TrainConfig, length: Length, schedule: Schedule, classes: int) -> list[str]:
    """Returns what a run should say at its start: that it is longer, or has few steps or images.

    Args:
        config: the settings of the run.
        length: its length.
        schedule: its schedule, with the recipe as it is run.
        classes: number of classes.
    """
    found, recipe, images = [], schedule.recipe, length.train_images
    usual = recipes.get(config.variant, config.recipe).epochs
    least = -(-recipe.min_steps // length.steps_per_epoch)
    if config.overrides.get("epochs") is None and length.epochs == least > usual:
        found.append(
            f"{images:,} training images: {length.epochs:,} epochs instead of {usual:,}, so that "
            f"the run has at least {recipe.min_steps:,} steps. --epochs sets another number."
        )
    rate, peak, total = recipe.scaled_learning_rate, schedule.peak, length.total_steps
    longer = "--epochs" if length.max_steps is None else "--epochs or --max_steps"
    if peak < rate:
        found.append(
            f"{total:,} steps are few: the learning rate rises only to {peak:.2g} instead of "
            f"{rate:g}, because a steeper rise could kill units. More {longer} let it rise."
        )
    elif total < _FEW_STEPS:
        found.append(
            f"{total:,} steps are few, and the network may still guess after them. Pass more "
            f"{longer}."
        )
    if images < _FEW_IMAGES * classes and config.weights is None:
        found.append(
            f"{images:,} training images of {classes:,} classes are few. Trained weights learn "
            "more from them: pass --recipe fine_tune and --weights."
        )
    return found
