r"""Makes weights that come with the package, and their card, from a run; for its maintainers.

    keras-alexnet ship --model runs/mine
    keras-alexnet ship --model runs/mine --dataset image_folder --data_dir cifar10-jpeg.tar.gz \
        --name cifar10-jpeg --forms float16 --out shipped
"""

import argparse

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.exporting.config import ShipConfig

_GROUPS = {
    "what to write": ["model", "name", "out", "forms", "views"],
    "data": [
        *("dataset", "data_dir", "splits", "labels_csv", "dataset_name", "skip_corrupt"),
        "max_image_pixels",
        "image_cache",
    ],
}


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of `ship`."""
    flags.add_config_flags(parser, ShipConfig, _GROUPS, rest="data")


def run(arguments: argparse.Namespace) -> None:
    """Ships a run, and prints what the card says."""
    config = flags.config_of(ShipConfig, arguments)
    load_tensorflow()
    from keras_alexnet.exporting.shipping import ship

    card = ship(config)
    for name in ("file", "sha256", "stored_as", "dataset", "test_images", "top1_before"):
        say(f"{name}: {card[name]}")
    for views, found in card["accuracy"].items():
        print(f"top1 with {views} view(s): {found['top1']}")
