"""What an export is asked to do: the dataclass that the flags of scripts/export.py fill."""

import dataclasses
import os

from keras_alexnet.data.config import DataSpec
from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks.spec import VIEWS
from keras_alexnet.utils.arguments import setting

INPUT_DTYPES = ("uint8", "float32")
QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")
FORMATS = ("saved_model", "tflite", "onnx")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(DataSpec):
    """One export.

    The data calibrate int8 and are compared on; without `dataset` they are those that the run was
    trained on.

    Example:
        >>> ExportConfig(model="runs/mine", out="saved_models/mine").formats
        ('saved_model', 'tflite')
    """

    model: str | os.PathLike = setting(None, "A run's folder or a .keras file.")
    out: str | os.PathLike = setting(None, "Folder to export to, such as saved_models/NAME.")
    formats: tuple[str, ...] = setting(
        ("saved_model", "tflite"), f"What to write, separated by commas: {', '.join(FORMATS)}."
    )
    quantization: tuple[str, ...] = setting(
        ("float32",), f"TFLite files to write, separated by commas: {', '.join(QUANTIZATIONS)}."
    )
    version: int | None = setting(None, "Version of the SavedModel; the next free one by default.")
    input_dtype: str = setting(
        "uint8", "Number type of the pixels that the exports take, 0–255.", INPUT_DTYPES
    )
    calibration_images: int = setting(200, "Training images that calibrate int8.")
    seed: int = setting(0, "Fixes which images calibrate and, with --test_images, are compared on.")
    test_images: int | None = setting(
        None, "Images of the test set to compare on and to measure accuracy with; all by default."
    )
    views: tuple[int, ...] = setting(
        (1, 2), "Views of each test image for the Keras model's accuracies: 1, 2 and 10."
    )
    latency: bool = setting(True, "Measure the time of one image with one thread and with two.")
    variant: str | None = setting(None, "The network, if the model's name does not tell it.")
    record: str | None = setting(None, "CSV file to which a row is added for every file written.")
    allow_disagreement: bool = setting(
        False, "Write what differs too much from the Keras model all the same; the card says so."
    )

    def __post_init__(self):
        for name in ("model", "out"):  # an empty path would be the current folder
            object.__setattr__(self, name, getattr(self, name) and os.fspath(getattr(self, name)))
        for name in ("formats", "quantization", "views"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.model or not self.out:
            raise UsageError("--model and --out are needed: what to export, and where to.")
        for kind, values, known in (
            ("format", self.formats, FORMATS),
            ("quantization", self.quantization, QUANTIZATIONS),
            ("input_dtype", (self.input_dtype,), INPUT_DTYPES),
        ):
            for value in values:
                if value not in known:
                    raise unknown_name(kind, value, known)
            if not values:
                raise UsageError(f"At least one {kind} is needed: {', '.join(known)}.")
        for views in self.views:
            if views not in VIEWS:
                raise UsageError(f"views must be 1, 2 or 10. Received: {views}.")
        for name in ("calibration_images", "test_images"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1. Received: {getattr(self, name)}.")
        if self.seed < 0:
            raise UsageError(f"seed must be 0 or more. Received: {self.seed}.")

    @property
    def programs(self) -> list[str]:
        """Names of what is written: "saved_model", "tflite int8", …"""
        tflite = [f"tflite {name}" for name in dict.fromkeys(self.quantization)]
        names = [tflite if name == "tflite" else [name] for name in dict.fromkeys(self.formats)]
        return [name for group in names for name in group]


FLAG_FIELDS = dataclasses.fields(ExportConfig)
