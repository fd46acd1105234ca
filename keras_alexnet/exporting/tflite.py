"""Writes TFLite files: float32, float16, dynamic range, int8."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.exporting import signatures, tflite_metadata
from keras_alexnet.exporting.config import INPUT_DTYPES, QUANTIZATIONS
from keras_alexnet.exporting.tflite_file import (
    check_builtin,
    check_signature,
    no_signature,
    serialized,
)
from keras_alexnet.networks.layers import SameMapNormalization
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import tensorflow_private, terminal

schema = tensorflow_private.tflite_schema()


def convert(
    network: TrainedNetwork,
    quantization: str,
    *,
    input_dtype: str = "uint8",
    calibration: np.ndarray | None = None,
) -> bytes:
    """Converts a network to a TFLite file with one signature, `serving_default`.

    Its input is `image`, pixels 0–255 [N, H, W, 3], N free; its outputs are `logits` and
    `probabilities`, float32 [N, classes]. The file describes itself: see `tflite_metadata`.

    Args:
        network: what is exported.
        quantization: "float32"; "float16" (of the weights, computed in float32); "dynamic" (int8
            weights, activations quantized as they come) or "int8" (weights and activations; the
            logits are float).
        input_dtype: "uint8" or "float32", of the pixels. An int8 file rounds float pixels to
            whole ones.
        calibration: images as the network gets them, uint8 [n, H, W, 3], from which int8 takes
            the ranges of the activations. A hundred will do: ranges only widen with more.

    Returns:
        The file's contents.

    Raises:
        UsageError: if the quantization or the number type is unknown, or int8 is asked for
            without images, or with images of another size or type.
        UserError: if the network cannot be converted to TFLite's builtin operators.

    Example:
        >>> network = networks.load("runs/cifar_v2")  # doctest: +SKIP
        >>> contents = convert(network, "float16")  # doctest: +SKIP
    """
    if quantization not in QUANTIZATIONS:
        raise unknown_name("quantization", quantization, QUANTIZATIONS)
    if input_dtype not in INPUT_DTYPES:
        raise unknown_name("input_dtype", input_dtype, INPUT_DTYPES)
    if quantization == "int8":
        check_calibration(calibration, network.input_shape)
    try:
        with terminal.quiet():
            contents = _converted(network, quantization, input_dtype, calibration)
    except UserError:
        raise
    except Exception as error:  # the converter raises many kinds
        if "Signature" in str(error):  # what int8's calibration makes of a file without one
            raise no_signature() from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"TensorFlow's converter cannot make a {quantization} TFLite file of builtin "
            f"operators from {network.variant}: {reason}"
        ) from error
    check_builtin(contents)
    return tflite_metadata.packed(contents, network, quantization, input_dtype)


def _converted(
    network: TrainedNetwork, quantization: str, input_dtype: str, calibration: np.ndarray | None
) -> bytes:
    if quantization == "int8":
        # The graph takes floats: the quantizer gives its input the pixels' own type.
        return quantized(
            _converter(network, "float32"), input_dtype, calibration, _too_fine_for_int8(network)
        )
    converter = _converter(network, input_dtype)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantization != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    contents = converter.convert()
    check_signature(contents)
    return contents


def _too_fine_for_int8(network: TrainedNetwork) -> list[str]:
    # 1 + alpha * a sum of squares, to a power: in 255 steps between the least and the largest, most
    # of it is the same number (trained, cuda_convnet_18pct then names another class for 23 of 100
    # images). TFLite computes LocalResponseNormalization in float of itself.
    return [layer.name for layer in network.model.layers if isinstance(layer, SameMapNormalization)]


def _converter(network: TrainedNetwork, input_dtype: str) -> tf.lite.TFLiteConverter:
    module = _Module(network, input_dtype)
    function = module.serving_default.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module)


class _Module(tf.Module):
    """The signature, with the weights as attributes: the converter freezes no others."""

    def __init__(self, network: TrainedNetwork, input_dtype: str):
        super().__init__()
        self.weights = [weight.value for weight in network.model.weights]
        self.serving_default = tf.function(
            lambda image: signatures.probabilities(network, image),
            input_signature=[signatures.pixels(network, input_dtype)],
            autograph=False,
        )


# Of FULLY_CONNECTED with int8 weights and float outputs: the first version whose inputs are
# quantized about a zero point, image by image, and the first TFLite that has it.
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
    """An int8 file: the float network is run on the images, then quantized by what was seen.

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
    # convert() would quantize logits and probabilities as well: logits in 255 steps between the
    # least and the largest ever seen, of which the top two classes often share one (4 of 100
    # images of cifar_v3 then change class), and probabilities in steps of 1/256, so that all
    # classes but the likeliest are 0. Only the function that convert() calls takes exceptions;
    # tf.lite.experimental.QuantizationDebugger, too, calls it for them.
    converter._experimental_calibrate_only = True
    calibrated = converter.convert()
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
    # The input's scale is what the images span, divided by 255. One black and one white pixel
    # make it 1 and the zero point 0 whatever the images are, so that a uint8 pixel is its own
    # quantized value; two pixels of values that pixels have change no other activation's range.
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
