"""TFLite (LiteRT) files of a network: float32, float16, dynamic range and int8."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from absl import logging
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize

from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.exporting import graphs, tflite_metadata
from keras_alexnet.exporting.networks import INPUT_DTYPES, Network

QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")

_BUILTIN = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # between int8 and float: they compute nothing


def convert(
    network: Network,
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
            weights, activations quantised as they come) or "int8" (weights and activations).
        input_dtype: "uint8" or "float32", of the pixels. An int8 file rounds float pixels to
            whole ones.
        calibration: images as the network gets them, uint8 [n, H, W, 3], from which int8 takes
            the ranges of the activations. A hundred will do: ranges only widen with more.

    Returns:
        The file's contents.

    Raises:
        UsageError: if the quantisation or the number type is unknown, or int8 is asked for
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
        _check_calibration(calibration, network)
    try:
        with _quiet():
            if quantization == "int8":
                contents = _quantized(network, input_dtype, calibration)
            else:
                contents = _converter(network, quantization, input_dtype).convert()
    except Exception as error:  # the converter raises many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"TensorFlow's converter cannot make a {quantization} TFLite file of builtin "
            f"operators from {network.variant}: {reason}"
        ) from error
    check_builtin(contents)
    return tflite_metadata.packed(contents, network, quantization, input_dtype)


def float_operators(contents: bytes) -> tuple[str, ...]:
    """The operators of a file that compute in float, each named once, in order.

    Operators that bring numbers from float to int8 and back are not counted. In an int8 file
    those remain that have no int8 kernel (LOCAL_RESPONSE_NORMALIZATION), and SOFTMAX, which is
    kept in float on purpose.
    """
    found = {}
    for name, outputs in _operators(contents):
        if schema.TensorType.FLOAT32 in outputs and name not in _CONVERSIONS:
            found[name] = None
    return tuple(found)


def check_builtin(contents: bytes) -> None:
    """Refuses a file with operators that plain TFLite interpreters lack.

    Raises:
        UserError: with the names of those operators.
    """
    model = schema.Model.GetRootAs(contents)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    foreign = [
        (code.CustomCode() or _name(code).encode()).decode()
        for code in codes
        if code.CustomCode() or _name(code) in ("CUSTOM", "DELEGATE")
    ]
    if foreign:
        raise UserError(
            "A TFLite file may have builtin operators alone, so that every interpreter runs it. "
            f"Received: {', '.join(foreign)}. Replace the layers that need them."
        )


def _name(code) -> str:
    # Operators from 127 on are beyond the older field's byte, which then holds 127.
    return _BUILTIN[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]


def _operators(contents: bytes) -> Iterator[tuple[str, list[int]]]:
    """Name and number types of the outputs of every operator."""
    model = schema.Model.GetRootAs(contents)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            outputs = [graph.Tensors(index).Type() for index in operator.OutputsAsNumpy()]
            yield _name(model.OperatorCodes(operator.OpcodeIndex())), outputs


def _check_calibration(calibration: np.ndarray | None, network: Network) -> None:
    if calibration is None or not len(calibration):
        raise UsageError(
            "int8 is calibrated on training images, and there are none. Pass --dataset and "
            "--data_dir (calibration=), or leave int8 out of --quantization."
        )
    wanted = ("n", *network.input_shape)
    shape, dtype = np.shape(calibration), np.asarray(calibration).dtype
    if shape[1:] != wanted[1:] or dtype != np.uint8:
        raise UsageError(
            f"The calibration images must be uint8 [{', '.join(map(str, wanted))}]. "
            f"Received: {dtype} {list(shape)}."
        )


class _Converted(tf.Module):
    """The signature and the weights, which the converter finds only as attributes."""

    def __init__(self, network: Network, input_dtype: str):
        super().__init__()
        self.weights = [weight.value for weight in network.model.weights]
        self.serving_default = tf.function(
            lambda image: graphs.probabilities(network, image),
            input_signature=[graphs.pixels(network, input_dtype)],
            autograph=False,
        )


def _converter(network: Network, quantization: str, input_dtype: str) -> tf.lite.TFLiteConverter:
    module = _Converted(network, input_dtype)
    function = module.serving_default.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantization != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter


def _quantized(network: Network, input_dtype: str, calibration: np.ndarray) -> bytes:
    """An int8 file: the float one is run on the images, then quantised by what was seen."""
    # The graph takes floats: the quantiser turns its input into the pixels' own type.
    converter = _converter(network, "int8", "float32")
    # Without the plain builtins, LRN, which has no int8 kernel, would be an error.
    converter.target_spec.supported_ops.insert(0, tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
    converter.representative_dataset = lambda: _samples(calibration)
    # convert() would quantise the softmax as well, in steps of 1/256: all but the likeliest
    # classes would be 0 and alike. Only the function behind it takes a list of exceptions;
    # tf.lite.experimental.QuantizationDebugger calls it the same way.
    converter._experimental_calibrate_only = True
    return mlir_quantize(
        converter.convert(), input_data_type=tf.as_dtype(input_dtype), denylisted_ops={"SOFTMAX"}
    )


def _samples(calibration: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    # The input's scale is what the images span, divided by 255. One black and one white pixel
    # make it 1 and the zero point 0 whatever the images are, so that a uint8 pixel is its own
    # quantised value; no other activation is changed by two pixels of values that pixels have.
    first = np.array(calibration[0])
    first[0, 0], first[0, 1] = 0, 255
    for image in (first, *calibration[1:]):
        yield {"image": image[np.newaxis].astype(np.float32)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the converter's notes, of Python and of C++, off the terminal; shows them on failure.

    Those of C++ go past Python's `sys.stderr` and past TF_CPP_MIN_LOG_LEVEL.
    """
    standard_error, verbosity = os.dup(2), logging.get_verbosity()
    with tempfile.TemporaryFile() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(said.fileno(), 2)
        logging.set_verbosity(logging.ERROR)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(standard_error, said.read())
            raise
        finally:
            logging.set_verbosity(verbosity)
            os.dup2(standard_error, 2)
            os.close(standard_error)
