"""TFLite files, run by LiteRT or by TensorFlow's own interpreter."""

import importlib.metadata
import io
import os
import zipfile
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.runtimes import INPUT_DTYPES, tflite_weights
from keras_alexnet.runtimes.exported_file import INPUT, OUTPUTS, ExportedFile
from keras_alexnet.utils import finite, json_files, terminal

SIGNATURE = "serving_default"
METADATA = "TFLITE_METADATA"  # the standard's name of the buffer that lists the files inside


class LiteModel(ExportedFile):
    """A TFLite file that `export` wrote, run by LiteRT.

    Arguments, attributes and errors are those of `ExportedFile`.

    Example:
        >>> model = LiteModel("saved_models/mine/tflite/cifar_v2_int8.tflite")  # doctest: +SKIP
        >>> model.run(np.zeros([5, 32, 32, 3], "uint8"))["logits"].shape  # doctest: +SKIP
        (5, 10)
    """

    article, kind = "a", "TFLite"

    def _open(self, file: str | os.PathLike | bytes, num_threads: int | None) -> None:
        interpreter, self.runtime = _runtime()
        source: dict[str, Any] = {"model_content": file}
        if not isinstance(file, bytes):
            source = {"model_path": os.fspath(file)}
        try:
            # tf.lite warns that it will be removed; `_runtime` has already said so.
            with terminal.quiet(shown_on_failure=False):
                opened = interpreter(**source, num_threads=num_threads)
                opened.allocate_tensors()
        except (RuntimeError, ValueError):
            self._check_weights_of_damaged(file)
            raise
        self._runner = self._checked_runner(opened)
        image = self._runner.get_input_details()[INPUT]
        self.input_dtype = np.dtype(image["dtype"]).name
        self.input_shape = (int(image["shape"][1]), int(image["shape"][2]), 3)
        self.num_classes = int(self._runner.get_output_details()["logits"]["shape"][-1])
        self.description = read_description(file)
        finite.check_weights(self.name, tflite_weights.floats(file))

    def _check_weights_of_damaged(self, file: str | os.PathLike | bytes) -> None:
        """Names weights that are not finite, of a file that the runtime refuses in other words."""
        try:
            finite.check_weights(self.name, tflite_weights.floats(file))
        except UserError:
            raise
        except Exception:  # Damaged offsets raise many kinds of errors, which the runtime explains.
            logging.debug("The weights of %s cannot be read.", self.name)

    def _checked_runner(self, interpreter: Any) -> Any:
        """Returns the signature's runner, if the file classifies images as our exports do."""
        signatures = interpreter.get_signature_list()
        names = signatures.get(SIGNATURE, {"inputs": [], "outputs": []})
        if list(names["inputs"]) == [INPUT] and set(names["outputs"]) >= set(OUTPUTS):
            runner = interpreter.get_signature_runner(SIGNATURE)
            image = runner.get_input_details()[INPUT]
            dtype, shape = np.dtype(image["dtype"]).name, image["shape"]
            if len(shape) == 4 and shape[-1] == 3 and dtype in INPUT_DTYPES:
                return runner
        inputs = ", ".join(
            f"{each['name']} {np.dtype(each['dtype']).name} {[int(size) for size in each['shape']]}"
            for each in interpreter.get_input_details()
        )
        raise self._foreign(f"the signatures {signatures or '(none)'}, the inputs {inputs}")

    def _call(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return self._runner(image=pixels)


def _runtime() -> tuple[Any, str]:
    """Returns the class of interpreters, and its name and version."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        logging.log_first_n(
            logging.WARNING,
            "ai-edge-litert is not installed. TensorFlow's own interpreter runs TFLite files until "
            'a release without it. pip install -e ".[tflite]" installs ai-edge-litert.',
            1,
        )
        return tf.lite.Interpreter, f"tf.lite {tf.__version__}"
    return Interpreter, f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"


def read_description(file: str | os.PathLike | bytes) -> dict[str, Any] | None:
    """Reads the description that `export` puts into a TFLite file.

    Memory is bounded by the size of the file, whatever it holds.

    Args:
        file: the path of a file, or its contents.

    Returns:
        What `TrainedNetwork.description()` returned, or None if a different program wrote the file.

    Raises:
        UserError: the file is damaged, or names a description that is not in it.
    """
    name = "The TFLite file" if isinstance(file, bytes) else file
    try:
        if not _names_description(file):
            return None
    except Exception as error:  # Damaged offsets raise many kinds of errors.
        raise UserError(
            f"{name} is not a TFLite file, or it is damaged or cut off: {first_line(error)}. Copy "
            "or export it again."
        ) from error
    try:
        return _read_zipped(file)
    except Exception as error:  # So do the damaged tables of a zip archive.
        raise UserError(
            f"{name} is damaged or cut off: its {DESCRIPTION} cannot be read "
            f"({first_line(error)}). Copy or export it again."
        ) from error


def _names_description(file: str | os.PathLike | bytes) -> bool:
    model = tflite_weights.tables(file)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == METADATA.encode():
            listed = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            return DESCRIPTION.encode() in listed
    return False


def _read_zipped(file: str | os.PathLike | bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
        if archive.getinfo(DESCRIPTION).compress_type != zipfile.ZIP_STORED:
            raise ValueError("it is compressed, which exports never are")
        return json_files.parsed(archive.read(DESCRIPTION), dict, DESCRIPTION)
