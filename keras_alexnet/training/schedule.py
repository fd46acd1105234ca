"""The learning rate of every step, with plateaus and early stopping."""

import dataclasses
from collections.abc import Sequence

from keras_alexnet.errors import UsageError
from keras_alexnet.training.recipe import Recipe

ONE_CYCLE_LONGEST_RISE = 0.5  # share of the steps, where `warmup_steps` is more than it


@dataclasses.dataclass
class Schedule:
    """Learning rate by step, with the state that a checkpoint holds.

    Args:
        recipe: the recipe of the run.
        total_steps: optimizer steps of the whole run, which is the length of `one_cycle`.
        steps_per_epoch: optimizer steps of one epoch, the unit of `warmup_epochs`.
        has_validation: whether `epoch_ended` gets a validation top-1.

    Raises:
        UsageError: if the recipe depends on validation results and there are none.

    Example:
        >>> from keras_alexnet import recipes
        >>> recipe = recipes.get("cifar_v2", "default", learning_rate=1.0)
        >>> schedule = Schedule(recipe, total_steps=10, steps_per_epoch=5, has_validation=True)
        >>> schedule.learning_rate(step=2)
        1.0
    """

    recipe: Recipe
    total_steps: int
    steps_per_epoch: int
    has_validation: bool
    drops: int = 0
    best_top1: float = -1.0
    best_epoch: int = -1
    last_drop_epoch: int = -1

    def __post_init__(self) -> None:
        waits = {
            "schedule=plateau": self.recipe.schedule == "plateau",
            "early_stopping_patience": self.recipe.early_stopping_patience > 0,
            "keep=best": self.recipe.keep == "best",
        }
        for name, needed in waits.items():
            if needed and not self.has_validation:
                raise UsageError(
                    f"{name} depends on validation results, but no images are held out. Hold some "
                    "out with --validation_images, or change that setting with its flag."
                )

    def learning_rate(self, step: int) -> float:
        """Returns the rate of step `step`, counted from 0, of a layer without its own rates."""
        if step < self.rise:
            # From step 1 of the rise, not 0: a step with rate 0 would be wasted.
            return self.peak / self._divisor(step) * (step + 1) / (self.rise + 1)
        if self.recipe.schedule == "one_cycle":
            left = (self.total_steps - step) / max(1, self.total_steps - self.rise)
            return self.peak * max(0.0, left)
        return self.peak / self._divisor(step)

    @property
    def rise(self) -> int:
        """Number of steps in which the rate rises."""
        least = self.recipe.warmup_steps
        if self.recipe.schedule == "one_cycle":
            longest = round(ONE_CYCLE_LONGEST_RISE * self.total_steps)
            share = round(self.recipe.one_cycle_rise * self.total_steps)
            return max(1, share, min(least, longest))
        return max(round(self.recipe.warmup_epochs * self.steps_per_epoch), least)

    @property
    def peak(self) -> float:
        """The rate at the end of the rise: the recipe's, or less if the rise is cut short."""
        rate, wanted = self.recipe.scaled_learning_rate, self.recipe.warmup_steps
        return rate * min(1.0, self.rise / wanted) if wanted else rate

    def factor(self, step: int, layer: str, weight: str) -> float:
        """Returns by what drops multiply `learning_rate(step)` for one weight of a layer.

        It differs from 1 for layers with their own drops, and for the weights that drops spare.

        Args:
            step: the step, counted from 0.
            layer: name of the layer.
            weight: "kernel" or "bias".
        """
        if weight == "bias" and self.recipe.drops_divide == "kernels":
            return self._divisor(step)
        own = self.recipe.layer_drops.get(layer, ())
        return 1.0 / self.recipe.drop_factor ** self._passed(own, step)

    def _divisor(self, step: int) -> float:
        """By what the drops of all layers have divided the rate."""
        if self.recipe.schedule == "plateau":
            return self.recipe.plateau_factor**self.drops
        if self.recipe.schedule == "drops":
            return self.recipe.drop_factor ** self._passed(self.recipe.drop_epochs, step)
        return 1.0

    def _passed(self, epochs: Sequence[float], step: int) -> int:
        return sum(step >= round(epoch * self.steps_per_epoch) for epoch in epochs)

    def epoch_ended(self, epoch: int, validation_top1: float | None) -> str | None:
        """Returns what the validation top-1 of an epoch means: "best", "drop", "stop" or None."""
        if validation_top1 is None:
            return None
        if validation_top1 > self.best_top1:
            self.best_top1, self.best_epoch = validation_top1, epoch
            return "best"
        patience = self.recipe.early_stopping_patience
        if patience and epoch - self.best_epoch >= patience:
            return "stop"
        waited = epoch - max(self.best_epoch, self.last_drop_epoch)
        if (
            self.recipe.schedule == "plateau"
            and waited >= self.recipe.plateau_patience
            and self.drops < self.recipe.plateau_drops
        ):
            self.drops += 1
            self.last_drop_epoch = epoch
            return "drop"
        return None

    def state(self) -> dict:
        """Returns the state that determines the future rates, in a form that JSON can hold."""
        names = ("drops", "best_top1", "best_epoch", "last_drop_epoch")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict) -> None:
        """Restores a state that `state` returned."""
        for name, value in state.items():
            setattr(self, name, value)
