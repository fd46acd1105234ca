"""ONNX: a network as a file that ONNX Runtime and others run, written by tf2onnx."""

import importlib
import json
import os
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.exporting import signatures
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files, terminal
from keras_alexnet.utils.arguments import whole_number

OPSET = 18  # the newest that tf2onnx 1.17 writes


OUTPUTS = ("logits", "probabilities")


_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


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
    onnx, converter = _optional("onnx"), _optional("tf2onnx")
    try:
        model = _converted(network, input_dtype, converter)
        _put_in(model.graph, _dense_kernels(network), onnx)
        onnx.helper.set_model_props(model, {DESCRIPTION: json.dumps(network.description())})
        onnx.checker.check_model(model)
    except Exception as error:  # Converters raise whatever the operation leads them to.
        raise UserError(
            f"tf2onnx {converter.__version__} cannot convert {network.path} to ONNX: "
            f"{_first_line(error)}. Export it as SavedModel or TFLite."
        ) from error
    with files.atomic_write(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def check_installed() -> None:
    """Raises the `UserError` of a package that is missing to write and to run ONNX files."""
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        _optional(package)


class OnnxModel:
    """An ONNX file that `write` made, run by ONNX Runtime on the CPU.

    Attributes:
        description: what `Network.description()` said when it was written; None if it says nothing.
        input_dtype: "uint8" or "float32", of the pixels that it takes.
        input_shape: (height, width, 3) of an image.
        runtime: the name and the version of what runs it.

    Args:
        path: the file.
        num_threads: of one call; by default ONNX Runtime's choice.

    Raises:
        UsageError: if `num_threads` is no number of threads.
        UserError: if onnxruntime is missing, there is no such file, it is damaged, or it takes and
            returns something else.

    Example:
        >>> model = OnnxModel("cifar_v2.onnx")  # doctest: +SKIP
        >>> model.run(np.zeros([2, 32, 32, 3], "uint8"))["logits"].shape  # doctest: +SKIP
        (2, 10)
    """

    def __init__(self, path: str | os.PathLike, num_threads: int | None = None):
        self._path = pathlib.Path(path)
        self._session = _session(self._path, num_threads)
        self._check_signature()
        [image] = self._session.get_inputs()
        self.input_dtype: str = _DTYPES[image.type]
        self.input_shape: tuple[int, int, int] = tuple(image.shape[1:])
        self.runtime = f"onnxruntime {_optional('onnxruntime').__version__}"

    @property
    def description(self) -> dict | None:
        said = self._session.get_modelmeta().custom_metadata_map.get(DESCRIPTION)
        return said and json.loads(said)

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Runs the network.

        Args:
            pixels: RGB 0–255, [N, H, W, 3] of the type `input_dtype`; uint8 will do for either.

        Returns:
            `logits` and `probabilities`, float32 [N, classes].

        Raises:
            UsageError: if the pixels are of another shape or type.
        """
        pixels = np.asarray(pixels)
        if pixels.dtype == np.uint8:
            pixels = pixels.astype(self.input_dtype)
        if pixels.shape[1:] != self.input_shape or pixels.dtype != self.input_dtype:
            wanted = ", ".join(str(size) for size in self.input_shape)
            raise UsageError(
                f"{self._path} takes pixels of shape [N, {wanted}] and type {self.input_dtype}. "
                f"Received: {list(pixels.shape)}, {pixels.dtype}."
            )
        return dict(zip(OUTPUTS, self._session.run(OUTPUTS, {"image": pixels}), strict=True))

    def seconds_per_call(self, repeats: int) -> list[float]:
        """Returns the seconds of each of `repeats` calls with one image."""
        pixels = np.random.default_rng(0).integers(0, 256, (1, *self.input_shape))
        fed = {"image": pixels.astype(self.input_dtype)}
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            self._session.run(OUTPUTS, fed)
            seconds.append(time.perf_counter() - started)
        return seconds

    def _check_signature(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        ours = len(inputs) == 1 and _takes_pixels(inputs[0])
        if not ours or not set(OUTPUTS) <= {each.name for each in outputs}:
            raise UserError(
                f"{self._path} is not a network that was exported here: that takes `image` "
                "[N, H, W, 3] and returns `logits` and `probabilities`. It takes "
                f"{_listed(inputs)} and returns {_listed(outputs)}."
            )


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


def _takes_pixels(image) -> bool:
    height, width, channels = image.shape[1:] if len(image.shape) == 4 else (None,) * 3
    known = isinstance(height, int) and isinstance(width, int) and channels == 3
    return known and image.name == "image" and image.type in _DTYPES


def _session(path: pathlib.Path, num_threads: int | None):
    runtime = _optional("onnxruntime")
    if not path.is_file():
        raise UserError(f"There is no ONNX file at {path}.")
    options = runtime.SessionOptions()
    if num_threads is not None:
        options.intra_op_num_threads = whole_number("num_threads", num_threads, least=1)
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for every kind of damage.
        raise UserError(
            f"{path} cannot be read as an ONNX file: {_first_line(error)}. Export it again."
        ) from error


def _optional(name: str):
    try:
        if name == "tf2onnx":
            importlib.import_module("tf2onnx.convert")
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {name}, which cannot be imported ({error}). "
            "pip install onnx onnxruntime tf2onnx"
        ) from error


def _listed(values) -> str:
    return ", ".join(f"{each.name} {each.shape} {each.type}" for each in values)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
