"""Writes SavedModels for TF Serving, with warm-up requests."""

import os
import pathlib
import tempfile

import numpy as np
import tensorflow as tf
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.exporting import signatures
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, terminal

EXTRA = "assets.extra"


_MEANINGS = {
    "image": "RGB pixels 0–255",
    "image_bytes": "encoded JPEG or PNG files of any size, gray, CMYK and alpha included",
    "logits": "one number a class, in class order",
    "probabilities": "softmax of the logits",
    "classes": "labels of the likeliest classes, likeliest first",
    "scores": "probabilities of those classes",
    "features": "the last hidden layer, which feeds the classifier",
}


def write(network: TrainedNetwork, folder: str | os.PathLike, input_dtype: str = "uint8") -> None:
    """Writes a SavedModel with its labels and its `signature.json` into a new folder.

    Args:
        network: what is exported.
        folder: where; it must not exist.
        input_dtype: "uint8" or "float32", of the pixels that `image` takes.
    """
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as temporary:
        labels = pathlib.Path(temporary) / run_folder.LABELS
        labels.write_text("".join(f"{name}\n" for name in network.labels), encoding="utf-8")
        module = _Exported(network, input_dtype, str(labels))
        functions = signatures.signatures(network, input_dtype, module.label_of)
        with terminal.quiet():
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

    def __init__(self, network: TrainedNetwork, input_dtype: str, labels_file: str):
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
            lambda image: signatures.probabilities(network, image)["logits"], autograph=False
        )
        for dtype in ("uint8", "float32"):
            self.logits.get_concrete_function(signatures.pixels(network, dtype))

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


REQUESTS = "tf_serving_warmup_requests"


# Convolutions take other paths for one image than for several. No more than four, since a server
# set to smaller batches would refuse the request, and with it the model.
BATCHES = (1, 4)


def write_warmup(
    folder: str | os.PathLike, network: TrainedNetwork, input_dtype: str = "uint8"
) -> bool:
    """Writes requests to every signature into a SavedModel's folder, always the same ones.

    The images are gray ramps. The requests name no model: a model does not know under which name
    it will be served, and TF Serving does not look at the name while it warms up.

    Args:
        folder: of the SavedModel; the file is `assets.extra/tf_serving_warmup_requests`.
        network: what was exported there.
        input_dtype: "uint8" or "float32", as it was exported.

    Returns:
        Whether they were written: not without the package tensorflow-serving-api.

    Example:
        >>> write("saved_models/mine/1", network)  # doctest: +SKIP
        True
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as error:
        logging.warning(
            "No warm-up requests are written, since tensorflow-serving-api cannot be imported "
            "(%s). pip install tensorflow-serving-api",
            error,
        )
        return False
    with files.atomic_write(pathlib.Path(folder) / EXTRA / REQUESTS) as temporary:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for signature, name, values in _requests(network, input_dtype):
                request = predict_pb2.PredictRequest()
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
                log = prediction_log_pb2.PredictLog(request=request)
                record = prediction_log_pb2.PredictionLog(predict_log=log)
                writer.write(record.SerializeToString(deterministic=True))
    return True


def _requests(network: TrainedNetwork, input_dtype: str):
    """Yields (signature, name of its input, values)."""
    side, _, _ = network.input_shape
    for count in BATCHES:
        pixels = _ramps(count, side).astype(input_dtype)
        yield "serving_default", "image", pixels
        yield "features", "image", pixels
        yield "image_bytes", "image_bytes", _encoded(count, network.plan.square_size)


def _encoded(count: int, size: int) -> list[bytes]:
    """JPEGs, which the decoder can reduce while it decodes, and PNGs, by turns."""
    images = _ramps(count, 2 * size)
    return [
        (tf.io.encode_png if number % 2 else tf.io.encode_jpeg)(image).numpy()
        for number, image in enumerate(images)
    ]


def _ramps(count: int, side: int) -> np.ndarray:
    """uint8 [count, side, side, 3]: from black to white, each beginning at another column."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    rows = [np.roll(ramp, number * side // count) for number in range(count)]
    return np.broadcast_to(np.stack(rows)[:, None, :, None], (count, side, side, 3))
