"""The settings of an export, and of `ship`."""

import dataclasses
import os

from keras_alexnet.data.config import DataSpec
from keras_alexnet.errors import UsageError
from keras_alexnet.exporting import formats as registry
from keras_alexnet.exporting.formats.saved_model import PRECISIONS
from keras_alexnet.exporting.formats.tflite import QUANTIZATIONS
from keras_alexnet.networks.image_plan import VIEWS
from keras_alexnet.runtimes import INPUT_DTYPES
from keras_alexnet.utils.arguments import setting

FORMS = ("int8", "float16")  # of weights that come with the package, from the smallest


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

    model: str | os.PathLike = setting(
        None,
        "A run's folder or a .keras file, or the name of weights or of their network, such as "
        "imagenet or cifar_v2.",
    )
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
    precision: str = setting(
        "float32",
        "What the SavedModel computes in, and stores its weights in: float32; or bfloat16, which "
        "is faster on processors with bf16 instructions. Pixels and outputs stay as they are.",
        PRECISIONS,
    )
    layers: tuple[str, ...] = setting(
        (),
        "For web: layers whose maps the page shows, separated by commas, such as conv1,conv2; with "
        "the first convolution, also its filters.",
    )
    web_runtime: str | os.PathLike | None = setting(
        None,
        "For web: folder with the packages @litertjs/core and @litertjs/wasm-utils of npm, such as "
        "node_modules; by default npm is asked for them.",
    )
    version: int | None = setting(
        None, "Version of the SavedModel; by default the next free one.", least=1
    )
    input_dtype: str = setting(
        "uint8", "Number type of the pixels, 0–255, that the exports take.", INPUT_DTYPES
    )
    calibration_images: int = setting(
        200, "Number of training images that calibrate int8.", least=1
    )
    seed: int = setting(
        0,
        "Seed of the choice of calibration images and, with --test_images, of test images.",
        least=0,
    )
    test_images: int | None = setting(
        None,
        "Number of test images to compare on and to measure accuracy with; by default all.",
        least=1,
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
    record: str | os.PathLike | None = setting(
        None, "CSV file to which a row is appended for every file written."
    )
    allow_disagreement: bool = setting(
        False, "Write exports even if they differ too much from the Keras model; the card says so."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model or not self.out:
            raise UsageError("--model and --out are needed: what to export, and where to.")
        for name in ("formats", "quantization", "views"):
            if not getattr(self, name):
                raise UsageError(f"At least one of {name} is needed.")
        object.__setattr__(self, "layers", tuple(dict.fromkeys(self.layers)))

    @property
    def outputs(self) -> list[registry.Output]:
        """The models that are written, in order."""
        return [output for _, output in self.outputs_by_format]

    @property
    def outputs_by_format(self) -> list[tuple[registry.ExportFormat, registry.Output]]:
        """The models that are written, each with its format."""
        chosen = [registry.get(name) for name in dict.fromkeys(self.formats)]
        return [(each, output) for each in chosen for output in each.outputs(self)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShipConfig(DataSpec):
    """The settings of `ship`.

    Raises:
        UsageError: if a setting has an invalid value.

    Example:
        >>> ShipConfig(model="runs/mine").forms
        ('int8', 'float16')
    """

    model: str | os.PathLike = setting(None, "The folder of a run that has ended.")
    name: str | None = setting(
        None, "Name of the weights; by default that of the data which the run was trained on."
    )
    out: str | os.PathLike | None = setting(
        None, "Folder to write to; by default where the package looks for its weights."
    )
    forms: tuple[str, ...] = setting(
        FORMS,
        "Ways to store the weights, separated by commas: the first that loses less than 0.1 point "
        "of top-1 is taken.",
        FORMS,
    )
    views: tuple[int, ...] = setting(
        VIEWS, "Numbers of views of the accuracies on the card.", VIEWS
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model:
            raise UsageError("model is needed: the folder of a run.")
        for field in ("forms", "views"):
            if not getattr(self, field):
                raise UsageError(f"At least one of {field} is needed.")
