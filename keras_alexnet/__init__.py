"""Every AlexNet worth having, for Keras and TensorFlow.

The names below stand in the order in which data flows: images, batches, network, training,
evaluation, export, predictions.
"""

import os

_WANTED = os.environ.get("KERAS_BACKEND", "tensorflow")
if _WANTED != "tensorflow":
    # Checked before Keras is imported, which would first look for that backend.
    raise ImportError(
        "keras_alexnet needs Keras on its TensorFlow backend. "
        f"Received: KERAS_BACKEND={_WANTED}. Set KERAS_BACKEND=tensorflow."
    )

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_alexnet needs Keras on its TensorFlow backend. Received: "
        f"{keras.backend.backend()!r} from keras.json. Set KERAS_BACKEND=tensorflow."
    )

from keras_alexnet import looking, recipes, variants, weights
from keras_alexnet._version import __version__
from keras_alexnet.applications import AlexNet, decode_predictions, preprocess_input
from keras_alexnet.config import TrainConfig
from keras_alexnet.datasets import list_datasets, load_dataset, split_validation
from keras_alexnet.errors import Interrupted, UsageError, UserError
from keras_alexnet.evaluation import evaluate
from keras_alexnet.exporting import export
from keras_alexnet.manifests import verify as verify_prepared
from keras_alexnet.models import build
from keras_alexnet.pipeline import (
    eval_batches,
    pixel_statistics,
    steps_per_epoch,
    train_batches,
)
from keras_alexnet.preparing import prepare
from keras_alexnet.recipes import list_recipes
from keras_alexnet.runs import load
from keras_alexnet.serving import Prediction, predict
from keras_alexnet.summary import layer_table
from keras_alexnet.training import train
from keras_alexnet.variants import list_variants

__all__ = [
    "AlexNet",
    "Interrupted",
    "Prediction",
    "TrainConfig",
    "UsageError",
    "UserError",
    "__version__",
    "build",
    "decode_predictions",
    "eval_batches",
    "evaluate",
    "export",
    "layer_table",
    "list_datasets",
    "list_recipes",
    "list_variants",
    "load",
    "load_dataset",
    "looking",
    "pixel_statistics",
    "predict",
    "prepare",
    "preprocess_input",
    "recipes",
    "split_validation",
    "steps_per_epoch",
    "train",
    "train_batches",
    "variants",
    "verify_prepared",
    "weights",
]
