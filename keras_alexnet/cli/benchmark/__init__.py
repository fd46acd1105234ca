r"""Measures the overhead of training, and the speed of locally connected layers.

    keras-alexnet benchmark train --variant cifar_v3 --json train.json
    keras-alexnet benchmark train --variant cifar_v2 --steps 60 --only loop,mirrored
    keras-alexnet benchmark layers --variant cuda_convnet_11pct --json layers.json

Ratios are medians over repeats; in each repeat, all sides take turns. Let the machine do nothing
else in the meantime.
"""

import argparse
import importlib
import os

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.utils import outputs
from keras_alexnet.utils.limits import BATCH
from keras_alexnet.utils.values import Range

# Benchmark: what it measures, its module, its default network, and its measures.
BENCHMARKS = {
    "train": (
        "What the loop, strategy, checkpoints and workers cost beyond the arithmetic.",
        "overhead",
        "cifar_v3",
        ("mirrored", "loop", "checkpoints", "workers"),
    ),
    "layers": (
        "Locally connected layers against convolutions with the same multiply-accumulates.",
        "local_layers",
        "cuda_convnet_11pct",
        ("layers", "network"),
    ),
}


def add_flags(parser: flags.Parser) -> None:
    """Adds a subcommand for each benchmark."""
    parser.usage = f"{parser.prog} BENCHMARK [flags]"
    benchmarks = parser.add_subparsers(
        title="benchmarks", dest="benchmark", metavar="BENCHMARK", required=True, prog=parser.prog
    )
    for benchmark, (line, _, variant, measures) in BENCHMARKS.items():
        program = f"{parser.prog} {benchmark}"
        subparser = benchmarks.add_parser(
            benchmark, help=line, description=line, usage=f"{program} [flags]"
        )
        subparser.set_defaults(program=program)
        flags.add_variant(subparser, "The network.", default=variant)
        for name, default, allowed, help_text in (
            ("batch_size", 128, BATCH, "Number of images in one step of one device."),
            (
                "steps",
                40,
                Range(1),
                "Number of steps timed in each repeat, after a few untimed ones.",
            ),
            ("repeats", 5, Range(1), "Number of repeats; the median over them is reported."),
        ):
            flags.add_flag(subparser, name, int, help_text, default=default, allowed=allowed)
        help_text = "What to measure."
        flags.add_flag(
            subparser, "only", str, help_text, default=measures, choices=measures, several=True
        )
        flags.add_flag(subparser, "json", os.PathLike, "JSON file to write the measurements to.")


def run(arguments: argparse.Namespace) -> None:
    """Measures, and prints the conditions and a line for each measure."""
    sizes = flags.values_of(arguments, ("batch_size", "steps", "repeats"))
    if arguments.json is not None:
        outputs.check_file(arguments.json, "json")
    load_tensorflow()
    from keras_alexnet.utils import files, machine, provenance

    module = BENCHMARKS[arguments.benchmark][1]
    measures = importlib.import_module(f"keras_alexnet.cli.benchmark.{module}").MEASURES
    conditions = {
        "variant": arguments.variant,
        **sizes,
        "cores": len(machine.processors()),
        **provenance.provenance(),
    }
    found = {name: measures[name](arguments.variant, **sizes) for name in arguments.only}
    print(
        f"{arguments.variant}, batches of {arguments.batch_size}, {conditions['cores']} cores, "
        f"oneDNN {conditions['onednn']}"
    )
    for figures in found.values():
        print(figures["in_words"])
    if arguments.json is not None:
        files.write_json(arguments.json, conditions | found)
