"""The settings of an export."""

import dataclasses
import os

from keras_alexnet.data.config import DataSpec
from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.exporting import formats as registry
from keras_alexnet.exporting.formats.tflite import QUANTIZATIONS
from keras_alexnet.networks.image_plan import VIEWS
from keras_alexnet.runtimes import INPUT_DTYPES
from keras_alexnet.utils.arguments import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportConfig(DataSpec):
    """The settings of an export.

    The data set, by default the one that the run was trained on, has the images that calibrate
    int8 and those that the exports are compared on.

    Raises:
        UsageError: if a setting has an invalid value.

    Example:
        >>> ExportConfig(model="runs/mine", out="saved_models/mine").formats
        ('saved_model', 'tflite')
    """

    model: str | os.PathLike = setting(None, "A run's folder or a .keras file.")
    out: str | os.PathLike = setting(None, "Folder to export to, such as saved_models/NAME.")
    formats: tuple[str, ...] = setting(
        ("saved_model", "tflite"),
        "Formats to write, separated by commas.",
        registry.NAMES,
    )
    quantization: tuple[str, ...] = setting(
        ("float32",),
        "TFLite files to write, separated by commas.",
        QUANTIZATIONS,
    )
    version: int | None = setting(None, "Version of the SavedModel; by default the next free one.")
    input_dtype: str = setting(
        "uint8", "Number type of the pixels, 0–255, that the exports take.", INPUT_DTYPES
    )
    calibration_images: int = setting(200, "Number of training images that calibrate int8.")
    seed: int = setting(
        0, "Seed of the choice of calibration images and, with --test_images, of test images."
    )
    test_images: int | None = setting(
        None, "Number of test images to compare on and to measure accuracy with; by default all."
    )
    views: tuple[int, ...] = setting(
        (1, 2), "Numbers of views of each test image for the Keras model's accuracies.", VIEWS
    )
    latency: bool = setting(
        True, "Measure the latency of one image with one thread and with two threads."
    )
    variant: str | None = setting(
        None, "The network, if the model's name does not say which it is."
    )
    record: str | None = setting(
        None, "CSV file to which a row is appended for every file written."
    )
    allow_disagreement: bool = setting(
        False, "Write exports even if they differ too much from the Keras model; the card says so."
    )

    def __post_init__(self) -> None:
        for name in ("model", "out"):  # an empty path would be the current folder
            object.__setattr__(self, name, getattr(self, name) and os.fspath(getattr(self, name)))
        for name in ("formats", "quantization", "views"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.model or not self.out:
            raise UsageError("--model and --out are needed: what to export, and where to.")
        for kind, values, known in (
            ("format", self.formats, registry.NAMES),
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
    def outputs(self) -> list[registry.Output]:
        """The models that are written, in order."""
        return [output for _, output in self.outputs_by_format]

    @property
    def outputs_by_format(self) -> list[tuple[registry.ExportFormat, registry.Output]]:
        """The models that are written, each with its format."""
        chosen = [registry.get(name) for name in dict.fromkeys(self.formats)]
        return [(each, output) for each in chosen for output in each.outputs(self)]
