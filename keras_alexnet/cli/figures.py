r"""Draws what is inside a network, as the 2012 paper does.

    keras-alexnet figures filters --model runs/mine --out filters.png
    keras-alexnet figures neighbors --model runs/mine --out neighbors.png
    keras-alexnet figures likeliest --model runs/mine --images 10 --out likeliest.png
    keras-alexnet figures activations --model runs/mine --layer conv3 --image cat.jpg \
        --out conv3.png
    keras-alexnet figures curves --runs runs/relu,runs/tanh --labels ReLU,tanh --out curves.png
"""

import argparse
import dataclasses
import os
from typing import Any

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.data.config import DataSpec
from keras_alexnet.distributed import precision_choice
from keras_alexnet.utils.limits import BATCH, TOP
from keras_alexnet.utils.values import Range

_SOME = Range(1)
_SCALES = ("each", "joint")
_TABLE = "File for the numbers in the picture: .csv or .json; by default a .csv beside --out."
_FLAGS: dict[str, dict[str, Any]] = {
    "out": {
        "kind": os.PathLike,
        "help_text": "The picture to write, a .png file.",
        "required": True,
    },
    "model": {
        "kind": os.PathLike,
        "help_text": "A run's folder or a .keras file, or the name of weights or of their network, "
        "such as imagenet or cifar_v2.",
        "required": True,
    },
    "images": {
        "kind": int,
        "help_text": "Test images to show, from all classes.",
        "default": 10,
        "allowed": _SOME,
    },
    "indices": {
        "kind": int,
        "help_text": "Indices of the test images to show instead, counted from 0.",
        "several": True,
        "allowed": Range(0),
    },
    "seed": {
        "kind": int,
        "help_text": "Seed of the choice of images.",
        "default": 0,
        "allowed": Range(0),
    },
    "neighbors": {
        "kind": int,
        "help_text": "Training images to show beside each test image.",
        "default": 6,
        "allowed": _SOME,
    },
    "train_images": {
        "kind": int,
        "help_text": "Training images to search; all by default.",
        "allowed": _SOME,
    },
    "batch_size": {
        "kind": int,
        "help_text": "Images in one step of the search.",
        "default": 256,
        "allowed": BATCH,
    },
    "top": {"kind": int, "help_text": "Bars for each image.", "default": 5, "allowed": TOP},
    "precision": {
        "kind": str,
        "help_text": precision_choice.HELP,
        "default": precision_choice.AUTO,
        "choices": precision_choice.FOR_INFERENCE,
    },
    "layer": {"kind": str, "help_text": "Name of a layer.", "required": True},
    "image": {"kind": os.PathLike, "help_text": "An image file.", "required": True},
    "scale": {
        "kind": str,
        "help_text": "Scale of the colors: one for each filter or map, or a joint one.",
        "default": "each",
        "choices": _SCALES,
    },
    "runs": {
        "kind": os.PathLike,
        "help_text": "Folders of runs, or their metrics.csv files.",
        "several": True,
        "required": True,
    },
    "labels": {
        "kind": str,
        "help_text": "Names of the runs; by default the names of their folders.",
        "several": True,
    },
    "error": {
        "kind": float,
        "help_text": "Training error in percent at which a line is drawn.",
        "default": 25.0,
        "allowed": Range(0, 100),
    },
    "table": {"kind": os.PathLike, "help_text": _TABLE},
}
_OF_IMAGES = ("images", "indices", "seed", "precision", "variant", "table")
_DATA = tuple(field.name for field in dataclasses.fields(DataSpec))
# What a figure shows, in the order of its arguments.
_SUBJECTS = ("model", "runs", "image", "layer")
# Figure: what it shows, and its flags besides --out.
FIGURES = {
    "filters": ("The first layer's filters (the paper's Figure 3).", ("model", "scale")),
    "neighbors": (
        "Training images nearest to test images in the last hidden layer (Figure 4, right).",
        ("model", *_DATA, *_OF_IMAGES, "neighbors", "train_images", "batch_size"),
    ),
    "likeliest": (
        "Test images with bars of their likeliest labels (Figure 4, left).",
        ("model", *_DATA, *_OF_IMAGES, "top"),
    ),
    "activations": (
        "A layer's activations for an image.",
        ("model", "image", "layer", "scale", "precision", "variant"),
    ),
    "curves": (
        "Training errors of several runs (Figure 1).",
        ("runs", "labels", "error", "table"),
    ),
}


def add_flags(parser: flags.Parser) -> None:
    """Adds a subcommand for each figure."""
    parser.usage = f"{parser.prog} FIGURE [flags]"
    figures = parser.add_subparsers(
        title="figures", dest="figure", metavar="FIGURE", required=True, prog=parser.prog
    )
    for figure, (line, names) in FIGURES.items():
        program = f"{parser.prog} {figure}"
        subparser = figures.add_parser(
            figure, help=line, description=line, usage=f"{program} [flags]"
        )
        subparser.set_defaults(program=program)
        for name in ("out", *names):
            _add_flag(subparser, name)


def run(arguments: argparse.Namespace) -> None:
    """Draws a figure."""
    load_tensorflow()
    from keras_alexnet import figures
    from keras_alexnet.figures.curves import in_words

    draw = getattr(figures, arguments.figure)
    options = flags.values_of(arguments, FIGURES[arguments.figure][1])
    if data := {name: options.pop(name) for name in _DATA if name in options}:
        options["data"] = DataSpec(**data)
    subjects = [options.pop(name) for name in _SUBJECTS if name in options]
    made = draw(*subjects, arguments.out, **options)
    if arguments.figure == "curves":
        for line in in_words(made, arguments.error):
            say(line)
    say(f"picture: {arguments.out}")


def _add_flag(parser: argparse.ArgumentParser, name: str) -> None:
    if name in _FLAGS:
        flags.add_flag(parser, name, **_FLAGS[name])
    elif name == "variant":
        flags.add_variant(parser, "The network, if the model's name does not say which it is.")
    else:
        [field] = [each for each in dataclasses.fields(DataSpec) if each.name == name]
        flags.add_field_flag(parser, field, default=field.default)
