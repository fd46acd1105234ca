"""Prints a network's layers: kernels, output shapes, parameters, MACs, memory, and totals.

    keras-alexnet summary --variant alexnet
    keras-alexnet summary --variant cifar_v2 --batch_size 64 --json summary.json
    keras-alexnet summary --model runs/mine

MACs are the multiply-accumulates for one image. The names of layers are those that features and
figures activations take.
"""

import argparse
import os
from typing import TYPE_CHECKING

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.errors import UsageError
from keras_alexnet.networks.spec import LARGEST_SIDE
from keras_alexnet.utils import outputs
from keras_alexnet.utils.limits import BATCH
from keras_alexnet.utils.values import Range

if TYPE_CHECKING:
    import keras


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a summary."""
    flags.add_variant(parser, "A network as its source describes it.")
    help_text = (
        "A network as it was trained: a run's folder, a .keras file, or the name of a network "
        "whose weights come with the package."
    )
    flags.add_flag(parser, "model", os.PathLike, help_text)
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
    if (arguments.variant is None) == (arguments.model is None):
        raise UsageError("--variant or --model is needed, and not both.")
    if arguments.model is not None and (arguments.num_classes or arguments.input_size):
        raise UsageError("--num_classes and --input_size go with --variant, not with --model.")
    if arguments.json is not None:
        outputs.check_file(arguments.json, "json")
    load_tensorflow()
    from keras_alexnet.networks.summary import layer_table
    from keras_alexnet.utils import files

    table = layer_table(_model(arguments), arguments.batch_size)
    print(table.as_text())
    if arguments.json is not None:
        files.write_json(arguments.json, table.as_dict())


def _model(arguments: argparse.Namespace) -> "keras.Model":
    if arguments.model is not None:
        from keras_alexnet.weights.model_files import read_keras

        return read_keras(arguments.model)
    from keras_alexnet.models import build

    size = arguments.input_size
    shape = None if size is None else (size, size, 3)
    return build(arguments.variant, num_classes=arguments.num_classes, input_shape=shape)
