r"""Names the likeliest classes of images, by a network wherever it is.

    python scripts/predict.py --model runs/mine photo.jpg photos
    python scripts/predict.py --model saved_models/mine photos --csv found.csv
    python scripts/predict.py --model grpc://localhost:8500/mine photos --top 1

Images are files, or folders that are searched with all below them; of any size and color.
"""

import os
import sys

# What a decoder prints of a damaged image is said in the image's own line.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import _cli
from absl import flags
from tqdm import tqdm

from keras_alexnet import UsageError, UserError
from keras_alexnet.predicting import output
from keras_alexnet.predicting.predict import PLACES, predictions

flags.DEFINE_string("model", None, f"The network: {PLACES}.")
flags.DEFINE_integer("top", 5, "Classes to name.")
flags.DEFINE_integer("batch_size", 32, "Images in one step or request at most.")
flags.DEFINE_float("timeout", 60.0, "Seconds that a server may take for one request.")
flags.DEFINE_string("variant", None, "The network, if a .keras or .tflite file does not tell it.")
flags.DEFINE_string("labels", None, "Text file of the classes' names, in place of the network's.")
flags.DEFINE_string("json", None, "File to write the predictions to.")
flags.DEFINE_string("csv", None, "File to write the predictions to, one row an image.")
_ARGUMENTS = "top batch_size timeout variant labels".split()


def main(images: list[str]) -> None:
    chosen = _cli.FLAGS
    if not chosen.model:
        raise UsageError(f"--model is needed: {PLACES}.")
    if not images:
        raise UsageError("Images are needed: files or folders, after the flags.")
    found = predictions(chosen.model, images, **_cli.values_of(_ARGUMENTS))
    table, failed, total = output.Table(), [], 0
    for each in output.written(found, chosen.top, csv=chosen.csv, json=chosen.json):
        # Past a progress bar, which would else be drawn into the table.
        tqdm.write(table.line(each), file=sys.stdout)
        total += 1
        if each.error is not None:
            failed.append(each.image)
    if failed:
        more = ", …" if len(failed) > 3 else ""
        raise UserError(
            f"{len(failed)} of {total} images could not be predicted: {', '.join(failed[:3])}{more}"
        )


if __name__ == "__main__":
    _cli.run(main, takes_arguments=True)
