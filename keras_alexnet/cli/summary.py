"""Prints a network's layers: kernels, output shapes, parameters, MACs, memory, and totals.

    keras-alexnet summary --variant alexnet
    keras-alexnet summary --variant cifar_v2 --batch_size 64 --json summary.json

MACs are the multiply-accumulates for one image.
"""

import argparse
import os

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.networks.spec import LARGEST_SIDE
from keras_alexnet.utils import outputs
from keras_alexnet.utils.limits import BATCH
from keras_alexnet.utils.values import Range


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a summary."""
    flags.add_variant(parser, "The network.", required=True)
    flags.add_flag(
        parser,
        "num_classes",
        int,
        "Number of classes; by default the network's own.",
        allowed=Range(1),
    )
    flags.add_flag(
        parser,
        "input_size",
        int,
        "Height and width of images; by default the network's own.",
        allowed=Range(1, LARGEST_SIDE),
    )
    help_text = "Number of images in the batch whose activations are counted."
    flags.add_flag(parser, "batch_size", int, help_text, default=1, allowed=BATCH)
    flags.add_flag(parser, "json", os.PathLike, "JSON file to write the table to as well.")


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    if arguments.json is not None:
        outputs.check_file(arguments.json, "json")
    load_tensorflow()
    from keras_alexnet.models import build
    from keras_alexnet.networks.summary import layer_table
    from keras_alexnet.utils import files

    size = arguments.input_size
    shape = None if size is None else (size, size, 3)
    model = build(arguments.variant, num_classes=arguments.num_classes, input_shape=shape)
    table = layer_table(model, arguments.batch_size)
    print(table.as_text())
    if arguments.json is not None:
        files.write_json(arguments.json, table.as_dict())
