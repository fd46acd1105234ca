"""Training recipes: one frozen row for each way of training a variant.

Three names exist for every network that has them:

- `document`: what the network's own document does (CIFAR networks only).
- `paper`: section 5 of the 2012 paper, with the patience that its "when the validation error
  stopped improving" leaves open.
- `default`: what this project has found best, or, where no training run backs it, says so.
"""

import dataclasses

from keras_alexnet import variants
from keras_alexnet.errors import UsageError, unknown_name


def _field(default, help_text, choices=None):
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained. Every field but `name` and `note` can be overridden by a flag.

    Example:
        >>> get("cifar_v2", "document").learning_rate
        0.1
    """

    name: str
    note: str
    epochs: int = _field(20, "Passes over the training images.")
    global_batch_size: int = _field(128, "Images in one step, over all devices together.")
    optimizer: str = _field("sgd", "Update rule.", ("sgd", "adam"))
    learning_rate: float = _field(0.01, "Learning rate: the start, or the peak of one_cycle.")
    lr_reference_batch_size: int = _field(
        0,
        "Batch that learning_rate is meant for: the rate that is used is learning_rate times "
        "global_batch_size divided by it. 0 uses learning_rate as it is.",
    )
    warmup_epochs: float = _field(
        0.0, "Epochs in which the rate of constant or plateau rises from 0; one_cycle has its own."
    )
    momentum: float = _field(0.9, "Momentum of sgd; 0 is plain gradient descent.")
    weight_decay: float = _field(
        0.0, "Times the kernel, added to its gradient, so inside the momentum; never on biases."
    )
    schedule: str = _field(
        "constant",
        "constant; plateau: divide when validation top-1 stops improving; one_cycle: linear up "
        "for a fifth of the steps, then linear down to 0.",
        ("constant", "plateau", "one_cycle"),
    )
    plateau_patience: int = _field(5, "Epochs without a better validation top-1 before a drop.")
    plateau_factor: float = _field(10.0, "What a drop divides the learning rate by.")
    plateau_drops: int = _field(3, "Drops at the most.")
    flip: bool = _field(True, "Mirror every other image at random.")
    crop: bool = _field(True, "Random crops; otherwise the centre.")
    colour_noise: str = _field(
        "none",
        "PCA colour noise, as the paper writes it or as the 2012 program does it.",
        ("none", "paper", "2012"),
    )
    label_smoothing: float = _field(0.0, "Share of the target spread over all classes, in [0, 1).")
    clip_norm: float = _field(0.0, "Largest global norm of the gradient; 0 does not clip.")
    early_stopping_patience: int = _field(
        0, "Stop after so many epochs without a better validation top-1; 0 never stops."
    )
    validation_fraction: float = _field(
        0.1, "Share of the training images held out when --validation_images is not given."
    )
    keep: str = _field(
        "best",
        "Which weights model.keras holds: best by validation top-1, or the last epoch's.",
        ("best", "last"),
    )

    @property
    def scaled_learning_rate(self) -> float:
        """`learning_rate`, scaled linearly with the batch where `lr_reference_batch_size` asks."""
        if not self.lr_reference_batch_size:
            return self.learning_rate
        return self.learning_rate * self.global_batch_size / self.lr_reference_batch_size


OVERRIDABLE = tuple(f for f in dataclasses.fields(Recipe) if f.name not in ("name", "note"))

_PAPER = Recipe(
    name="paper",
    note="Section 5 of the 2012 paper: batch 128, momentum 0.9, decay 0.0005 inside the momentum, "
    "rate 0.01 divided by 10 when the validation error stops improving, at most three times. "
    "The patience of 5 epochs is ours; the paper dropped the rate by hand.",
    epochs=90,
    learning_rate=0.01,
    weight_decay=5e-4,
    schedule="plateau",
    colour_noise="paper",
)

_DOCUMENT = Recipe(
    name="document",
    note="",
    momentum=0.0,
    flip=False,
    crop=False,
    validation_fraction=0.0,
    keep="last",
)

_REPRODUCTION_NOTES = dataclasses.replace(
    _DOCUMENT,
    note="The CIFAR-10 reproduction notes of 2020 give the batch of 100 alone; "
    "SGD 0.01, momentum 0.9, 20 epochs and the flip are ours.",
    global_batch_size=100,
    momentum=0.9,
    flip=True,
)

_IMAGENET_DEFAULT = Recipe(
    name="default",
    note="One-cycle SGD with the paper's decay. No full ImageNet run backs it yet.",
    epochs=60,
    learning_rate=0.02,
    weight_decay=5e-4,
    schedule="one_cycle",
)

_CIFAR_DEFAULT = Recipe(
    name="default",
    note="One-cycle SGD with flips and pad-4 crops.",
    learning_rate=0.05,
    weight_decay=5e-4,
    schedule="one_cycle",
)

_RECIPES = {
    "cifar_v1": (
        dataclasses.replace(
            _CIFAR_DEFAULT,
            note="One-cycle Adam with flips and pad-4 crops. From PyTorch's initial weights, SGD "
            "stays long at the loss of chance on small data sets; Adam leaves it in two epochs.",
            epochs=15,
            optimizer="adam",
            learning_rate=5e-4,
            weight_decay=0.0,
        ),
        _PAPER,
        _REPRODUCTION_NOTES,
    ),
    "cifar_v2": (
        dataclasses.replace(_CIFAR_DEFAULT, epochs=24, learning_rate=0.08),
        _PAPER,
        dataclasses.replace(
            _DOCUMENT,
            note="The lesson's own training: SGD 0.1, batch 64, 20 epochs, no augmentation.",
            global_batch_size=64,
            learning_rate=0.1,
        ),
    ),
    "cifar_v3": (
        dataclasses.replace(_CIFAR_DEFAULT, epochs=16, learning_rate=0.03, label_smoothing=0.1),
        _PAPER,
        dataclasses.replace(
            _DOCUMENT,
            note="The linked repository's Adam 0.001, batch 128 and flip, 20 of its 100 epochs.",
            optimizer="adam",
            learning_rate=0.001,
            flip=True,
        ),
    ),
    "cifar_resized": (
        dataclasses.replace(
            _CIFAR_DEFAULT,
            learning_rate=0.01,
            note="One-cycle SGD with flips and pad-4 crops. No full run backs it yet.",
        ),
        _PAPER,
        _REPRODUCTION_NOTES,
    ),
}


def list_recipes(variant: str) -> list[str]:
    """Returns the names of the recipes of `variant`, `default` first.

    Raises:
        UsageError: if there is no such variant.

    Example:
        >>> list_recipes("cifar_v2")
        ['default', 'paper', 'document']
    """
    return [recipe.name for recipe in _recipes_of(variant)]


def get(variant: str, name: str = "default", **overrides) -> Recipe:
    """Returns the recipe `name` of `variant`, with `overrides` in place of its fields.

    Args:
        variant: name of a network, as in `list_variants()`.
        name: name of a recipe, as in `list_recipes(variant)`.
        **overrides: fields of `Recipe`; those that are None leave the recipe as it is.

    Raises:
        UsageError: for an unknown variant, recipe or field, or a value out of range.

    Example:
        >>> get("cifar_v1", "paper", epochs=3).epochs
        3
    """
    rows = {recipe.name: recipe for recipe in _recipes_of(variant)}
    if name not in rows:
        raise unknown_name(f"recipe of {variant}", name, rows)
    overrides = {key: value for key, value in overrides.items() if value is not None}
    fields = [field.name for field in OVERRIDABLE]
    for key in overrides:
        if key not in fields:
            raise unknown_name("recipe field", key, fields)
    recipe = dataclasses.replace(rows[name], **overrides)
    _check(recipe)
    return recipe


def _recipes_of(variant: str) -> tuple[Recipe, ...]:
    variants.get(variant)
    return _RECIPES.get(variant, (_IMAGENET_DEFAULT, _PAPER))


# Field: (lowest, highest, whether the lowest itself is allowed).
_RANGES = {
    "epochs": (1, float("inf"), True),
    "global_batch_size": (1, float("inf"), True),
    "learning_rate": (0, float("inf"), False),
    "lr_reference_batch_size": (0, float("inf"), True),
    "warmup_epochs": (0, float("inf"), True),
    "momentum": (0, 1, True),
    "weight_decay": (0, float("inf"), True),
    "plateau_patience": (1, float("inf"), True),
    "plateau_factor": (1, float("inf"), False),
    "plateau_drops": (0, float("inf"), True),
    "label_smoothing": (0, 1, True),
    "clip_norm": (0, float("inf"), True),
    "early_stopping_patience": (0, float("inf"), True),
    "validation_fraction": (0, 1, True),
}


def _check(recipe: Recipe) -> None:
    for field in OVERRIDABLE:
        value = getattr(recipe, field.name)
        choices = field.metadata["choices"]
        if choices and value not in choices:
            raise unknown_name(field.name, value, choices)
        if field.name in _RANGES:
            low, high, low_allowed = _RANGES[field.name]
            if not (low < value < high or (low_allowed and value == low)):
                bracket = "[" if low_allowed else "("
                raise UsageError(
                    f"{field.name} must be in {bracket}{low}, {high}). Received: {value}."
                )
    if recipe.schedule == "one_cycle" and recipe.warmup_epochs:
        raise UsageError(
            "warmup_epochs is for the schedules constant and plateau: one_cycle rises by itself. "
            f"Received: warmup_epochs={recipe.warmup_epochs} with schedule=one_cycle."
        )
