"""What an export is asked to do: the dataclass that the flags of scripts/export.py fill."""

import dataclasses

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.exporting.tflite import QUANTIZATIONS
from keras_alexnet.networks.spec import VIEWS
from keras_alexnet.trained import INPUT_DTYPES

FORMATS = ("saved_model", "tflite", "onnx")


def _field(default, help_text, choices=None):
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """One export.

    Example:
        >>> ExportConfig(model="runs/mine", out="saved_models/mine").formats
        ('saved_model', 'tflite')
    """

    model: str | None = _field(None, "A run's folder or a .keras file.")
    out: str | None = _field(None, "Folder to export to, such as saved_models/NAME.")
    formats: tuple[str, ...] = _field(
        ("saved_model", "tflite"), f"What to write, separated by commas: {', '.join(FORMATS)}."
    )
    quantization: tuple[str, ...] = _field(
        ("float32",), f"TFLite files to write, separated by commas: {', '.join(QUANTIZATIONS)}."
    )
    version: int | None = _field(None, "Version of the SavedModel; the next free one by default.")
    input_dtype: str = _field(
        "uint8", "Number type of the pixels that the exports take, 0–255.", INPUT_DTYPES
    )
    dataset: str | None = _field(
        None, "Data to calibrate int8 and to compare on; by default what the run was trained on."
    )
    data_dir: str | None = _field(None, "Folder or archive that holds the data.")
    dataset_name: str | None = _field(None, "Name of an image folder in the model card.")
    skip_corrupt: bool = _field(False, "Leave out images that cannot be decoded, and count them.")
    calibration_images: int = _field(200, "Training images that calibrate int8.")
    seed: int = _field(0, "Fixes which images calibrate and, with --test_images, are compared on.")
    test_images: int | None = _field(
        None, "Images of the test set to compare on and to measure accuracy with; all by default."
    )
    views: tuple[int, ...] = _field(
        (1, 2), "Views of each test image for the Keras model's accuracies: 1, 2 and 10."
    )
    latency: bool = _field(True, "Measure the time of one image with one thread and with two.")
    variant: str | None = _field(None, "The network, if the model's name does not tell it.")
    record: str | None = _field(None, "CSV file to which a row is added for every file written.")
    allow_disagreement: bool = _field(
        False, "Write what differs too much from the Keras model all the same; the card says so."
    )

    def __post_init__(self):
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
