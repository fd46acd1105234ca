r"""Evaluates a trained network on a data set.

    keras-alexnet evaluate --model runs/mine --views 10
    keras-alexnet evaluate --model model.keras --dataset image_folder --data_dir photos \
        --json figures.json
"""

import argparse
import os

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.evaluation.config import EvaluateConfig
from keras_alexnet.utils import outputs

_GROUPS = {
    "network": ["model", "variant", "precision"],
    "data": [
        *("dataset", "data_dir", "splits", "labels_csv", "dataset_name", "skip_corrupt"),
        *("max_image_pixels", "image_cache", "split"),
    ],
}


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of an evaluation."""
    flags.add_config_flags(parser, EvaluateConfig, _GROUPS, rest="evaluation")
    output = parser.add_argument_group("output")
    flags.add_flag(output, "json", os.PathLike, "JSON file to write the metrics to.")


def run(arguments: argparse.Namespace) -> None:
    """Evaluates, and prints the metrics."""
    config = flags.config_of(EvaluateConfig, arguments)
    if arguments.json is not None:
        outputs.check_file(arguments.json, "json")
    load_tensorflow()
    from keras_alexnet.evaluation.evaluate import evaluate
    from keras_alexnet.utils import files

    figures = evaluate(config)
    if arguments.json is not None:
        files.write_json(arguments.json, figures)
    for name in ("dataset", "split", "images", "views", "loss", "top1", "top5"):
        say(f"{name}: {figures[name]}")
