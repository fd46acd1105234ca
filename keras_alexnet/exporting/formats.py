"""The kinds of file that an export writes: how each is written, run, timed and described."""

import abc
import contextlib
import pathlib
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from keras_alexnet.exporting import latency, onnx, saved_model, tflite
from keras_alexnet.exporting.config import ExportConfig
from keras_alexnet.runtimes import litert
from keras_alexnet.runtimes.onnx_runtime import OnnxModel
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import files


class ExportedModel(abc.ABC):
    """Something exported, which stands in the stage until it is shown.

    Attributes:
        path: the SavedModel's folder, or the file.
        place: where it will be, below the folder that is exported to.
        card_folder: where its model card goes in the stage.
        exact: whether it computes in float32, as the Keras model does.
    """

    path: pathlib.Path
    place: pathlib.PurePath
    exact = True

    @property
    def card_folder(self) -> pathlib.Path:
        return self.path.parent

    @abc.abstractmethod
    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels of the export's number type [N, H, W, 3] → logits float32 [N, classes]."""

    @abc.abstractmethod
    def timer(self, threads: int) -> contextlib.AbstractContextManager[latency.Timed]:
        """Opens what times calls with one image on so many threads."""

    def facts(self) -> dict:
        """What the model card says of it: runtime, bytes and the SHA-256 of every file."""
        paths = [self.path]
        if self.path.is_dir():
            paths = sorted(path for path in self.path.rglob("*") if path.is_file())
        return {
            "file": str(self.place),
            "runtime": self.runtime,
            "bytes": sum(path.stat().st_size for path in paths),
            "sha256": {
                str(self.place / path.relative_to(self.path)): files.sha256_of(path)
                for path in paths
            },
        }


class SavedModel(ExportedModel):
    """A version for TF Serving."""

    runtime = f"TensorFlow {tf.__version__}"

    def __init__(
        self, network: TrainedNetwork, config: ExportConfig, stage: pathlib.Path, version: int
    ):
        self.path, self.place = stage / str(version), pathlib.PurePath(str(version))
        saved_model.write(network, self.path, config.input_dtype)
        self._warmed_up = saved_model.write_warmup(self.path, network, config.input_dtype)
        self._classify = tf.saved_model.load(str(self.path)).signatures["serving_default"]

    @property
    def card_folder(self) -> pathlib.Path:
        return self.path / saved_model.EXTRA

    def logits(self, pixels):
        return self._classify(image=tf.constant(pixels))["logits"].numpy()

    def timer(self, threads):
        return latency.saved_model_timer(self.path, threads)

    def facts(self):
        return {**super().facts(), "warm_up_requests": self._warmed_up}


class TFLite(ExportedModel):
    """A file for LiteRT."""

    def __init__(
        self, network: TrainedNetwork, config: ExportConfig, stage, quantization, calibration
    ):
        name = f"{network.variant}_{quantization}.tflite"
        self.path, self.place = stage / "tflite" / name, pathlib.PurePath("tflite") / name
        self.exact = quantization == "float32"
        contents = tflite.convert(
            network, quantization, input_dtype=config.input_dtype, calibration=calibration
        )
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_bytes(contents)
        self._floats = tflite.float_operators(contents) if quantization == "int8" else None
        self._model = litert.LiteModel(self.path)
        self.runtime = self._model.runtime

    def logits(self, pixels):
        return self._model.run(pixels)["logits"]

    @contextlib.contextmanager
    def timer(self, threads):
        yield litert.LiteModel(self.path, num_threads=threads).seconds_per_call

    def facts(self):
        facts = super().facts()
        return facts if self._floats is None else {**facts, "float_operators": list(self._floats)}


class Onnx(ExportedModel):
    """A file for ONNX Runtime."""

    def __init__(self, network: TrainedNetwork, config: ExportConfig, stage: pathlib.Path):
        name = f"{network.variant}.onnx"
        self.path, self.place = stage / "onnx" / name, pathlib.PurePath("onnx") / name
        self.path.parent.mkdir(exist_ok=True)
        onnx.write(network, self.path, config.input_dtype)
        self._model = OnnxModel(self.path)
        self.runtime = self._model.runtime

    def logits(self, pixels):
        return self._model.run(pixels)["logits"]

    @contextlib.contextmanager
    def timer(self, threads):
        yield OnnxModel(self.path, num_threads=threads).seconds_per_call


def write(
    network: TrainedNetwork, config: ExportConfig, stage: pathlib.Path, version: int, calibration
) -> Iterator[tuple[str, ExportedModel]]:
    """Writes what is asked for into the stage, and yields each with its name.

    Args:
        network: what is exported.
        config: what is asked for.
        stage: a folder to write to.
        version: of the SavedModel.
        calibration: inputs uint8 [n, H, W, 3] for int8, if that is asked for.
    """
    for name in config.programs:
        kind, _, quantization = name.partition(" ")
        if kind == "saved_model":
            yield name, SavedModel(network, config, stage, version)
        elif kind == "tflite":
            yield name, TFLite(network, config, stage, quantization, calibration)
        else:
            yield name, Onnx(network, config, stage)


def latencies(written: dict[str, ExportedModel]) -> dict[str, dict[str, float]]:
    """Returns name → number of threads → median seconds of a call with one image."""
    with contextlib.ExitStack() as timers:
        timed = {
            (name, threads): timers.enter_context(program.timer(threads))
            for name, program in written.items()
            for threads in latency.THREADS
        }
        medians = latency.medians(timed)
    return {
        name: {str(threads): medians[name, threads] for threads in latency.THREADS}
        for name in written
    }


def card_folders(written: Iterable[ExportedModel]) -> list[pathlib.Path]:
    """Returns the folders of the stage that get a model card."""
    return list(dict.fromkeys(program.card_folder for program in written))
