r"""Names the likeliest classes of images, with a network from a file or a server.

    keras-alexnet predict --model imagenet cat.jpg
    keras-alexnet predict --model runs/mine photo.jpg photos
    keras-alexnet predict --model saved_models/mine photos --csv found.csv
    keras-alexnet predict --model saved_models/mine photos --csv found.csv --resume
    keras-alexnet predict --model grpc://localhost:8500/mine photos --top 1

The network is a run's folder, a .keras, .tflite or .onnx file, a SavedModel's folder, the name of
weights (imagenet) or of their network (cifar_v2), or the address of a TensorFlow Serving server:
http://host:8501/v1/models/NAME[/versions/N] or grpc://host:8500/NAME[/versions/N]. Images are
files, or folders that are searched with all folders below them. They may have any size and color.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.data.config import MAX_IMAGE_PIXELS
from keras_alexnet.distributed import precision_choice
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.utils import outputs
from keras_alexnet.utils.limits import BATCH, PIXELS, TIMEOUT, TOP
from keras_alexnet.utils.text import printable

if TYPE_CHECKING:
    from keras_alexnet.predicting.output import PredictionFiles
    from keras_alexnet.predicting.predict import Prediction

OPTIONS = ("top", "batch_size", "precision", "timeout", "variant", "labels", "max_image_pixels")


def add_flags(parser: flags.Parser) -> None:
    """Adds the flags of a prediction, and the images."""
    parser.usage = f"{parser.prog} [flags] IMAGE..."
    parser.trailing = "images"
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="Image file, or a folder.")
    flags.add_flag(parser, "model", str, "The network; see above.", required=True)
    flags.add_variant(
        parser,
        "The network, if a .keras or .tflite file does not say which it is. For a server: decode "
        "the images here, and send the pixels that this network takes.",
    )
    help_text = "Text file with one class per line, in place of the network's own names."
    flags.add_flag(parser, "labels", os.PathLike, help_text)
    flags.add_flag(parser, "top", int, "Number of classes to name.", default=5, allowed=TOP)
    flags.add_flag(
        parser, "batch_size", int, "Most images in one step or request.", default=32, allowed=BATCH
    )
    flags.add_flag(
        parser,
        "precision",
        str,
        precision_choice.HELP,
        default=precision_choice.AUTO,
        choices=precision_choice.FOR_INFERENCE,
    )
    help_text = "Seconds that a server may take for one request."
    flags.add_flag(parser, "timeout", float, help_text, default=60.0, allowed=TIMEOUT)
    help_text = "Largest number of pixels of an image that is decoded."
    flags.add_flag(
        parser, "max_image_pixels", int, help_text, default=MAX_IMAGE_PIXELS, allowed=PIXELS
    )
    flags.add_flag(
        parser, "csv", os.PathLike, "CSV file to write the predictions to, one row per image."
    )
    flags.add_flag(parser, "json", os.PathLike, "JSON file to write the predictions to.")
    help_text = "Go on from the predictions that a stopped command with the same flags has written."
    flags.add_flag(parser, "resume", bool, help_text, default=False)


def run(arguments: argparse.Namespace) -> None:
    """Predicts, and prints a line for each image."""
    written = flags.values_of(arguments, ("csv", "json"))
    for name, path in written.items():
        if path is not None:
            outputs.check_file(path, name)
    places = [outputs.destination(path) for path in written.values() if path is not None]
    if len(places) == 2 and places[0] == places[1] and places[0].is_plain:
        raise UsageError(f"csv and json must be two files. Received: {arguments.csv} for both.")
    # The line of a damaged image says what is wrong with it, so decoders need not.
    load_tensorflow(cpp_log_level=3)
    from tqdm import tqdm

    from keras_alexnet.predicting import output

    table, failed, total = output.Table(), [], 0
    with _files(arguments) as output_files:
        for each in _predictions(arguments, output_files.done):
            output_files.add(each)
            # tqdm.write, so that the progress bar is not drawn into the table.
            tqdm.write(table.line(each), file=sys.stdout)
            total += 1
            if each.error is not None:
                failed.append(each.image)
    if failed:
        named = ", ".join(map(printable, failed[:3])) + (", …" if len(failed) > 3 else "")
        raise UserError(f"{len(failed)} of {total} images could not be predicted: {named}")


def _files(arguments: argparse.Namespace) -> "PredictionFiles":
    from keras_alexnet.predicting.journal import made_from
    from keras_alexnet.predicting.output import PredictionFiles

    paths = flags.values_of(arguments, ("csv", "json"))
    if not any(paths.values()):
        if arguments.resume:
            raise UsageError("--resume needs --csv or --json, the file to go on with.")
        return PredictionFiles(arguments.top)
    options = flags.values_of(arguments, ("variant", "labels", "precision"))
    found = made_from(arguments.model, **options)
    return PredictionFiles(arguments.top, **paths, made_from=found, resume=arguments.resume)


def _predictions(arguments: argparse.Namespace, done: Sequence["Prediction"]) -> Any:
    from keras_alexnet.predicting.predict import predictions

    options = flags.values_of(arguments, OPTIONS)
    return predictions(arguments.model, arguments.images, done=done, **options)
