"""The entry points: keras-alexnet, python -m keras_alexnet, and the scripts of a checkout."""

import argparse
import importlib
import pathlib
import sys
from collections.abc import Sequence

from keras_alexnet.cli import running, streams

COMMANDS = {
    "train": "Train a network, and write model, metrics and pictures to a folder.",
    "ablate": "Compare a network with versions of it that lack parts, over several seeds.",
    "evaluate": "Evaluate a trained network on a data set.",
    "predict": "Name the likeliest classes of images.",
    "features": "Write the activations of a network's layers for images.",
    "distance": "Measure the perceptual distance (LPIPS) of images.",
    "export": "Export a trained network for TF Serving, LiteRT and ONNX Runtime.",
    "prepare": "Turn ImageNet's archives or an image folder into shards of TFRecords.",
    "summary": "Print a network's layers, parameters and multiply-accumulates.",
    "figures": "Draw what is inside a network, as the 2012 paper does.",
    "convert": "Convert weights from PyTorch or Caffe, or to PyTorch.",
    "ship": "Make weights that come with the package from a run; for its maintainers.",
    "benchmark": "Measure the speed of training, and of its parts.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `keras-alexnet` and returns its exit code.

    Args:
        arguments: what follows the program's name; by default, what the user typed.

    Example:
        >>> main(["summary", "--variant", "cifar_v2"])  # doctest: +ELLIPSIS
        cifar_v2, batch of 1, ...
        0
    """
    called = pathlib.Path(sys.argv[0])
    as_module = called.name == "__main__.py"
    words = [sys.executable, "-m", "keras_alexnet"] if as_module else [sys.argv[0]]
    return _run(sys.argv[1:] if arguments is None else list(arguments), None, words)


def run_script(command: str) -> None:
    """Runs a command for its script in a checkout, `python scripts/NAME.py`, and exits."""
    words = [sys.executable, sys.argv[0]]
    sys.exit(_run([command, *sys.argv[1:]], f"python {sys.argv[0]}", words))


def _run(arguments: list[str], script: str | None, words: list[str]) -> int:
    try:
        streams.settle()
        with running.ended_at_once(), running.imports_explained():
            parsed = _parser(arguments, script).parse_args(arguments)
            module = importlib.import_module(f"keras_alexnet.cli.{parsed.command}")
    except SystemExit:  # of --help, or of a wrong flag
        streams.flush()
        raise
    except Exception as error:
        return running.reported(error, "keras-alexnet", traceback="--traceback" in arguments)
    return running.guarded(
        lambda: module.run(parsed),
        parsed.program,
        words if script else [*words, parsed.command],
        traceback=getattr(parsed, "traceback", False),
    )


def _parser(arguments: Sequence[str], script: str | None) -> argparse.ArgumentParser:
    from keras_alexnet import __version__
    from keras_alexnet.cli.flags import Parser

    parser = Parser(
        "keras-alexnet",
        usage="keras-alexnet COMMAND [flags]",
        description="Every AlexNet worth having, for Keras and TensorFlow.",
        epilog="keras-alexnet COMMAND --help lists the flags of a command.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, prog="keras-alexnet"
    )
    for name, line in COMMANDS.items():
        program = script or f"keras-alexnet {name}"
        command = commands.add_parser(name, help=line, prog=program)
        if name in arguments:  # a module is imported only if it may be needed
            module = importlib.import_module(f"keras_alexnet.cli.{name}")
            command.usage = f"{program} [flags]"  # a module may set another
            command.description = (module.__doc__ or "").replace(f"keras-alexnet {name}", program)
            command.set_defaults(program=program)
            module.add_flags(command)
    return parser
