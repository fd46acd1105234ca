"""The ONNX format: a file for ONNX Runtime and others, written by tf2onnx."""

import json
import os
from typing import TYPE_CHECKING, Any

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.exporting import formats
from keras_alexnet.utils import files, terminal

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_alexnet.trained import TrainedNetwork

OPSET = 18  # the newest that tf2onnx 1.17 writes


class OnnxFormat(formats.ExportFormat):
    """ONNX files."""

    name = "onnx"

    def check_installed(self) -> None:
        from keras_alexnet.runtimes.onnx_runtime import import_optional

        for package in ("onnx", "tf2onnx.convert", "onnxruntime"):
            import_optional(package)

    def write(self, output: formats.Output, job: formats.ExportJob) -> formats.ExportedModel:
        place = self.place(output, job)
        write(job.network, job.stage / place, job.config.input_dtype)
        return formats.FileModel(job.stage, place)


formats.register(OnnxFormat())


def write(network: "TrainedNetwork", path: str | os.PathLike, input_dtype: str = "uint8") -> None:
    """Writes a network as an ONNX file.

    Its input is `image`, RGB pixels 0–255 `[N, H, W, 3]` of the type `input_dtype`; its outputs
    are `logits` and `probabilities`, float32 `[N, classes]`. The network's description, with its
    labels and image plan, is the file's metadata entry `signature.json`.

    Args:
        network: the network.
        path: the file, which is written completely or not at all.
        input_dtype: "uint8" or "float32", the type of the pixels.

    Raises:
        UserError: if an optional package is missing, or tf2onnx cannot convert the network.

    Example:
        >>> write(network, "cifar_v2.onnx")  # doctest: +SKIP
    """
    from keras_alexnet.run_folder import DESCRIPTION
    from keras_alexnet.runtimes.onnx_runtime import import_optional

    onnx, converter = import_optional("onnx"), import_optional("tf2onnx.convert")
    try:
        model = _converted(network, input_dtype, converter)
        _set_kernels(model.graph, _dense_kernels(network), onnx)
        onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps(network.description())})
        onnx.checker.check_model(model)
    except Exception as error:  # Converters raise many kinds of errors.
        version = import_optional("tf2onnx").__version__
        raise UserError(
            f"tf2onnx {version} cannot convert {network.path} to ONNX: "
            f"{first_line(error)}. Export it as a SavedModel or for TFLite."
        ) from error
    with files.atomic_write(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _converted(network: "TrainedNetwork", input_dtype: str, converter: Any) -> Any:
    """Converts a network to an ONNX model that takes the kernels of dense layers as inputs.

    tf2onnx copies every constant dozens of times: 15 GB of memory for the 250 MB of `alexnet`.
    Dense kernels are almost all of that, and are the same in an ONNX graph.
    """
    import keras
    import tensorflow as tf

    from keras_alexnet.exporting import inference_layers, signatures

    pixels, kernels = signatures.pixels(network, input_dtype), _dense_kernels(network)

    def function(image: "tf.Tensor", *tensors: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        tensor_of = dict(zip(kernels, tensors, strict=True))
        given = [(kernel, tensor_of[name]) for name, kernel in kernels.items()]
        with keras.StatelessScope(state_mapping=given):
            return inference_layers.outputs(network.model, tf.cast(image, tf.float32))

    taken = [pixels, *(tf.TensorSpec(each.shape, name=name) for name, each in kernels.items())]
    traced = tf.function(function, input_signature=taken, autograph=False)
    with terminal.quiet():
        found, _ = converter.from_function(traced, input_signature=taken, opset=OPSET)
    return found


def _dense_kernels(network: "TrainedNetwork") -> dict[str, Any]:
    """Returns the variables of dense kernels by their names in the ONNX graph."""
    import keras

    return {
        f"{layer.name}_kernel": layer.kernel
        for layer in network.model.layers
        if isinstance(layer, keras.layers.Dense)
    }


def _set_kernels(graph: Any, kernels: dict[str, Any], onnx: Any) -> None:
    """Turns the inputs named in `kernels` into weights, and names the batch axis."""
    kept = [value for value in graph.input if value.name not in kernels]
    del graph.input[:]
    graph.input.extend(kept)
    for name, kernel in kernels.items():
        graph.initializer.append(onnx.numpy_helper.from_array(kernel.numpy(), name))
    for value in (*graph.input, *graph.output):  # tf2onnx gives it a different number each time
        value.type.tensor_type.shape.dim[0].dim_param = "N"
