r"""Measures what the machinery around a network costs: `benchmark.py train`.

    python scripts/benchmark.py train --variant cifar_v3 --json train.json
    python scripts/benchmark.py train --variant cifar_v2 --steps 60 --only loop,mirrored

Ratios are medians over repeats, in each of which all sides take their turn. Leave the machine
alone meanwhile.
"""

import sys

import _cli
from _benchmark_train import MEASURES, measure
from _benchmark_workers import run_worker
from absl import flags

from keras_alexnet import UsageError, files

flags.DEFINE_string("variant", "cifar_v3", "Network to train.")
flags.DEFINE_integer("batch_size", 128, "Images in one step of one device.")
flags.DEFINE_integer("steps", 40, "Steps timed in each repeat, after a few that are not.")
flags.DEFINE_integer("repeats", 5, "Repeats, of which the median is taken.")
flags.DEFINE_list("only", None, f"Some of: {', '.join(MEASURES)}. All by default.")
flags.DEFINE_string("json", None, "File to write the figures to.")
flags.DEFINE_string("worker", None, "For the script itself, which starts its workers with it.")

MODES = ("train",)


def main() -> None:
    given = _cli.FLAGS
    if given.worker is not None:
        run_worker(given.worker)
        return
    names = given.only or list(MEASURES)
    for name in names:
        if name not in MEASURES:
            raise UsageError(f"--only takes {', '.join(MEASURES)}. Received: {name}.")
    for name in ("batch_size", "steps", "repeats"):
        if given[name].value < 1:
            raise UsageError(f"--{name} must be at least 1. Received: {given[name].value}.")
    found = measure(names, given.variant, given.batch_size, given.steps, given.repeats)
    for name in names:
        print(found[name]["in_words"])
    if given.json is not None:
        files.write_json(given.json, found)


def _take_mode() -> None:
    """Takes the mode, the one argument that is no flag, from the command line."""
    modes = [argument for argument in sys.argv[1:] if not argument.startswith("-")][:1]
    if modes and modes[0] in MODES:
        sys.argv.remove(modes[0])


if __name__ == "__main__":
    _take_mode()
    _cli.run(main)
