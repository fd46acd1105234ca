"""The TFLite format: files for LiteRT in float32, float16, dynamic range and int8."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_alexnet.errors import UserError, first_line, unknown_name
from keras_alexnet.exporting import formats
from keras_alexnet.utils import terminal

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_alexnet.exporting.config import ExportConfig
    from keras_alexnet.trained import TrainedNetwork

QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")

LEAST_INT8_AGREEMENT = 0.98


class TFLiteFormat(formats.ExportFormat):
    """TFLite files, one for each quantization."""

    name = "tflite"

    def outputs(self, config: "ExportConfig") -> list[formats.Output]:
        return [
            formats.Output(
                f"{self.name} {quantization}",
                exact=quantization == "float32",
                calibrated=quantization == "int8",
                least_agreement=LEAST_INT8_AGREEMENT if quantization == "int8" else None,
            )
            for quantization in dict.fromkeys(config.quantization)
        ]

    def write(self, output: formats.Output, job: formats.ExportJob) -> formats.ExportedModel:
        return self.write_file(output, job)

    def quantization(self, output: formats.Output) -> str:
        """Returns how an output's file is quantized."""
        return output.name.removeprefix(f"{self.name} ")

    def write_file(
        self, output: formats.Output, job: formats.ExportJob, layers: Sequence[str] = ()
    ) -> formats.FileModel:
        """Writes a file, which also puts out what the `layers` do, to the place of the output."""
        from keras_alexnet.exporting import tflite_file

        quantization, place = self.quantization(output), self.place(output, job)
        contents = convert(
            job.network,
            quantization,
            input_dtype=job.config.input_dtype,
            calibration=job.calibration,
            layers=layers,
        )
        path = job.stage / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(contents)
        facts = {}
        if quantization == "int8":
            facts["float_operators"] = list(tflite_file.float_operators(contents))
        return formats.FileModel(job.stage, place, facts)

    def notes(self, facts: dict[str, Any]) -> list[str]:
        operators = facts.get("float_operators")
        return [f"computes in float: {', '.join(operators)}"] if operators else []


formats.register(TFLiteFormat())


def convert(
    network: "TrainedNetwork",
    quantization: str,
    *,
    input_dtype: str = "uint8",
    calibration: "np.ndarray | None" = None,
    layers: Sequence[str] = (),
) -> bytes:
    """Converts a network to a TFLite file with one signature, `serving_default`.

    Its input is `image`, pixels 0–255 `[N, H, W, 3]`, with N free; its outputs are `logits` and
    `probabilities`, float32 `[N, classes]`. The file describes itself: see `tflite_metadata`.

    Args:
        network: the network.
        quantization: "float32"; "float16", with float16 weights and computation in float32;
            "dynamic", with int8 weights and activations quantized at run time; or "int8", with int8
            weights and activations and float logits.
        input_dtype: "uint8" or "float32", the type of the pixels. An int8 file rounds float pixels
            to integers.
        calibration: inputs of the network, uint8 `[n, H, W, 3]`, from which int8 takes the ranges
            of the activations. A hundred are enough: more images only widen the ranges.
        layers: names of layers whose outputs are outputs of the file, too, by the same names.

    Returns:
        The file's contents.

    Raises:
        UsageError: if the quantization or the number type is unknown, or int8 is requested without
            images or with images of the wrong size or type.
        UserError: if the network cannot be converted to TFLite's builtin operators, or a weight is
            beyond float16's range.

    Example:
        >>> network = keras_alexnet.load("runs/cifar_v2")  # doctest: +SKIP
        >>> contents = convert(network, "float16")  # doctest: +SKIP
    """
    from keras_alexnet.exporting import tflite_file, tflite_int8, tflite_metadata
    from keras_alexnet.runtimes import INPUT_DTYPES

    if quantization not in QUANTIZATIONS:
        raise unknown_name("quantization", quantization, QUANTIZATIONS)
    if input_dtype not in INPUT_DTYPES:
        raise unknown_name("input_dtype", input_dtype, INPUT_DTYPES)
    if quantization == "int8":
        calibration = tflite_int8.check_calibration(calibration, network.input_shape)
    if quantization == "float16":
        _check_range(network)
    try:
        with terminal.quiet():
            contents = _converted(network, quantization, input_dtype, calibration, layers)
    except UserError:
        raise
    except Exception as error:  # The converter raises many kinds of errors.
        if "Signature" in str(error):  # int8's calibration reports a missing signature
            raise tflite_file.no_signature() from error
        raise UserError(
            f"TensorFlow's converter cannot make a {quantization} TFLite file of builtin "
            f"operators from {network.variant}: {first_line(error)}"
        ) from error
    tflite_file.check_builtin(contents)
    return tflite_metadata.packed(contents, network, quantization, input_dtype)


def _check_range(network: "TrainedNetwork") -> None:
    """The converter would clip larger weights to the largest number of float16, silently."""
    import numpy as np

    largest = float(np.finfo(np.float16).max)
    beyond = [
        f"{weight.path} ({np.abs(values).max():g})"
        for weight in network.model.weights
        if np.abs(values := np.asarray(weight)).max(initial=0) > largest
    ]
    if beyond:
        raise UserError(
            f"float16 holds numbers up to {largest:g}, and these weights are larger: "
            f"{', '.join(beyond)}. Remove float16 from --quantization."
        )


def _converted(
    network: "TrainedNetwork",
    quantization: str,
    input_dtype: str,
    calibration: "np.ndarray | None",
    layers: Sequence[str],
) -> bytes:
    import tensorflow as tf

    from keras_alexnet.exporting import tflite_file, tflite_int8

    if quantization == "int8":
        assert calibration is not None
        # The graph takes floats; the quantizer gives its input the type of the pixels.
        converter = _converter(network, "float32", layers, tflite_int8.AS_TRAINED)
        float_layers = tflite_int8.layers_in_float(network)
        return tflite_int8.quantized(converter, input_dtype, calibration, float_layers)
    converter = _converter(network, input_dtype, layers)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantization != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    contents = converter.convert()
    tflite_file.check_signature(contents)
    return contents


def _converter(
    network: "TrainedNetwork",
    input_dtype: str,
    layers: Sequence[str],
    as_trained: tuple[type, ...] = (),
) -> "tf.lite.TFLiteConverter":
    import tensorflow as tf

    from keras_alexnet.exporting import inference_layers, signatures

    def serving_default(image: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        pixels = tf.cast(image, tf.float32)
        return inference_layers.outputs(network.model, pixels, layers, as_trained)

    # The weights are attributes of the module, because the converter freezes only those.
    module = tf.Module()
    module.weights = [weight.value for weight in network.model.weights]
    module.serving_default = tf.function(
        serving_default,
        input_signature=[signatures.pixels(network, input_dtype)],
        autograph=False,
    )
    function = module.serving_default.get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([function], module)
