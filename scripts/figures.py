r"""Draws what is inside a network, as the 2012 paper does.

    python scripts/figures.py filters --model runs/mine --out filters.png
    python scripts/figures.py neighbors --model runs/mine --out neighbors.png
    python scripts/figures.py likeliest --model runs/mine --images 10 --out likeliest.png
    python scripts/figures.py activations --model runs/mine --layer conv3 --image cat.jpg \
        --out conv3.png
    python scripts/figures.py curves --runs runs/relu,runs/tanh --labels ReLU,tanh --out curves.png

filters: the first layer's filters (Figure 3). neighbors: the training images nearest to test
images in the last hidden layer (Figure 4, right). likeliest: test images with their likeliest
labels as bars (Figure 4, left). activations: what a layer makes of an image. curves: training
errors of several runs (Figure 1).
"""

import dataclasses
import sys

import _cli
from absl import flags

from keras_alexnet import DataSpec, UsageError, figures
from keras_alexnet.errors import unknown_name
from keras_alexnet.figures.curves import in_words

flags.DEFINE_string("out", None, "The picture, a .png file.")
flags.DEFINE_string("model", None, "A run's folder or a .keras file.")
flags.DEFINE_string("variant", None, "The network, if the model's name does not tell it.")
flags.DEFINE_string("dataset", None, "As in train.py; by default what the run was trained on.")
flags.DEFINE_string("data_dir", None, "Folder or archive that holds the data.")
flags.DEFINE_string("dataset_name", None, "Name of an image folder in the picture.")
flags.DEFINE_boolean("skip_corrupt", False, "Leave out images that cannot be decoded.")
flags.DEFINE_integer("images", 10, "Test images to show, chosen from all classes.")
flags.DEFINE(
    _cli.Several(int), "indices", None, "Numbers of the test images to show instead, from 0."
)
flags.DEFINE_integer("seed", 0, "Of the choice of images.")
flags.DEFINE_integer("neighbors", 6, "Training images beside each test image.")
flags.DEFINE_integer("train_images", None, "Training images to search; all by default.")
flags.DEFINE_integer("batch_size", 256, "Images in one step of the search.")
flags.DEFINE_integer("top", 5, "Bars of each image.")
flags.DEFINE_string("layer", None, "Name of a layer.")
flags.DEFINE_string("image", None, "An image file.")
flags.DEFINE_string("scale", "each", "Of filters and maps: each by itself, or joint, all alike.")
flags.DEFINE_list("runs", None, "Folders of runs, or their metrics.csv files.")
flags.DEFINE_list("labels", None, "What to call the runs; by default their folders' names.")
flags.DEFINE_float("error", 25.0, "Training error, in per cent, to draw a line at.")
flags.DEFINE_string("table", None, "File for the numbers: .csv, .json; by default beside --out.")

_DATA = [field.name for field in dataclasses.fields(DataSpec)]
_SOURCE = [*_DATA, *"images indices seed variant table".split()]
# Mode: the function, the flags that it must have, in its order, and those that it may have.
MODES = {
    "filters": (figures.filters, ["model", "out"], ["scale"]),
    "neighbors": (
        figures.neighbors,
        ["model", "out"],
        [*_SOURCE, "neighbors", "train_images", "batch_size"],
    ),
    "likeliest": (figures.likeliest, ["model", "out"], [*_SOURCE, "top"]),
    "activations": (
        figures.activations,
        ["model", "image", "layer", "out"],
        ["scale", "variant"],
    ),
    "curves": (figures.curves, ["runs", "out"], ["labels", "error", "table"]),
}


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        received = " ".join(arguments) or "none"
        raise UsageError(f"One of {', '.join(MODES)} is needed. Received: {received}.")
    [mode] = arguments
    if mode not in MODES:
        raise unknown_name("figure", mode, MODES)
    draw, needed, taken = MODES[mode]
    chosen = _chosen(mode, needed, taken)
    data = {name: chosen.pop(name) for name in _DATA if name in chosen}
    if data:
        chosen["data"] = DataSpec(**data)
    made = draw(*[chosen.pop(name) for name in needed], **chosen)
    if mode == "curves":
        print("\n".join(in_words(made, _cli.FLAGS.error)))
    print(f"picture: {_cli.FLAGS.out}")


def _chosen(mode: str, needed: list[str], taken: list[str]) -> dict:
    """The values of the mode's flags that were given."""
    own = {flag.name for flag in _cli.FLAGS.flags_by_module_dict()[sys.argv[0]]}
    given = {name: _cli.FLAGS[name].value for name in own if _cli.FLAGS[name].present}
    for name in needed:
        if not given.get(name):
            raise UsageError(f"{mode} needs --{name}. --help lists the flags.")
    for name in given:
        if name not in (*needed, *taken):
            raise UsageError(
                f"--{name} is not for {mode}, which takes "
                f"{', '.join('--' + each for each in (*needed, *taken))}."
            )
    return given


if __name__ == "__main__":
    _cli.FLAGS.set_gnu_getopt()  # the figure's name may stand before the flags
    _cli.run(main, takes_arguments=True)
