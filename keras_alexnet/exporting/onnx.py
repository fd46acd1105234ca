"""ONNX: a network as a file that ONNX Runtime and others run, written by tf2onnx."""

import json
import os

import keras
import tensorflow as tf

from keras_alexnet.errors import UserError
from keras_alexnet.exporting import signatures
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.runtimes.onnx_runtime import first_line, optional
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, terminal

OPSET = 18  # the newest that tf2onnx 1.17 writes


def write(network: TrainedNetwork, path: str | os.PathLike, input_dtype: str = "uint8") -> None:
    """Writes a network as an ONNX file.

    Its input is `image`, RGB pixels 0–255 [N, H, W, 3] of the type `input_dtype`; its outputs are
    `logits` and `probabilities`, float32 [N, classes]. The network's description, with its labels
    and image plan, is the file's metadata entry `signature.json`.

    Args:
        network: what is exported.
        path: the file, which is written whole or not at all.
        input_dtype: "uint8" or "float32", of the pixels.

    Raises:
        UserError: if an optional package is missing, or tf2onnx cannot convert the network.

    Example:
        >>> write(network, "cifar_v2.onnx")  # doctest: +SKIP
    """
    onnx, converter = optional("onnx"), optional("tf2onnx")
    try:
        model = _converted(network, input_dtype, converter)
        _put_in(model.graph, _dense_kernels(network), onnx)
        onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps(network.description())})
        onnx.checker.check_model(model)
    except Exception as error:  # Converters raise whatever the operation leads them to.
        raise UserError(
            f"tf2onnx {converter.__version__} cannot convert {network.path} to ONNX: "
            f"{first_line(error)}. Export it as SavedModel or TFLite."
        ) from error
    with files.atomic_write(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def check_installed() -> None:
    """Raises the `UserError` of a package that is missing to write and to run ONNX files."""
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        optional(package)


def _converted(network: TrainedNetwork, input_dtype: str, converter):
    """The network as an ONNX model that has the kernels of dense layers as further inputs.

    tf2onnx copies every constant dozens of times: 15 GB of memory for the 250 MB of `alexnet`.
    Dense kernels are nearly all of that, and stand in an ONNX graph as they are.
    """
    pixels, kernels = signatures.pixels(network, input_dtype), _dense_kernels(network)
    model, given = network.model, {id(kernel): name for name, kernel in kernels.items()}

    def function(image, *tensors):
        tensors = dict(zip(kernels, tensors, strict=True))
        values = [
            [tensors[given[id(each)]] if id(each) in given else each.value for each in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        logits, _ = model.stateless_call(*values, tf.cast(image, tf.float32), training=False)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    taken = [pixels, *(tf.TensorSpec(each.shape, name=name) for name, each in kernels.items())]
    traced = tf.function(function, input_signature=taken, autograph=False)
    with terminal.quiet():
        found, _ = converter.convert.from_function(traced, input_signature=taken, opset=OPSET)
    return found


def _dense_kernels(network: TrainedNetwork) -> dict:
    """Name in the ONNX graph → variable."""
    return {
        f"{layer.name}_kernel": layer.kernel
        for layer in network.model.layers
        if isinstance(layer, keras.layers.Dense)
    }


def _put_in(graph, kernels: dict, onnx) -> None:
    """Turns the inputs named in `kernels` into weights, and names the free size of the batch."""
    kept = [value for value in graph.input if value.name not in kernels]
    del graph.input[:]
    graph.input.extend(kept)
    for name, kernel in kernels.items():
        graph.initializer.append(onnx.numpy_helper.from_array(kernel.numpy(), name))
    for value in (*graph.input, *graph.output):  # tf2onnx numbers it, another number each time
        value.type.tensor_type.shape.dim[0].dim_param = "N"
