r"""Trains a network, and writes model, metrics and pictures to a folder.

    keras-alexnet train --variant cifar_v1
    keras-alexnet train --variant cifar_v2 --recipe document --dataset image_folder \
        --data_dir cifar10-jpeg.tar.gz --record saved_models/results.csv
    keras-alexnet train --resume --workdir runs/mine
"""

import argparse
from collections.abc import Iterable
from typing import Any

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.training import recipes
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.network_options import check_network
from keras_alexnet.training.recipe import OVERRIDABLE

RUN = "run"
GROUPS = {
    "network": [
        *("variant", "num_classes", "input_size", "activation", "lrn", "dropout"),
        *("overlapping_pooling", "initial_weights", "pixel_std", "weights", "freeze_until"),
    ],
    "data": [
        *("dataset", "data_dir", "splits", "labels_csv", "dataset_name", "skip_corrupt"),
        "max_image_pixels",
        "image_cache",
        *("validation_images", "class_weights", "views"),
    ],
    "devices": [
        *("num_devices", "logical_cpu_devices", "join_timeout"),
        *("precision", "deterministic"),
    ],
    RUN: ["recipe", "workdir", "resume", "allow_change", "seed"],
}


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a run and those that override its recipe."""
    add_run_flags(parser)


def add_run_flags(parser: flags.Parser, leave_out: Iterable[str] = ()) -> None:
    """Adds the flags of a run but for some, and those that override its recipe."""
    flags.add_config_flags(
        parser, TrainConfig, GROUPS, rest=RUN, optional=["variant"], leave_out=leave_out
    )
    group = parser.add_argument_group("recipe", "Each of these flags overrides the recipe.")
    for field in OVERRIDABLE:
        flags.add_field_flag(group, field)


def run(arguments: argparse.Namespace) -> None:
    """Trains, and prints the results."""
    given = overrides_of(arguments)
    config = flags.config_of(TrainConfig, arguments, overrides=given)
    if not config.resume:  # a run that is resumed has its own variant and recipe
        recipes.get(config.variant, config.recipe, **given)
        check_network(config)
    load_tensorflow()
    from keras_alexnet.training.train import train

    results = train(config)
    for name in ("dataset", "test_loss", "test_top1", "test_top5", "seconds", "workdir"):
        say(f"{name}: {results[name]}")


def overrides_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the fields of the recipe that flags override."""
    given = flags.values_of(arguments, (field.name for field in OVERRIDABLE))
    return {name: value for name, value in given.items() if value is not None}
