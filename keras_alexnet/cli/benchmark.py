r"""Measures the speed of training and its parts, against what else one could use.

    keras-alexnet benchmark train --variants cifar_v1,cifar_v2 --peers torch --json train.json
    keras-alexnet benchmark scale --only batch_sizes --batch_sizes 16,64,256 --out scale
    keras-alexnet benchmark overhead --variants cifar_v3 --json overhead.json
    keras-alexnet benchmark overhead --variants cifar_v2 --steps 60 --only loop,mirrored
    keras-alexnet benchmark layers --variants cuda_convnet_11pct --json layers.json
    keras-alexnet benchmark inference --variants cifar_v2 --peers openvino --json inference.json
    keras-alexnet benchmark start --variants cifar_v2 --data_dir cifar10-jpeg.tar.gz

All sides take turns in each round, and medians over the rounds are reported. Let the machine do
nothing else in the meantime.
"""

import argparse
import dataclasses
import importlib
import os
from typing import Any

from keras_alexnet.benchmarks.catalog import BENCHMARKS, Settings
from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.errors import UserError
from keras_alexnet.utils import outputs


def add_flags(parser: flags.Parser) -> None:
    """Adds a subcommand for each benchmark."""
    parser.usage = f"{parser.prog} BENCHMARK [flags]"
    benchmarks = parser.add_subparsers(
        title="benchmarks", dest="benchmark", metavar="BENCHMARK", required=True, prog=parser.prog
    )
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for name, benchmark in BENCHMARKS.items():
        program = f"{parser.prog} {name}"
        subparser = benchmarks.add_parser(
            name, help=benchmark.line, description=benchmark.line, usage=f"{program} [flags]"
        )
        subparser.set_defaults(program=program)
        for flag, default in benchmark.flags.items():
            choices = benchmark.choices.get(flag)
            flags.add_field_flag(subparser, fields[flag], default=default, choices=choices)
        flags.add_flag(subparser, "json", os.PathLike, "JSON file to write the measurements to.")


def run(arguments: argparse.Namespace) -> None:
    """Measures, and prints the machine, a table, and what was found in words."""
    benchmark = BENCHMARKS[arguments.benchmark]
    settings = Settings(**flags.values_of(arguments, benchmark.flags))
    benchmark.check(settings)
    if arguments.json is not None:
        outputs.check_file(arguments.json, "json")
    if settings.out is not None:
        outputs.check_folder(settings.out, "out")
    load_tensorflow()
    from keras_alexnet.benchmarks import machine_report, peers
    from keras_alexnet.utils import files

    module = importlib.import_module(f"keras_alexnet.benchmarks.{benchmark.module}")
    conditions = machine_report.describe()
    report = module.measure(settings)
    print(_in_words(conditions))
    print(report.as_text())
    if arguments.json is not None:
        given = {name: getattr(settings, name) for name in benchmark.flags}
        conditions["packages"] = peers.versions(peers.TITLES)
        if benchmark.trains:
            conditions["precision"] = machine_report.precisions(settings)
        written = {"benchmark": arguments.benchmark, "settings": given, "conditions": conditions}
        files.write_json(arguments.json, written | report.as_dict())
    if report.failed:
        raise UserError(f"These could not be measured: {'; '.join(report.failed)}.")


def _in_words(conditions: dict[str, Any]) -> str:
    memory = conditions["memory_bytes"]
    cores, gpus = conditions["cores"], len(conditions["gpus"])
    parts = (
        conditions["processor"],
        f"{cores} core{'s' * (cores != 1)}",
        *([f"{memory / 1e9:.0f} GB"] if memory else []),
        f"{gpus} GPU{'s' * (gpus != 1)}",
        f"TensorFlow {conditions['tensorflow']}",
        f"oneDNN {conditions['onednn']}",
        f"commit {conditions['commit']}",
    )
    return ", ".join(parts)
