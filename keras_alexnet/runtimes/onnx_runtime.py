"""ONNX files, run by ONNX Runtime on the CPU."""

import importlib
import os
import types
from typing import Any

import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.runtimes import onnx_weights
from keras_alexnet.runtimes.exported_file import INPUT, OUTPUTS, ExportedFile
from keras_alexnet.utils import finite, json_files

_DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxModel(ExportedFile):
    """An ONNX file that `export` wrote, run by ONNX Runtime on the CPU.

    Arguments, attributes and errors are those of `ExportedFile`.

    Example:
        >>> model = OnnxModel("saved_models/mine/onnx/cifar_v2.onnx")  # doctest: +SKIP
        >>> model.run(np.zeros([2, 32, 32, 3], "uint8"))["logits"].shape  # doctest: +SKIP
        (2, 10)
    """

    article, kind = "an", "ONNX"

    def _open(self, file: str | os.PathLike | bytes, num_threads: int | None) -> None:
        runtime = import_optional("onnxruntime")
        options = runtime.SessionOptions()
        if num_threads is not None:
            options.intra_op_num_threads = num_threads
        # Before the runtime opens it, which would open the files that a foreign one names.
        finite.check_weights(self.name, onnx_weights.floats(file))
        self._session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        sizes = {each.name: each.shape[-1] for each in outputs if len(each.shape) == 2}
        gives_logits = set(OUTPUTS) <= set(sizes) and isinstance(sizes["logits"], int)
        if len(inputs) != 1 or not _takes_pixels(inputs[0]) or not gives_logits:
            raise self._foreign(f"the inputs {_listed(inputs)}, the outputs {_listed(outputs)}")
        [image] = inputs
        self.input_dtype = _DTYPES[image.type]
        self.input_shape = (image.shape[1], image.shape[2], 3)
        self.num_classes = sizes["logits"]
        self.runtime = f"onnxruntime {runtime.__version__}"
        self.description = self._read_description()

    def _read_description(self) -> dict[str, Any] | None:
        text = self._session.get_modelmeta().custom_metadata_map.get(DESCRIPTION)
        if not text:
            return None
        name = f"The {DESCRIPTION} in {self.name}"
        return json_files.parsed(text, dict, name, "Copy or export it again.")

    def _call(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(OUTPUTS, self._session.run(OUTPUTS, {INPUT: pixels}), strict=True))


def import_optional(name: str) -> types.ModuleType:
    """Imports a module of a package that ONNX needs.

    Raises:
        UserError: it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"ONNX needs the package {name.partition('.')[0]}, which cannot be imported "
            f'({error}). pip install -e ".[onnx]" installs it.'
        ) from error


def _takes_pixels(image: Any) -> bool:
    height, width, channels = image.shape[1:] if len(image.shape) == 4 else (None,) * 3
    fixed = isinstance(height, int) and isinstance(width, int) and channels == 3
    return fixed and image.name == INPUT and image.type in _DTYPES


def _listed(tensors: Any) -> str:
    return ", ".join(f"{each.name} {each.type} {each.shape}" for each in tensors)
