"""Networks quantised to int8 by what their activations are on calibration images."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from keras_alexnet.errors import UsageError
from keras_alexnet.exporting.tflite_flatbuffer import serialized

# Of FULLY_CONNECTED with int8 weights and float outputs: the first version whose inputs are
# quantised about a zero point, image by image, and the first TFLite that has it.
_HYBRID_VERSION, _HYBRID_RUNTIME = 9, "2.3.0"


def check_calibration(calibration: np.ndarray | None, input_shape: tuple[int, int, int]) -> None:
    """Refuses images that a network of that input cannot be calibrated on.

    Raises:
        UsageError: if there are none, or they are not uint8 [n, *input_shape].
    """
    if calibration is None or not len(calibration):
        raise UsageError(
            "int8 is calibrated on training images, and there are none. Pass --dataset and "
            "--data_dir (calibration=), or leave int8 out of --quantization."
        )
    calibration = np.asarray(calibration)
    if calibration.shape[1:] != tuple(input_shape) or calibration.dtype != np.uint8:
        raise UsageError(
            f"The calibration images must be uint8 [n, {', '.join(map(str, input_shape))}]. "
            f"Received: {calibration.dtype} {list(calibration.shape)}."
        )


def quantized(
    converter: tf.lite.TFLiteConverter,
    input_dtype: str,
    calibration: np.ndarray,
    float_layers: Sequence[str] = (),
) -> bytes:
    """An int8 file: the float network is run on the images, then quantised by what was seen.

    The last layer, too, has int8 weights, but gives float logits.

    Args:
        converter: of a function of float32 `image`, whose outputs are `logits` and
            `probabilities`.
        input_dtype: "uint8" or "float32", of the file's pixels.
        calibration: uint8 [n, H, W, 3].
        float_layers: names of layers that are to be computed in float.
    """
    # With int8 builtins alone, an operator that has no int8 kernel (LRN) would be an error.
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,
    ]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _samples(calibration)
    # convert() would quantise logits and probabilities as well: logits in 255 steps between the
    # least and the largest ever seen, of which the top two classes often share one (4 of 100
    # images of cifar_v3 then change class), and probabilities in steps of 1/256, so that all
    # classes but the likeliest are 0. Only the function that convert() calls takes exceptions;
    # tf.lite.experimental.QuantizationDebugger, too, calls it for them.
    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
    unquantised = schema.ModelT.InitFromPackedBuf(calibrated)
    contents = mlir_quantize(
        calibrated,
        input_data_type=tf.as_dtype(input_dtype),
        denylisted_ops={"SOFTMAX"},
        denylisted_nodes={
            _logits(unquantised).name.decode(),
            *_outputs_of_layers(unquantised, float_layers),
        },
    )
    model = schema.ModelT.InitFromPackedBuf(contents)
    _quantize_last_layer(model)
    return serialized(model)


def _samples(calibration: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    # The input's scale is what the images span, divided by 255. One black and one white pixel
    # make it 1 and the zero point 0 whatever the images are, so that a uint8 pixel is its own
    # quantised value; two pixels of values that pixels have change no other activation's range.
    first = np.array(calibration[0])
    first[0, 0], first[0, 1] = 0, 255
    for image in (first, *calibration[1:]):
        yield {"image": image[np.newaxis].astype(np.float32)}


def _outputs_of_layers(model: schema.ModelT, layers: Sequence[str]) -> Iterator[str]:
    """Names of what the operators of those layers give: "network/layer/operation"."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        for name in (graph.tensors[index].name.decode() for index in operator.outputs):
            if any(re.search(rf"/{re.escape(layer)}(_\d+)?/", name) for layer in layers):
                yield name


def _logits(model: schema.ModelT) -> schema.TensorT:
    outputs = {output.name: output.tensorIndex for output in model.signatureDefs[0].outputs}
    return model.subgraphs[0].tensors[outputs[b"logits"]]


def _quantize_last_layer(model: schema.ModelT) -> None:
    """Brings the weights of the dense layer behind the float logits to int8, one scale for all."""
    graph = model.subgraphs[0]
    last = next(
        operator
        for operator in graph.operators
        if graph.tensors[operator.outputs[0]] is _logits(model)
    )
    if model.operatorCodes[last.opcodeIndex].builtinCode != schema.BuiltinOperator.FULLY_CONNECTED:
        return  # not one of build()'s, which all end in a dense layer: this one stays in float
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = _HYBRID_VERSION
    last.opcodeIndex = len(model.operatorCodes)
    model.operatorCodes.append(code)
    last.builtinOptions.asymmetricQuantizeInputs = True
    _require_runtime(model, _HYBRID_RUNTIME)

    weights = graph.tensors[last.inputs[1]]
    values = np.asarray(model.buffers[weights.buffer].data, np.uint8).view(np.float32)
    # A layer of zeros has no scale of its own.
    scale = float(np.max(np.abs(values))) / 127 or 1.0
    model.buffers[weights.buffer].data = np.rint(values / scale).astype(np.int8).view(np.uint8)
    weights.type = schema.TensorType.INT8
    weights.quantization = schema.QuantizationParametersT()
    weights.quantization.scale = np.array([scale], np.float32)
    weights.quantization.zeroPoint = np.array([0], np.int64)


def _require_runtime(model: schema.ModelT, least: str) -> None:
    entry = next(entry for entry in model.metadata if entry.name == b"min_runtime_version")
    buffer = model.buffers[entry.buffer]
    noted = bytes(buffer.data).rstrip(b"\0").decode()
    newest = max(noted, least, key=lambda version: [int(part) for part in version.split(".")])
    buffer.data = np.frombuffer(newest.encode().ljust(16, b"\0"), np.uint8)
