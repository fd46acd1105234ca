r"""Converts weights from PyTorch or Caffe to a model file, or a model to PyTorch weights.

    keras-alexnet convert --from torchvision --weights alexnet-owt-7be5be79.pth \
        --labels imagenet --check photo.jpg --out owt/model.keras
    keras-alexnet convert --from caffe --weights bvlc_alexnet.caffemodel \
        --mean ilsvrc_2012_mean.npy --labels imagenet --out caffe/model.keras
    keras-alexnet convert --from kratzert --weights bvlc_alexnet.npy --labels imagenet \
        --out bvlc/model.keras
    keras-alexnet convert --to torch --weights runs/mine --out mine.safetensors
"""

import argparse
import os
from typing import Any

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.errors import UsageError

SOURCES = ("torchvision", "pytorch", "caffe", "kratzert")
TARGETS = ("keras", "torch")
_TO_KERAS = ("mean", "labels", "sha256", "check")


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a conversion."""
    help_text = (
        "File to convert: a PyTorch state dict as .safetensors, .pth or .pt; a .caffemodel; "
        "bvlc_alexnet.npy; with --to torch, a run's folder, a .keras file, or the name of weights "
        "or of their network."
    )
    flags.add_flag(parser, "weights", os.PathLike, help_text, required=True)
    help_text = "File to write: .keras, or .safetensors with --to torch."
    flags.add_flag(parser, "out", os.PathLike, help_text, required=True)
    flags.add_flag(parser, "to", str, "What to write.", default="keras", choices=TARGETS)
    help_text = (
        "The network; by default alexnet_owt for torchvision, and alexnet_caffe for caffe and "
        "kratzert."
    )
    flags.add_variant(parser, help_text)
    group = parser.add_argument_group("with --to keras")
    help_text = (
        "Where the weights are from; pytorch is for the networks of the documents, kratzert for "
        "bvlc_alexnet.npy, which TensorFlow users have had since 2016."
    )
    flags.add_flag(group, "from", str, help_text, choices=SOURCES)
    flags.add_flag(group, "mean", os.PathLike, "Caffe's mean file, a .binaryproto or .npy file.")
    help_text = "Text file with one class per line, or imagenet; copied to labels.txt beside --out."
    flags.add_flag(group, "labels", os.PathLike, help_text)
    help_text = "The SHA-256 that the file must have, or at least its first 8 digits."
    flags.add_flag(group, "sha256", str, help_text)
    help_text = "Image whose likeliest classes are printed, before and after the conversion."
    flags.add_flag(group, "check", os.PathLike, help_text)
    group = parser.add_argument_group("with --to torch")
    help_text = "Whose names the tensors get, torchvision or document; only for alexnet_owt."
    flags.add_flag(group, "names", str, help_text)


def run(arguments: argparse.Namespace) -> None:
    """Runs the conversion."""
    given = vars(arguments)
    to_torch = arguments.to == "torch"
    for name in ("from", *_TO_KERAS) if to_torch else ("names",):
        if given[name] is not None:
            raise UsageError(f"--{name} does not go with --to {arguments.to}. Leave it out.")
    if not to_torch and given["from"] is None:
        raise UsageError(f"--from is needed: {', '.join(SOURCES)}.")
    load_tensorflow()
    if to_torch:
        _write_for_torch(arguments)
    else:
        _write_for_keras(arguments)
    say(f"written: {arguments.out}")


def _write_for_keras(arguments: argparse.Namespace) -> None:
    from keras_alexnet.convert import convert

    loaded, checked = convert(
        arguments.weights,
        arguments.out,
        source=vars(arguments)["from"],
        variant=arguments.variant,
        **flags.values_of(arguments, _TO_KERAS),
    )
    say(f"{loaded.path}: SHA-256 {loaded.sha256}")
    print(f"filled: {', '.join(loaded.layers)}")
    if checked:
        _print_top("before, by the converted file's own framework", checked.before)
        _print_top("after, by the converted network", checked.after)
        if checked.framework:
            print(f"logits: within {checked.relative_difference:.1e} of {checked.framework}'s")


def _print_top(when: str, top: Any) -> None:
    print(f"{when}:")
    if top is None:
        print('  its framework is not installed: pip install -e ".[torch,caffe]"')
        return
    for name, score in zip(top.classes, top.scores, strict=True):
        say(f"  {100 * score:5.1f} %  {name}")


def _write_for_torch(arguments: argparse.Namespace) -> None:
    from keras_alexnet.convert import to_torch

    tensors = to_torch(
        arguments.weights, arguments.out, variant=arguments.variant, names=arguments.names
    )
    for name, shape in tensors.items():
        say(f"{name}: {'x'.join(map(str, shape))}")
