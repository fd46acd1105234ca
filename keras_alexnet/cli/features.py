r"""Writes the activations of a network's layers for images.

    keras-alexnet features --model cifar_v2 --layers conv1,conv2,fc4 --out features photos
    keras-alexnet features --model runs/mine --layers conv3:linear --pooling avg --out conv3 photos
    keras-alexnet features --model saved_models/mine --format parquet --out last a.jpg b.png

Each layer becomes an array with a row for each image, in the order of index.csv. Images are files,
or folders that are searched with all folders below them. They may have any size and color. Those
that cannot be read are left out; index.csv says why.
"""

import argparse

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.features.config import FeaturesConfig
from keras_alexnet.utils.text import printable

_GROUPS = {
    "network": ["model", "variant", "precision", "layers", "pooling", "flatten"],
    "output": ["out", "format", "resume"],
}


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of features, and the images."""
    parser.usage = f"{parser.prog} [flags] IMAGE..."
    parser.trailing = "images"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="Image file, or a folder.")
    flags.add_config_flags(parser, FeaturesConfig, _GROUPS, rest="images")


def run(arguments: argparse.Namespace) -> None:
    """Writes the features, and prints what was written."""
    config = flags.config_of(FeaturesConfig, arguments)
    if config.out is None:
        raise UsageError("--out is needed: the folder to write to.")
    # The message of an image that cannot be read says what is wrong with it, so decoders need not.
    load_tensorflow(cpp_log_level=3)
    from keras_alexnet.predicting.features.extract import extract
    from keras_alexnet.predicting.features.folder import read_description

    found = extract(config, arguments.images)
    for name, layer in read_description(config.out)["layers"].items():
        shape = " x ".join(map(str, layer["shape"]))
        say(f"{name}: {shape}, {layer['file']}")
    say(f"features: {config.out}, of {len(found.images)} images")
    if found.errors:
        total = len(found.images) + len(found.errors)
        named = ", ".join(map(printable, list(found.errors)[:3]))
        named += ", …" if len(found.errors) > 3 else ""
        raise UserError(
            f"{len(found.errors)} of {total} images could not be read, and are left out: {named}"
        )
