"""int8 TFLite files: calibration, quantization, and the layers kept in float."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError
from keras_alexnet.exporting.tflite_file import serialized
from keras_alexnet.networks.layers import (
    LocalResponseNormalization,
    SameMapNormalization,
    Standardize,
)
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import tensorflow_private

schema = tensorflow_private.tflite_schema()

# For FULLY_CONNECTED with int8 weights and float outputs: the first version whose inputs are
# quantized around a zero point, image by image, and the first TFLite that has it.
_HYBRID_VERSION, _HYBRID_RUNTIME = 9, "2.3.0"

# TFLite's own operator has the same last bit in every runtime; in sums and roots it differs, which
# takes numbers of the int8 layer behind it to the next of its 256 steps. Pixels are standardized in
# int8, with scales of their own for each operation.
AS_TRAINED = (LocalResponseNormalization, Standardize)


def check_calibration(
    calibration: np.ndarray | None, input_shape: tuple[int, int, int]
) -> np.ndarray:
    """Returns the images, if a network with that input can be calibrated with them.

    Raises:
        UsageError: if there are none, or they are not uint8 `[n, *input_shape]`.
    """
    if calibration is None or not len(calibration):
        raise UsageError(
            "int8 is calibrated with training images, but there are none. Pass --dataset and "
            "--data_dir (calibration=), or remove int8 from --quantization."
        )
    calibration = np.asarray(calibration)
    if calibration.shape[1:] != tuple(input_shape) or calibration.dtype != np.uint8:
        raise UsageError(
            f"The calibration images must be uint8 [n, {', '.join(map(str, input_shape))}]. "
            f"Received: {calibration.dtype} {list(calibration.shape)}."
        )
    return calibration


def layers_in_float(network: TrainedNetwork) -> list[str]:
    """Returns the names of the layers that an int8 file must compute in float.

    `SameMapNormalization` raises 1 + alpha * (a sum of squares) to a power; in 255 steps between
    the smallest and the largest, most values are the same number. In int8, a trained
    cuda_convnet_18pct ranks a different class first for 23 of 100 images. TFLite itself computes
    `LocalResponseNormalization` in float.
    """
    return [layer.name for layer in network.model.layers if isinstance(layer, SameMapNormalization)]


def quantized(
    converter: tf.lite.TFLiteConverter,
    input_dtype: str,
    calibration: np.ndarray,
    float_layers: Sequence[str] = (),
) -> bytes:
    """Returns an int8 file, quantized by the ranges that the float network computes.

    The last layer has int8 weights too, but float logits: in 255 steps between the smallest and
    the largest logit ever seen, the top two classes often share one (4 of 100 images of cifar_v3
    then change class). Probabilities are float as well: in steps of 1/256, most of them are 0.

    Args:
        converter: of a function of float32 `image`, whose outputs are `logits` and
            `probabilities`.
        input_dtype: "uint8" or "float32", the type of the file's pixels.
        calibration: uint8 `[n, H, W, 3]`.
        float_layers: names of layers to compute in float.
    """
    # With int8 builtins only, an operator that has no int8 kernel (LRN) would be an error.
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,
    ]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _samples(calibration)
    # convert() would also quantize the outputs; its last step accepts exceptions.
    calibrated = tensorflow_private.calibrate_tflite(converter)
    unquantized = schema.ModelT.InitFromPackedBuf(calibrated)
    contents = tensorflow_private.quantize_tflite(
        calibrated,
        input_data_type=tf.as_dtype(input_dtype),
        denylisted_ops={"SOFTMAX"},
        denylisted_nodes={
            _logits(unquantized).name.decode(),
            *_outputs_of_layers(unquantized, float_layers),
        },
    )
    model = schema.ModelT.InitFromPackedBuf(contents)
    _quantize_last_layer(model)
    return serialized(model)


def _samples(calibration: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    # The input's scale is the range of the images, divided by 255. One black and one white pixel
    # make it 1 and the zero point 0, whatever the images are, so that a uint8 pixel is its own
    # quantized value; two pixels with ordinary values change no other activation's range.
    first = np.array(calibration[0])
    first[0, 0], first[0, 1] = 0, 255
    for image in (first, *calibration[1:]):
        yield {"image": image[np.newaxis].astype(np.float32)}


def _outputs_of_layers(model: Any, layers: Sequence[str]) -> Iterator[str]:
    """Yields the names of the outputs of these layers: "network/layer/operation"."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        for name in (graph.tensors[index].name.decode() for index in operator.outputs):
            if any(re.search(rf"/{re.escape(layer)}(_\d+)?/", name) for layer in layers):
                yield name


def _logits(model: Any) -> Any:
    outputs = {output.name: output.tensorIndex for output in model.signatureDefs[0].outputs}
    return model.subgraphs[0].tensors[outputs[b"logits"]]


def _quantize_last_layer(model: Any) -> None:
    """Quantizes the weights of the dense layer that computes the logits, with one scale."""
    graph = model.subgraphs[0]
    last = next(
        operator
        for operator in graph.operators
        if graph.tensors[operator.outputs[0]] is _logits(model)
    )
    if model.operatorCodes[last.opcodeIndex].builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
        return  # build()'s networks all end in a dense layer; this one's last layer stays in float
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = _HYBRID_VERSION
    last.opcodeIndex = len(model.operatorCodes)
    model.operatorCodes.append(code)
    last.builtinOptions.asymmetricQuantizeInputs = True
    _require_runtime(model, _HYBRID_RUNTIME)

    weights = graph.tensors[last.inputs[1]]
    values = np.asarray(model.buffers[weights.buffer].data, np.uint8).view(np.float32)
    # A layer whose weights are all zero has no scale.
    scale = float(np.max(np.abs(values))) / 127 or 1.0
    model.buffers[weights.buffer].data = np.rint(values / scale).astype(np.int8).view(np.uint8)
    weights.type = schema.TensorType.INT8
    weights.quantization = schema.QuantizationParametersT()
    weights.quantization.scale = np.array([scale], np.float32)
    weights.quantization.zeroPoint = np.array([0], np.int64)


def _require_runtime(model: Any, version: str) -> None:
    """Raises the file's minimum runtime version to `version`, if it is older."""
    entry = next(entry for entry in model.metadata if entry.name == b"min_runtime_version")
    buffer = model.buffers[entry.buffer]
    named = bytes(buffer.data).rstrip(b"\0").decode()
    newest = max(named, version, key=lambda text: [int(part) for part in text.split(".")])
    buffer.data = np.frombuffer(newest.encode().ljust(16, b"\0"), np.uint8)
