r"""Measures the perceptual distance (LPIPS 0.1 on AlexNet) of two images, or of pairs of images.

    keras-alexnet distance a.png b.png
    keras-alexnet distance originals compressed --csv distances.csv --maps maps

It prints the number for two images; for folders, a line for each pair, and the mean. The images of
two folders are paired by their names, with or without endings. A file is compared with all images
of a folder. 0 is the distance of equal images.
"""

import argparse
import os

from keras_alexnet.cli import flags
from keras_alexnet.cli.running import load_tensorflow
from keras_alexnet.errors import UsageError
from keras_alexnet.perceptual.config import DistanceConfig
from keras_alexnet.utils import outputs
from keras_alexnet.utils.text import printable

_IMAGES = ("first", "second")


def add_flags(parser: flags.Parser) -> None:
    """Adds the two images or folders, and the flags of a measurement."""
    parser.usage = f"{parser.prog} [flags] FIRST SECOND"
    parser.add_argument("first", metavar="FIRST", help="An image, or a folder of images.")
    parser.add_argument("second", metavar="SECOND", help="What to compare it with.")
    flags.add_config_flags(parser, DistanceConfig, {}, rest="measurement", leave_out=_IMAGES)
    output = parser.add_argument_group("output")
    flags.add_flag(output, "csv", os.PathLike, "CSV file to write to, one row per pair.")
    flags.add_flag(output, "json", os.PathLike, "JSON file to write the pairs and the mean to.")


def run(arguments: argparse.Namespace) -> None:
    """Measures, and prints the distances."""
    config = flags.config_of(DistanceConfig, arguments)
    written = {name: path for name in ("csv", "json") if (path := getattr(arguments, name))}
    for name, path in written.items():
        outputs.check_file(path, name)
    places = [outputs.destination(path) for path in written.values()]
    if len(places) == 2 and places[0] == places[1] and places[0].is_plain:
        raise UsageError(f"csv and json must be two files. Received: {arguments.csv} for both.")
    load_tensorflow(cpp_log_level=3)
    _measure(config, arguments)


def _measure(config: DistanceConfig, arguments: argparse.Namespace) -> None:
    import dataclasses
    import statistics
    import sys

    from tqdm import tqdm

    from keras_alexnet.perceptual.measure import iter_distances, raise_failed
    from keras_alexnet.utils import files

    found = []
    single = not any(os.path.isdir(getattr(config, name)) for name in _IMAGES)
    for each in iter_distances(config):
        found.append(each)
        if single and each.error is None:
            print(f"{each.distance:.6f}")
        elif not single:
            names = [printable(name) for name in (each.first, each.second) if name]
            said = f"error: {each.error}" if each.distance is None else f"{each.distance:.6f}"
            # tqdm.write, so that the progress bar is not drawn into the table.
            tqdm.write("  ".join([said, *names]), file=sys.stdout)
    distances = [each.distance for each in found if each.distance is not None]
    mean = statistics.fmean(distances) if distances else None
    if not single and mean is not None:
        print(f"{mean:.6f}  mean of {len(distances)} pairs")
    rows = [dataclasses.asdict(each) for each in found]
    if arguments.csv:
        files.write_csv(arguments.csv, rows)
    if arguments.json:
        weights = str(config.weights)
        files.write_json(arguments.json, {"weights": weights, "mean": mean, "pairs": rows})
    raise_failed(found)
