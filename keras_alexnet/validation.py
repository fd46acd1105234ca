"""Which training images a run holds out, so that training and evaluation agree on them."""

from keras_alexnet.config import TrainConfig
from keras_alexnet.datasets import DataSource, split_validation
from keras_alexnet.errors import UsageError
from keras_alexnet.recipes import Recipe
from keras_alexnet.splits import Split


def hold_out(config: TrainConfig, recipe: Recipe, data: DataSource) -> tuple[Split, Split | None]:
    """Returns the images to train on and those held out for validation, if any.

    The data's own validation split is used if it has one and no number is asked for.

    Raises:
        UsageError: if as many are asked for that none are left to train on.
    """
    if config.validation_images is None and data.validation is not None:
        return data.train, data.validation if recipe.validation_fraction else None
    count = config.validation_images
    if count is None:
        count = round(recipe.validation_fraction * len(data.train))
    if not 0 <= count < len(data.train):
        raise UsageError(
            f"validation_images must leave some of the {len(data.train)} training images. "
            f"Received: {count}."
        )
    if count == 0:
        return data.train, None
    return split_validation(data.train, count, config.seed)
