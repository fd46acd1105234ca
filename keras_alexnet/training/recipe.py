"""The fields of a training recipe, and the checks of their values."""

import dataclasses
import json

from keras_alexnet.data import augment_list
from keras_alexnet.errors import UsageError, unknown_name, whole_number
from keras_alexnet.networks.image_plan import VIEWS
from keras_alexnet.networks.spec import LARGEST_SIDE
from keras_alexnet.utils.arguments import normalize, setting, split_list
from keras_alexnet.utils.limits import LARGEST_BATCH
from keras_alexnet.utils.values import Range, number


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a network is trained. Each field with a help text has a flag that overrides it.

    The other fields have none: `layer_rates` and `layer_decay` map names of layers to the factors
    of `learning_rate` and `weight_decay` in those layers, which are 1 in all others; `layer_drops`
    maps names of layers to the epochs after which `drop_factor` divides the rate of that layer, in
    addition to the drops of all layers; `layer_reference_classes` maps names of layers to the
    number of classes for which their rate is meant, which is lower for fewer classes; `input_size`,
    `views` and `freeze_until` are the defaults of the run's settings with these names.

    Example:
        >>> keras_alexnet.recipes.get("cifar_v2", "document").learning_rate
        0.1
    """

    name: str
    note: str
    epochs: int = setting(20, "Passes over the training images.", least=1, most=10**6)
    global_batch_size: int = setting(
        128, "Number of images in one step, over all devices together.", least=1, most=LARGEST_BATCH
    )
    optimizer: str = setting(
        "sgd",
        "Optimizer. muon is sgd with orthogonal steps for the kernels of convolutions.",
        ("sgd", "adam", "muon"),
    )
    learning_rate: float = setting(
        0.01, "Learning rate at the start, or the peak of one_cycle.", above=0
    )
    lr_reference_batch_size: int = setting(
        0,
        "Batch size that learning_rate is meant for: the rate that is used is learning_rate times "
        "global_batch_size / lr_reference_batch_size. 0 uses learning_rate as it is.",
        least=0,
        most=2**31,
    )
    warmup_epochs: float = setting(
        0.0,
        "Number of epochs in which the rate rises from 0, for constant, drops and plateau; "
        "one_cycle has its own warm-up.",
        least=0,
        most=10**6,
    )
    warmup_steps: int = setting(
        0,
        "Least number of steps in which the rate rises from 0 to its peak, whatever the schedule. "
        "A one_cycle too short for it rises for half of its steps, to a lower peak.",
        least=0,
        most=10**9,
    )
    min_steps: int = setting(
        0,
        "Least number of steps: on few images, a run has more epochs instead, unless --epochs "
        "sets their number.",
        least=0,
        most=10**9,
    )
    momentum: float = setting(0.9, "Momentum of sgd and muon; 0 is none.", least=0, below=1)
    nesterov: bool = setting(False, "Nesterov's form of the momentum.")
    ema_decay: float = setting(
        0.0,
        "Decay per step of an exponential moving average of the weights, such as 0.999. The run "
        "validates, keeps and tests the average; 0 keeps none.",
        least=0,
        below=1,
    )
    muon_rate: float = setting(
        0.03,
        "Learning rate of muon's orthogonal steps, at the start or the peak of the schedule; "
        "learning_rate is that of all other weights.",
        above=0,
    )
    weight_decay: float = setting(
        0.0,
        "Share of a kernel that is added to its gradient, inside the momentum; biases have none.",
        least=0,
    )
    bias_rate: float = setting(
        1.0, "Learning rate of biases, as a multiple of the kernels'.", least=0
    )
    schedule: str = setting(
        "constant",
        "Learning rate schedule. constant; drops: divided after given epochs; plateau: divided "
        "when validation top-1 stops improving; one_cycle: rises linearly for a share of the "
        "steps (see --one_cycle_rise and --warmup_steps), then falls linearly to 0.",
        ("constant", "drops", "plateau", "one_cycle"),
    )
    one_cycle_rise: float = setting(
        0.2,
        "Share of the steps in which the rate of one_cycle rises; with 0, it rises for "
        "--warmup_steps, however long the run is.",
        least=0,
        below=1,
    )
    drop_epochs: tuple[float, ...] = setting(
        (),
        "Epochs, separated by commas, after which schedule=drops divides the learning rate.",
        above=0,
        most=10**6,
    )
    drop_factor: float = setting(
        10.0, "Factor by which each of drop_epochs divides the learning rate.", above=1
    )
    drops_divide: str = setting(
        "all",
        "Rates that drops and plateaus divide: all, or those of kernels, which leaves the rates of "
        "biases as they are.",
        ("all", "kernels"),
    )
    plateau_patience: int = setting(
        5,
        "Number of epochs without a better validation top-1 before a plateau divides the rate.",
        least=1,
        most=10**6,
    )
    plateau_factor: float = setting(
        10.0, "Factor by which a plateau divides the learning rate.", above=1
    )
    plateau_drops: int = setting(
        3, "Largest number of times that plateaus divide the rate.", least=0, most=10**6
    )
    augment: tuple[str, ...] = setting(
        ("crop", "flip"),
        "Augmentations of the training images, separated by commas, such as crop, crop(reflect), "
        "crop(2), flip, flip(alternating), cutout(8), random_erasing(0.25), randaugment(2,9), "
        "color_noise(paper) or color_noise(2012); an empty value applies none. "
        "color_noise(2012, until=68) ends after 68 epochs.",
    )
    mixup: float = setting(
        0.0,
        "Mix each training image with another one and their labels alike; the share is drawn for "
        "each image from Beta(mixup, mixup), such as 0.2. 0 does not mix.",
        least=0,
        most=10**6,
    )
    cutmix: float = setting(
        0.0,
        "Put a rectangle of another image into each training image; the share of its area is drawn "
        "from Beta(cutmix, cutmix), such as 1, and the labels are mixed by it. With --mixup too, "
        "each image has one of the two, with equal probability. 0 puts none.",
        least=0,
        most=10**6,
    )
    label_smoothing: float = setting(
        0.0, "Share of the target that is spread over all classes, in [0, 1).", least=0, below=1
    )
    clip_norm: float = setting(
        0.0,
        "Largest global norm of the gradient, with decay and before the rates of layers; 0 does "
        "not clip.",
        least=0,
    )
    freeze_from_epoch: int = setting(
        0,
        "Number of epochs after which --freeze_until takes effect; 0 is from the start.",
        least=0,
        most=10**6,
    )
    early_stopping_patience: int = setting(
        0,
        "Stop after N epochs without a better validation top-1; 0 never stops early.",
        least=0,
        most=10**6,
    )
    validation_fraction: float = setting(
        0.1,
        "Share of the training images held out if --validation_images is not given.",
        least=0,
        below=1,
    )
    keep: str = setting(
        "best",
        "Which weights to keep: the best by validation top-1, or those of the last epoch.",
        ("best", "last"),
    )
    layer_rates: dict[str, float] = dataclasses.field(default_factory=dict)
    layer_decay: dict[str, float] = dataclasses.field(default_factory=dict)
    layer_drops: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    layer_reference_classes: dict[str, int] = dataclasses.field(default_factory=dict)
    input_size: int | None = None
    views: int = 1
    freeze_until: str = ""

    def __post_init__(self) -> None:
        # A flag is split at every comma, also inside parentheses.
        drops = {layer: tuple(epochs) for layer, epochs in self.layer_drops.items()}
        object.__setattr__(self, "layer_drops", drops)
        entries = self.augment if isinstance(self.augment, str) else ",".join(self.augment)
        object.__setattr__(self, "augment", tuple(split_list("".join(entries.split()))))
        normalize(self)
        self._check_tables()

    def _check_tables(self) -> None:
        for table in ("layer_rates", "layer_decay"):
            for layer, factor in getattr(self, table).items():
                number(f"{table} of {layer}", factor, Range(least=0))
        for layer, classes in self.layer_reference_classes.items():
            whole_number(f"layer_reference_classes of {layer}", classes, least=1)
        for layer, epochs in self.layer_drops.items():
            for epoch in epochs:
                number(f"layer_drops of {layer}", epoch, Range(above=0, most=10**6))
        if self.input_size is not None:
            whole_number("input_size", self.input_size, 1, LARGEST_SIDE)
        if self.views not in VIEWS:
            raise unknown_name("views", self.views, map(str, VIEWS))

    def as_json(self) -> dict:
        """Returns all fields as they are after a round trip through JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @property
    def scaled_learning_rate(self) -> float:
        """`learning_rate`, scaled with the batch size if `lr_reference_batch_size` is set."""
        if not self.lr_reference_batch_size:
            return self.learning_rate
        return self.learning_rate * self.global_batch_size / self.lr_reference_batch_size


OVERRIDABLE = tuple(f for f in dataclasses.fields(Recipe) if "help" in f.metadata)


def check(recipe: Recipe) -> None:
    """Refuses values that do not fit together; a recipe checks each of them when it is made.

    Raises:
        UsageError: for the first such value.

    Example:
        >>> check(Recipe("mine", note="", epochs=3))
    """
    if recipe.schedule == "one_cycle" and recipe.warmup_epochs:
        raise UsageError(
            "warmup_epochs is for the schedules constant, drops and plateau, because one_cycle has "
            "its own warm-up. Received: "
            f"warmup_epochs={recipe.warmup_epochs} with schedule=one_cycle."
        )
    if recipe.nesterov and (recipe.optimizer == "adam" or not recipe.momentum):
        raise UsageError(
            "nesterov is a form of the momentum of sgd and muon. Received: nesterov with "
            f"optimizer={recipe.optimizer}, momentum={recipe.momentum:g}. Pass --no-nesterov, or "
            "change those."
        )
    _check_drops(recipe)
    augment_list.parse(recipe.augment)


def _check_drops(recipe: Recipe) -> None:
    epochs = recipe.drop_epochs
    received = f"Received: drop_epochs={','.join(map(str, epochs)) or 'none'}"
    if recipe.schedule == "drops" and not epochs:
        raise UsageError(f"schedule=drops needs drop_epochs, such as 120,130. {received}.")
    if recipe.schedule != "drops" and epochs:
        raise UsageError(
            "drop_epochs is for the schedule drops: omit it, or pass --drop_epochs= to override "
            f"the recipe's. {received} with schedule={recipe.schedule}."
        )
    rising = all(first < second for first, second in zip((0, *epochs), epochs, strict=False))
    if not rising:
        raise UsageError(f"drop_epochs must be increasing numbers above 0. {received}.")
