"""TFLite (LiteRT) files of a network: float32, float16, dynamic range and int8."""

import numpy as np
import tensorflow as tf

from keras_alexnet import quiet
from keras_alexnet.errors import UserError, unknown_name
from keras_alexnet.exporting import graphs, tflite_int8, tflite_metadata
from keras_alexnet.exporting.networks import INPUT_DTYPES, Network
from keras_alexnet.exporting.tflite_flatbuffer import (
    check_builtin,
    check_signature,
    float_operators,
    no_signature,
)
from keras_alexnet.program_layers import SameMapNormalization

__all__ = ["QUANTIZATIONS", "convert", "float_operators"]

QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")


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
            weights, activations quantised as they come) or "int8" (weights and activations; the
            logits are float).
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
        tflite_int8.check_calibration(calibration, network.input_shape)
    try:
        with quiet.quiet():
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
    network: Network, quantization: str, input_dtype: str, calibration: np.ndarray | None
) -> bytes:
    if quantization == "int8":
        # The graph takes floats: the quantiser gives its input the pixels' own type.
        return tflite_int8.quantized(
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


def _too_fine_for_int8(network: Network) -> list[str]:
    # 1 + alpha * a sum of squares, to a power: in 255 steps between the least and the largest, most
    # of it is the same number (trained, cuda_convnet_18pct then names another class for 23 of 100
    # images). TFLite computes LocalResponseNormalization in float of itself.
    return [layer.name for layer in network.model.layers if isinstance(layer, SameMapNormalization)]


def _converter(network: Network, input_dtype: str) -> tf.lite.TFLiteConverter:
    module = _Module(network, input_dtype)
    function = module.serving_default.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module)


class _Module(tf.Module):
    """The signature, with the weights as attributes: the converter freezes no others."""

    def __init__(self, network: Network, input_dtype: str):
        super().__init__()
        self.weights = [weight.value for weight in network.model.weights]
        self.serving_default = tf.function(
            lambda image: graphs.probabilities(network, image),
            input_signature=[graphs.pixels(network, input_dtype)],
            autograph=False,
        )
