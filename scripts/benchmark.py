r"""Measures speed: `benchmark.py train`, what the machinery around a network costs, and
`benchmark.py layers`, how fast locally connected layers are beside convolutions.

    python scripts/benchmark.py train --variant cifar_v3 --json train.json
    python scripts/benchmark.py train --variant cifar_v2 --steps 60 --only loop,mirrored
    python scripts/benchmark.py layers --variant cuda_convnet_11pct --json layers.json

Ratios are medians over repeats, in each of which all sides take their turn. Leave the machine
alone meanwhile.
"""

import sys

import _cli  # first, since it makes the package importable

# isort: split
import _benchmark_layers
import _benchmark_train
import _benchmark_workers
from absl import flags

from keras_alexnet import UsageError
from keras_alexnet.utils import files

flags.DEFINE_string(
    "variant", None, "Network; by default cifar_v3, and for layers cuda_convnet_11pct."
)
flags.DEFINE_integer("batch_size", 128, "Images in one step of one device.")
flags.DEFINE_integer("steps", 40, "Steps timed in each repeat, after a few that are not.")
flags.DEFINE_integer("repeats", 5, "Repeats, of which the median is taken.")
flags.DEFINE_list(
    "only",
    None,
    f"Some of: {', '.join(_benchmark_train.MEASURES)}; for layers: "
    f"{', '.join(_benchmark_layers.MEASURES)}. All by default.",
)
flags.DEFINE_string("json", None, "File to write the figures to.")
flags.DEFINE_string("worker", None, "For the script itself, which starts its workers with it.")

MODES = {
    "train": (_benchmark_train, "cifar_v3"),
    "layers": (_benchmark_layers, "cuda_convnet_11pct"),
}


def main(mode: str) -> None:
    given = _cli.FLAGS
    if given.worker is not None:
        _benchmark_workers.run_worker(given.worker)
        return
    module, variant = MODES[mode]
    names = given.only or list(module.MEASURES)
    for name in names:
        if name not in module.MEASURES:
            raise UsageError(f"--only takes {', '.join(module.MEASURES)}. Received: {name}.")
    for name in ("batch_size", "steps", "repeats"):
        if given[name].value < 1:
            raise UsageError(f"--{name} must be at least 1. Received: {given[name].value}.")
    found = module.measure(
        names, given.variant or variant, given.batch_size, given.steps, given.repeats
    )
    for name in names:
        print(found[name]["in_words"])
    if given.json is not None:
        files.write_json(given.json, found)


def _take_mode() -> str:
    """Takes the mode, the one argument that is no flag, from the command line."""
    modes = [argument for argument in sys.argv[1:] if not argument.startswith("-")][:1]
    if modes and modes[0] in MODES:
        sys.argv.remove(modes[0])
        return modes[0]
    return "train"


if __name__ == "__main__":
    mode = _take_mode()
    _cli.run(lambda: main(mode))
