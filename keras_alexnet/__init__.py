"""Every AlexNet worth having, for Keras and TensorFlow.

Public names are imported when they are first used, so that importing the package is fast.
"""

import importlib
import os

from keras_alexnet._version import __version__

_WANTED = os.environ.get("KERAS_BACKEND", "tensorflow")
if _WANTED != "tensorflow":
    raise ImportError(
        "keras_alexnet needs Keras on its TensorFlow backend. "
        f"Received: KERAS_BACKEND={_WANTED}. Set KERAS_BACKEND=tensorflow."
    )

# Public name → the module that holds it, in the order in which data flows.
_HOMES = {
    "DataSpec": "data.config",
    "list_datasets": "data.readers",
    "load_dataset": "data.load",
    "split_validation": "data.splits",
    "train_batches": "data.pipeline",
    "eval_batches": "data.pipeline",
    "steps_per_epoch": "data.pipeline",
    "pixel_statistics": "data.pipeline",
    "PrepareConfig": "data.config",
    "prepare": "data.prepare",
    "verify_prepared": "data.manifest",
    "list_variants": "networks.variants",
    "build": "models",
    "AlexNet": "models",
    "preprocess_input": "models",
    "decode_predictions": "models",
    "layer_table": "networks.summary",
    "list_recipes": "training.recipes",
    "TrainConfig": "training.config",
    "train": "training.train",
    "load": "run_folder",
    "EvaluateConfig": "evaluation.config",
    "evaluate": "evaluation.evaluate",
    "ExportConfig": "exporting.config",
    "export": "exporting.export",
    "Prediction": "predicting.predict",
    "predict": "predicting.predict",
    "UserError": "errors",
    "UsageError": "errors",
    "Interrupted": "errors",
}
_RENAMED = {"verify_prepared": "verify"}
_MODULES = {
    "figures": "figures",
    "recipes": "training.recipes",
    "variants": "networks.variants",
    "weights": "weights",
}

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{_MODULES[name]}")
    if name in _HOMES:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(module, _RENAMED.get(name, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
