"""The benchmarks: what each measures, its module, and the flags it takes. Without TensorFlow."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from keras_alexnet.data.readers import list_datasets
from keras_alexnet.distributed import precision_choice
from keras_alexnet.errors import UsageError
from keras_alexnet.exporting.formats.saved_model import PRECISIONS as EXPORT_PRECISIONS
from keras_alexnet.networks.spec import LARGEST_SIDE
from keras_alexnet.networks.variants import list_variants
from keras_alexnet.utils import arguments
from keras_alexnet.utils.arguments import setting

LARGEST_CLIENTS = 256


@dataclasses.dataclass
class Settings(arguments.Config):
    """What a benchmark is told. Each benchmark takes some of the fields, named in its entry.

    What a list has twice is measured once.

    Raises:
        UsageError: for a value that a field does not allow.
    """

    variants: tuple[str, ...] = setting((), "Networks.", list_variants())
    batch_sizes: tuple[int, ...] = setting(
        (),
        "Numbers of images in a batch. If no default is named, that of the network's recipe, or 32 "
        "for large images.",
        least=1,
    )
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
    threads: int | None = setting(
        None, "Threads of a call; by default one a core.", least=1, most=127
    )
    dataset: str = setting("shapes", "Data set whose test images are classified.", list_datasets())
    data_dir: str | os.PathLike | None = setting(
        None, "Folder or archive of the data set; without it, images are made up where they can be."
    )
    clients: tuple[int, ...] = setting(
        (), "Numbers of clients that ask at once.", least=1, most=LARGEST_CLIENTS
    )
    requests: int = setting(400, "Number of requests in each round.", least=1)
    test_images: int = setting(200, "Number of test images that top-1 is compared on.", least=1)
    precision: str = setting(
        precision_choice.AUTO, "The precision of training.", precision_choice.FOR_TRAINING
    )
    other_precisions: tuple[str, ...] = setting(
        (),
        "Precisions in which our training takes turns, too, to be compared with the first one.",
        precision_choice.FOR_TRAINING,
    )
    export_precisions: tuple[str, ...] = setting(
        (), "Precisions of the SavedModel, which take turns.", EXPORT_PRECISIONS
    )
    image_sizes: tuple[int, ...] = setting(
        (), "Heights and widths of images in pixels.", least=1, most=LARGEST_SIDE
    )
    classes: tuple[int, ...] = setting((), "Numbers of classes.", least=2)
    images: tuple[int, ...] = setting((), "Numbers of images that are listed.", least=100)
    workers: tuple[int, ...] = setting((), "Numbers of workers.", least=1, most=64)
    top1: float = setting(70.0, "Test top-1 in percent.", above=0, most=100)
    epochs: int | None = setting(
        None, "Passes over the training images; by default the recipe's.", least=1
    )
    out: str | os.PathLike | None = setting(None, "Folder for pictures and a CSV file of the rows.")

    def __post_init__(self) -> None:
        arguments.normalize(self)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):  # what is named twice is measured once
                setattr(self, field.name, tuple(dict.fromkeys(value)))


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        line: what it measures, for `--help`.
        module: its module in this package, whose `measure` takes `Settings` and returns a `Report`.
        flags: the fields of `Settings` that it takes → their defaults.
        choices: a field of texts → all values that it may have.
        trains: whether it trains, in `Settings.precision`.
    """

    line: str
    module: str
    flags: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    trains: bool = False

    def check(self, settings: Settings) -> None:
        """Checks that a list names something to measure.

        Raises:
            UsageError: it is empty.
        """
        fields = {field.name: field for field in dataclasses.fields(settings)}
        for name, default in self.flags.items():
            may_be_empty = not default or fields[name].metadata.get("may_be_empty", False)
            if getattr(settings, name) == () and not may_be_empty:
                raise UsageError(f"{name} must name at least one. Received none.")


_OVERHEADS = ("mirrored", "loop", "checkpoints", "workers")
_LAYERS = ("layers", "network")
_RUNTIMES = ("torch", "onnxruntime", "openvino")

_AXES = ("batch_sizes", "image_sizes", "classes", "images", "workers")
_INPUTS = ("memory", "photographs", "listed")
_PEERS_OF_INPUT = ("torchvision",)

BENCHMARKS = {
    "train": Benchmark(
        "Images a second of whole training, against other libraries' bare steps in memory.",
        "train",
        {
            "variants": ("cifar_v1", "cifar_v2", "cifar_v3", "alexnet_owt", "alexnet"),
            "batch_sizes": (),
            "steps": 40,
            "rounds": 5,
            "peers": ("torch",),
            "precision": precision_choice.AUTO,
            "other_precisions": (),
        },
        {"peers": ("torch",)},
        trains=True,
    ),
    "accuracy": Benchmark(
        "Seconds from a command to a test accuracy, against PyTorch with the document's recipe.",
        "accuracy",
        {
            "variants": ("cifar_v2",),
            "top1": 70.0,
            "epochs": None,
            "dataset": "shapes",
            "data_dir": None,
            "rounds": 1,
            "peers": ("torch",),
            "precision": precision_choice.AUTO,
        },
        {"variants": ("cifar_v2",), "peers": ("torch",)},
        trains=True,
    ),
    "scale": Benchmark(
        "Memory and seconds over batch size, image size, classes, listed images and workers.",
        "scale",
        {
            "variants": ("alexnet_owt",),
            "only": _AXES,
            "batch_sizes": (16, 64, 256, 512, 1024),
            "image_sizes": (63, 127, 224, 320, 448),
            "classes": (10, 1000, 5000, 10_000, 20_000),
            "images": (10_000, 100_000, 300_000, 1_000_000),
            "workers": (1, 2, 4),
            "steps": 5,
            "precision": precision_choice.AUTO,
            "out": None,
        },
        {"only": _AXES},
        trains=True,
    ),
    "overhead": Benchmark(
        "What the loop, strategy, checkpoints and workers cost beyond the arithmetic.",
        "overhead",
        {
            "variants": ("cifar_v3",),
            "batch_sizes": (128,),
            "steps": 40,
            "rounds": 5,
            "only": _OVERHEADS,
            "precision": precision_choice.AUTO,
        },
        {"only": _OVERHEADS},
        trains=True,
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
            "precision": precision_choice.AUTO,
        },
        {"only": _LAYERS},
        trains=True,
    ),
    "inference": Benchmark(
        "Exports of a network against PyTorch, ONNX Runtime and OpenVINO, at equal top-1.",
        "inference",
        {
            "variants": ("cifar_v2",),
            "batch_sizes": (1, 64),
            "threads": None,
            "dataset": "shapes",
            "data_dir": None,
            "test_images": 200,
            "rounds": 5,
            "peers": _RUNTIMES,
        },
        {"peers": _RUNTIMES},
    ),
    "serving": Benchmark(
        "Requests to an exported SavedModel in the loader of TF Serving: rate, latency, memory.",
        "serving",
        {
            "variants": ("cifar_v2",),
            "batch_sizes": (1, 32),
            "export_precisions": ("float32",),
            "clients": (1, 16),
            "requests": 400,
            "threads": None,
            "dataset": "shapes",
            "data_dir": None,
            "rounds": 5,
        },
    ),
    "input": Benchmark(
        "Images a second of the input pipeline: from memory, from JPEGs, and of long lists.",
        "input_pipeline",
        {"steps": 40, "rounds": 5, "peers": (), "only": _INPUTS, "data_dir": None},
        {"only": _INPUTS, "peers": _PEERS_OF_INPUT},
    ),
    "start": Benchmark(
        "Seconds from a command to its first training step, against importing TensorFlow.",
        "start",
        {"variants": ("cifar_v2",), "rounds": 3, "data_dir": None},
        trains=True,
    ),
    "profile": Benchmark(
        "Where the time of a training step goes: a table by layer.",
        "layer_profile",
        {
            "variants": ("cifar_v2",),
            "batch_sizes": (64,),
            "steps": 40,
            "precision": precision_choice.AUTO,
        },
        trains=True,
    ),
}
