"""SavedModel, as TF Serving loads it: signatures with plain names, and each variable once."""

import os
import pathlib
import tempfile

import tensorflow as tf

from keras_alexnet import files, quiet, runs
from keras_alexnet.exporting import graphs
from keras_alexnet.exporting.networks import Network
from keras_alexnet.litert_metadata import DESCRIPTION

EXTRA = "assets.extra"

_MEANINGS = {
    "image": "RGB pixels 0–255",
    "image_bytes": "encoded JPEG or PNG files of any size, grey, CMYK and alpha included",
    "logits": "one number a class, in class order",
    "probabilities": "softmax of the logits",
    "classes": "labels of the likeliest classes, likeliest first",
    "scores": "probabilities of those classes",
    "features": "the last hidden layer, which feeds the classifier",
}


def write(network: Network, folder: str | os.PathLike, input_dtype: str = "uint8") -> None:
    """Writes a SavedModel with its labels and its `signature.json` into a new folder.

    Args:
        network: what is exported.
        folder: where; it must not exist.
        input_dtype: "uint8" or "float32", of the pixels that `image` takes.
    """
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as temporary:
        labels = pathlib.Path(temporary) / runs.LABELS
        labels.write_text("".join(f"{name}\n" for name in network.labels), encoding="utf-8")
        module = _Exported(network, input_dtype, str(labels))
        functions = graphs.signatures(network, input_dtype, module.label_of)
        with quiet.quiet():
            tf.saved_model.save(module, str(folder), signatures=functions)
    described = {name: _described(function) for name, function in functions.items()}
    files.write_json(
        folder / EXTRA / DESCRIPTION, {**network.description(), "signatures": described}
    )


class _Exported(tf.Module):
    """Holds each variable once: Keras's own exporter writes every one twice.

    Beside the signatures it has `logits`, a function of pixels of either number type, which
    `keras.layers.TFSMLayer` calls.
    """

    def __init__(self, network: Network, input_dtype: str, labels_file: str):
        super().__init__()
        # Weights alone: the states of Dropout are variables too, and serve training.
        self.weights = {
            f"{layer.name}_{weight.name}": weight.value
            for layer in network.model.layers
            for weight in layer.weights
        }
        self.labels = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                labels_file,
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
                *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            ),
            default_value="",
        )
        self.labels_file = tf.saved_model.Asset(labels_file)
        self.logits = tf.function(
            lambda image: graphs.probabilities(network, image)["logits"], autograph=False
        )
        for dtype in ("uint8", "float32"):
            self.logits.get_concrete_function(graphs.pixels(network, dtype))

    def label_of(self, numbers: tf.Tensor) -> tf.Tensor:
        """Class numbers → labels."""
        return self.labels.lookup(tf.cast(numbers, tf.int64))


def _described(function) -> dict:
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in concrete.structured_input_signature[0]}
    outputs = concrete.structured_outputs
    return {
        "inputs": {name: _tensor(name, spec) for name, spec in inputs.items()},
        "outputs": {name: _tensor(name, spec) for name, spec in outputs.items()},
    }


def _tensor(name: str, spec) -> dict:
    return {"dtype": spec.dtype.name, "shape": list(spec.shape), "meaning": _MEANINGS[name]}
