r"""Compares a network with versions of it that lack parts, over several seeds.

    keras-alexnet ablate --variant cifar_v3 --without dropout,overlap,flip,crop --seeds 3 \
        --workdir runs/parts
    keras-alexnet ablate --variant cifar_v2 --activation tanh --augment= \
        --learning_rates 0.003,0.01,0.03 --best_rate_by training_error --workdir runs/tanh
    keras-alexnet ablate --variant cuda_convnet_11pct --epochs 20 --workdir runs/weights \
        --versions "uniform: --initial_weights fan_in_uniform; small: --pixel_std 128"
    keras-alexnet ablate --resume --workdir runs/parts

A version is a name and flags of train; --without and --activation are short for versions. The other
flags are those of train, for all runs. Each run is a folder below --workdir, and table and picture
are written again after each of them.
"""

import argparse
import dataclasses
import pathlib
import shlex
import typing
from typing import Any

from keras_alexnet.ablation.config import AblateConfig
from keras_alexnet.ablation.versions import CHANGEABLE, OF_THE_STUDY, versions_of
from keras_alexnet.cli import flags, train
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.cli.streams import say
from keras_alexnet.errors import UsageError
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.training.recipe import OVERRIDABLE

_STUDY = {
    "study": [
        *("workdir", "resume", "without", "activation", "seeds", "learning_rates"),
        *("best_rate_by", "training_error"),
    ]
}
# Flags of train that the study sets itself, or that mean a version.
_LEFT_OUT = (*OF_THE_STUDY, "activation")


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a study and those of its runs."""
    flags.add_config_flags(parser, AblateConfig, _STUDY, rest="study")
    parser.add_argument(
        "--versions",
        type=_versions,
        metavar="'NAME: FLAGS; ...'",
        default={},
        help="More versions, separated by semicolons: a name, a colon, and flags of train.",
    )
    train.add_run_flags(parser, leave_out=_LEFT_OUT)


def run(arguments: argparse.Namespace) -> None:
    """Trains all versions, and prints the table."""
    names = [field.name for field in dataclasses.fields(TrainConfig) if "help" in field.metadata]
    given = flags.values_of(arguments, (name for name in names if name not in _LEFT_OUT))
    runs = TrainConfig(**given, overrides=train.overrides_of(arguments))
    config = flags.config_of(AblateConfig, arguments, versions=arguments.versions, train=runs)
    if not config.resume:  # a study that is resumed has its own settings
        versions_of(config)
    load_tensorflow()
    from keras_alexnet.ablation.ablate import PICTURE, TABLE_AS_TEXT, ablate

    ablate(config)
    workdir = pathlib.Path(config.workdir)
    for line in (workdir / TABLE_AS_TEXT).read_text(encoding="utf-8").splitlines():
        say(line)
    say(f"picture: {workdir / PICTURE}")


class _FlagsOfVersion(flags.Parser):
    def error(self, message: str) -> typing.NoReturn:
        raise UsageError(message)


def _versions(typed: str) -> dict[str, dict[str, Any]]:
    """Returns name → changes, from "name: flags; name: flags"."""
    found: dict[str, dict[str, Any]] = {}
    for entry in filter(str.strip, typed.split(";")):
        name, colon, words = entry.partition(":")
        name = name.strip()
        if not (name and colon and words.strip()):
            raise argparse.ArgumentTypeError(
                "must be versions such as 'tanh: --activation tanh; slow: --learning_rate 0.01'. "
                f"Received: {entry.strip()!r}."
            )
        if name in found:
            raise argparse.ArgumentTypeError(
                f"must have one version of each name. Received: {name!r} twice."
            )
        found[name] = _changes(name, words)
    if not found:
        raise argparse.ArgumentTypeError(f"must name a version. Received: {typed!r}.")
    return found


def _changes(name: str, words: str) -> dict[str, Any]:
    parser = _FlagsOfVersion(add_help=False)
    for field in (*dataclasses.fields(TrainConfig), *OVERRIDABLE):
        if field.name in CHANGEABLE:
            # What is not given is not in the parsed arguments.
            flags.add_field_flag(parser, field, default=argparse.SUPPRESS)
    try:
        return vars(parser.parse_args(shlex.split(words)))
    except (UsageError, ValueError) as error:
        why = str(error).rstrip(".")
        end = "" if why.endswith("?") else "."
        raise argparse.ArgumentTypeError(
            f"must be a name and flags of train. Received, for version {name!r}: {why}{end}"
        ) from error
