"""The benchmarks: what each measures, its module, and the flags it takes. Without TensorFlow."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_alexnet.networks.variants import list_variants
from keras_alexnet.utils import arguments
from keras_alexnet.utils.arguments import setting


@dataclasses.dataclass
class Settings(arguments.Config):
    """What a benchmark is told. Each benchmark takes some of the fields, named in its entry.

    Raises:
        UsageError: for a value that a field does not allow.
    """

    variants: tuple[str, ...] = setting((), "Networks.", list_variants())
    batch_sizes: tuple[int, ...] = setting((), "Numbers of images in a batch.", least=1)
    steps: int = setting(
        40, "Number of steps timed in each round, after a few untimed ones.", least=1
    )
    rounds: int = setting(
        5, "Number of rounds; in each, all sides take turns. Medians are reported.", least=1
    )
    peers: tuple[str, ...] = setting(
        (), "What to compare with, of the packages that are installed.", may_be_empty=True
    )
    only: tuple[str, ...] = setting((), "What to measure.")

    def __post_init__(self) -> None:
        arguments.normalize(self)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        line: what it measures, for `--help`.
        module: its module in this package, whose `measure` takes `Settings` and returns a `Report`.
        flags: the fields of `Settings` that it takes → their defaults.
        choices: a field of texts → all values that it may have.
    """

    line: str
    module: str
    flags: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


_OVERHEADS = ("mirrored", "loop", "checkpoints", "workers")
_LAYERS = ("layers", "network")

BENCHMARKS = {
    "overhead": Benchmark(
        "What the loop, strategy, checkpoints and workers cost beyond the arithmetic.",
        "overhead",
        {
            "variants": ("cifar_v3",),
            "batch_sizes": (128,),
            "steps": 40,
            "rounds": 5,
            "only": _OVERHEADS,
        },
        {"only": _OVERHEADS},
    ),
    "layers": Benchmark(
        "Locally connected layers against convolutions with the same multiply-accumulates.",
        "local_layers",
        {
            "variants": ("cuda_convnet_11pct",),
            "batch_sizes": (128,),
            "steps": 40,
            "rounds": 5,
            "only": _LAYERS,
        },
        {"only": _LAYERS},
    ),
    "profile": Benchmark(
        "Where the time of a training step goes: a table by layer.",
        "layer_profile",
        {"variants": ("cifar_v2",), "batch_sizes": (64,), "steps": 40},
    ),
}
