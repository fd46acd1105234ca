"""What a recipe becomes on a data set: length and rate, and what is said of few steps or images."""

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


def fitted(recipe: Recipe, config: TrainConfig, train: Split, classes: int) -> Recipe:
    """Returns the recipe for a run on `train`: more epochs for few images, a lower rate for few
    classes.

    What `config` overrides stays as it is, and so does a recipe that was fitted before: a resumed
    run has its length and its rate.
    """
    return slowed(lengthened(recipe, config, train), classes)


def slowed(recipe: Recipe, classes: int) -> Recipe:
    """Returns the recipe with the rates for so many classes, see `layer_reference_classes`."""
    factors = {
        layer: min(1.0, classes / reference)
        for layer, reference in recipe.layer_reference_classes.items()
    }
    slower = {layer: recipe.layer_rates.get(layer, 1.0) * each for layer, each in factors.items()}
    rates = {**recipe.layer_rates, **slower}
    return dataclasses.replace(recipe, layer_rates=rates, layer_reference_classes={})


def lengthened(recipe: Recipe, config: TrainConfig, train: Split) -> Recipe:
    """Returns the recipe with the epochs of a run on `train`, which `min_steps` raises."""
    if config.overrides.get("epochs") is not None:
        return recipe
    steps_per_epoch = pipeline.steps_per_epoch(train, recipe.global_batch_size)
    epochs = max(recipe.epochs, -(-recipe.min_steps // steps_per_epoch))
    return dataclasses.replace(recipe, epochs=epochs)


def remarks(config: TrainConfig, length: Length, schedule: Schedule, classes: int) -> list[str]:
    """Returns what a run should say at its start: how its recipe was fitted, and what is few.

    Args:
        config: the settings of the run.
        length: its length.
        schedule: its schedule, with the recipe as it is run.
        classes: number of classes.
    """
    few = (
        _other_optimizer(config),
        _more_epochs(config, length, schedule.recipe),
        _lower_rates(config, classes),
        _few_steps(length, schedule),
        _few_images(config, length.train_images, classes),
    )
    return [remark for remark in few if remark]


def _usual(config: TrainConfig) -> Recipe:
    """The recipe before it was fitted to the data."""
    return recipes.get(config.variant, config.recipe, **config.overrides)


def _other_optimizer(config: TrainConfig) -> str:
    usual = recipes.get(config.variant, config.recipe)
    optimizer = config.overrides.get("optimizer")
    if optimizer in (None, usual.optimizer):
        return ""
    rate = ""
    if config.overrides.get("learning_rate") is None:
        used = _usual(config).learning_rate
        rate = f": the learning rate is {used:g}, and not the recipe's {usual.learning_rate:g}"
    return (
        f"{optimizer} instead of the recipe's {usual.optimizer}{rate}. What the recipe's note says "
        "of its results is not of this optimizer."
    )


def _more_epochs(config: TrainConfig, length: Length, recipe: Recipe) -> str:
    usual = _usual(config).epochs
    least = -(-recipe.min_steps // length.steps_per_epoch)
    if config.overrides.get("epochs") is not None or not length.epochs == least > usual:
        return ""
    return (
        f"{length.train_images:,} training images: {length.epochs:,} epochs instead of {usual:,}, "
        f"so that the run has at least {recipe.min_steps:,} steps. --epochs sets another number."
    )


def _lower_rates(config: TrainConfig, classes: int) -> str:
    usual = _usual(config)
    rates = slowed(usual, classes).layer_rates
    lower = [
        f"{rates[layer]:.2g} times the rate of other layers at {layer}"
        for layer, reference in usual.layer_reference_classes.items()
        if classes < reference
    ]
    if not lower:
        return ""
    return f"{classes:,} classes are few for this recipe: it takes {' and '.join(lower)}."


def _few_steps(length: Length, schedule: Schedule) -> str:
    rate, peak, total = schedule.recipe.scaled_learning_rate, schedule.peak, length.total_steps
    longer = "--epochs" if length.max_steps is None else "--epochs or --max_steps"
    if peak < rate:
        return (
            f"{total:,} steps are few: the learning rate rises only to {peak:.2g} instead of "
            f"{rate:.2g}, because a steeper rise could kill units. More {longer} let it rise."
        )
    if total < _FEW_STEPS:
        return (
            f"{total:,} steps are few, and the network may still guess after them. Pass more "
            f"{longer}."
        )
    return ""


def _few_images(config: TrainConfig, images: int, classes: int) -> str:
    if images >= _FEW_IMAGES * classes or config.weights is not None:
        return ""
    return (
        f"{images:,} training images of {classes:,} classes are few. Trained weights learn more "
        "from them: pass --recipe fine_tune and --weights, such as cifar_v3, or imagenet for "
        "alexnet_owt."
    )
