r"""Evaluates a trained network on a data set.

    python scripts/evaluate.py --model runs/mine --views 10
    python scripts/evaluate.py --model model.keras --dataset image_folder --data_dir photos \
        --json figures.json
"""

import _cli
from absl import flags

from keras_alexnet import EvaluateConfig, UsageError, evaluate
from keras_alexnet.utils import files

flags.DEFINE_string("model", None, "A run's folder or a .keras file.")
flags.DEFINE_string("dataset", None, "As in train.py; by default what the run was trained on.")
flags.DEFINE_string("data_dir", None, "Folder or archive that holds the data.")
flags.DEFINE_string("dataset_name", None, "Name of an image folder in results.")
flags.DEFINE_enum("split", "test", ["test", "validation", "train"], "Which images.")
flags.DEFINE_integer("views", 1, "Views of each image that are averaged: 1, 2 or 10.")
flags.DEFINE_integer("batch_size", 256, "Views in one step over all devices.")
flags.DEFINE_string("variant", None, "The network, if the model's name does not tell it.")
flags.DEFINE_boolean("skip_corrupt", False, "Leave out images that cannot be decoded.")
flags.DEFINE_string("pictures", None, "Folder for confusions, per-class figures, wrong images.")
flags.DEFINE_integer("num_devices", None, "Devices to use; all GPUs by default.")
flags.DEFINE_string("json", None, "File to write the figures to.")
_ARGUMENTS = (
    "dataset data_dir dataset_name split views batch_size variant skip_corrupt pictures num_devices"
).split()


def main() -> None:
    if _cli.FLAGS.model is None:
        raise UsageError("--model is needed: a run's folder or a .keras file.")
    figures = evaluate(EvaluateConfig(model=_cli.FLAGS.model, **_cli.values_of(_ARGUMENTS)))
    if _cli.FLAGS.json is not None:
        files.write_json(_cli.FLAGS.json, figures)
    for name in ("dataset", "split", "images", "views", "loss", "top1", "top5"):
        print(f"{name}: {figures[name]}")


if __name__ == "__main__":
    _cli.run(main)
