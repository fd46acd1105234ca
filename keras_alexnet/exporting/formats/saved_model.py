"""The SavedModel format: a folder for TF Serving with labels and warm-up requests."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING, Any

from keras_alexnet.exporting import formats
from keras_alexnet.utils import files, terminal

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_alexnet.exporting.config import ExportConfig
    from keras_alexnet.trained import TrainedNetwork

EXTRA = "assets.extra"

PRECISIONS = ("float32", "bfloat16")

# cifar_v2 agreed for 99.7 % of 1000 test images.
LEAST_BFLOAT16_AGREEMENT = 0.98

_MEANINGS = {
    "image": "RGB pixels 0–255",
    "image_bytes": "encoded JPEG or PNG files, gray, CMYK and alpha included, turned as EXIF says",
    "logits": "one number per class, in class order",
    "probabilities": "softmax of the logits",
    "classes": "labels of the likeliest classes, likeliest first",
    "scores": "probabilities of those classes",
    "features": "the last hidden layer, which feeds the classifier",
}


class SavedModelFormat(formats.ExportFormat):
    """SavedModels, each in a new folder named by its version, as TF Serving expects."""

    name = "saved_model"
    versioned = True

    def outputs(self, config: "ExportConfig") -> list[formats.Output]:
        if config.precision == "float32":
            return super().outputs(config)
        name = f"{self.name} {config.precision}"
        return [formats.Output(name, exact=False, least_agreement=LEAST_BFLOAT16_AGREEMENT)]

    def write(self, output: formats.Output, job: formats.ExportJob) -> formats.ExportedModel:
        from keras_alexnet.exporting import warmup

        place, precision = self.place(output, job), job.config.precision
        folder, input_dtype = job.stage / place, job.config.input_dtype
        write(job.network, folder, input_dtype, precision)
        warmed_up = warmup.write(folder, job.network, input_dtype)
        facts = {"warm_up_requests": warmed_up, "precision": precision}
        return ExportedSavedModel(job.stage, place, facts)

    def notes(self, facts: dict[str, Any]) -> list[str]:
        found = []
        if facts.get("precision") == "bfloat16":
            found.append("has weights in bfloat16 and computes in it, but for the classifier")
        if facts.get("warm_up_requests") is False:
            found.append("has no warm-up requests: tensorflow-serving-api was not installed")
        return found


formats.register(SavedModelFormat())


class ExportedSavedModel(formats.ExportedModel):
    """A written SavedModel, run by TensorFlow."""

    def __init__(self, stage: pathlib.Path, place: pathlib.PurePath, facts: dict[str, Any]):
        import tensorflow as tf

        super().__init__(stage, place)
        self.card_folder = self.path / EXTRA
        self.runtime = f"TensorFlow {tf.__version__}"
        self._facts = facts
        self._classify = tf.saved_model.load(str(self.path)).signatures["serving_default"]

    def logits(self, pixels: "np.ndarray") -> "np.ndarray":
        import tensorflow as tf

        return self._classify(image=tf.constant(pixels))["logits"].numpy()

    def timer(self, threads: int) -> contextlib.AbstractContextManager:
        from keras_alexnet.exporting import latency

        return latency.saved_model_timer(self.path, threads)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), **self._facts}


def _in_precision(network: "TrainedNetwork", precision: str) -> "TrainedNetwork":
    if precision == "float32":
        return network
    from keras_alexnet.distributed.precision import warn_if_slow
    from keras_alexnet.networks import policies

    warn_if_slow(precision)
    return dataclasses.replace(network, model=policies.in_policy(network.model, precision))


def write(
    network: "TrainedNetwork",
    folder: str | os.PathLike,
    input_dtype: str = "uint8",
    precision: str = "float32",
) -> None:
    """Writes a SavedModel with its labels and its `signature.json` to a new folder.

    Args:
        network: the network.
        folder: a folder that does not exist yet.
        input_dtype: "uint8" or "float32", the type of the pixels in `image`.
        precision: "float32" or "bfloat16", what it computes in.

    Example:
        >>> write(network, "saved_models/mine/1")  # doctest: +SKIP
    """
    import tensorflow as tf

    from keras_alexnet import run_folder
    from keras_alexnet.exporting import signatures

    folder, network = pathlib.Path(folder), _in_precision(network, precision)
    with tempfile.TemporaryDirectory() as temporary:
        labels = pathlib.Path(temporary) / run_folder.LABELS
        labels.write_text("".join(f"{name}\n" for name in network.labels), encoding="utf-8")
        module = _module(network, str(labels))
        functions = signatures.signatures(network, input_dtype)
        with terminal.quiet():
            tf.saved_model.save(module, str(folder), signatures=functions)
    described = {name: _described(function) for name, function in functions.items()}
    files.write_json(
        folder / EXTRA / run_folder.DESCRIPTION,
        {**network.description(), "signatures": described},
    )


def tensor_names(folder: str | os.PathLike, signature: str = "serving_default") -> dict[str, str]:
    """Returns the tensors of a signature's inputs and outputs, for loaders that know the graph.

    Args:
        folder: the SavedModel's folder.
        signature: one of its signatures.

    Example:
        >>> tensor_names("saved_models/mine/1")["image"]  # doctest: +SKIP
        'serving_default_image:0'
    """
    from tensorflow.core.protobuf import saved_model_pb2

    contents = pathlib.Path(folder, "saved_model.pb").read_bytes()
    [graph] = saved_model_pb2.SavedModel.FromString(contents).meta_graphs
    declared = graph.signature_def[signature]
    tensors = {**declared.inputs, **declared.outputs}
    return {name: tensor.name for name, tensor in tensors.items()}


def _module(network: "TrainedNetwork", labels_file: str) -> "tf.Module":
    """Returns what is saved: each variable once, whereas Keras's exporter writes it twice.

    In addition to the signatures, it has `logits`, a function of pixels of either number type,
    which `keras.layers.TFSMLayer` calls.
    """
    import tensorflow as tf

    from keras_alexnet.exporting import signatures

    module = tf.Module()
    # Only weights: the states of Dropout are variables too, but only for training.
    module.weights = {
        f"{layer.name}_{weight.name}": weight.value
        for layer in network.model.layers
        for weight in layer.weights
    }
    module.labels_file = tf.saved_model.Asset(labels_file)
    module.logits = tf.function(
        lambda image: signatures.probabilities(network, image)["logits"], autograph=False
    )
    for dtype in ("uint8", "float32"):
        module.logits.get_concrete_function(signatures.pixels(network, dtype))
    return module


def _described(function: Any) -> dict[str, Any]:
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in concrete.structured_input_signature[0]}
    outputs = concrete.structured_outputs
    return {
        "inputs": {name: _tensor(name, spec) for name, spec in inputs.items()},
        "outputs": {name: _tensor(name, spec) for name, spec in outputs.items()},
    }


def _tensor(name: str, spec: Any) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": list(spec.shape), "meaning": _MEANINGS[name]}
