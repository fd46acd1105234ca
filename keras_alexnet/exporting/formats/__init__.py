"""The registry of export formats, and the interface of a format.

Each module in this folder registers one format. To add one, write a module like these, or call
`register` in your own code; `ExportConfig`, the command line, the comparison with Keras and the
model card then know it. A format's module does not import TensorFlow at its top, so that `--help`
stays fast.
"""

import abc
import contextlib
import dataclasses
import functools
import importlib
import pathlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.utils import files

if TYPE_CHECKING:
    import numpy as np

    from keras_alexnet.exporting.config import ExportConfig
    from keras_alexnet.trained import TrainedNetwork


@dataclasses.dataclass(frozen=True)
class Output:
    """One model that a format writes, and how closely it must agree with Keras.

    Attributes:
        name: the name in reports and model cards, such as "tflite int8".
        exact: whether it computes in float32, so that its logits must be those of Keras, up to
            rounding.
        calibrated: whether writing it needs training images.
        least_agreement: share of images, 0–1, for which it must rank the same class first as a
            trained network does in Keras; None if that is not required.
    """

    name: str
    exact: bool = True
    calibrated: bool = False
    least_agreement: float | None = None


@dataclasses.dataclass(frozen=True)
class ExportJob:
    """The request to a format to write a network.

    Attributes:
        network: the network.
        config: the settings of the export.
        stage: folder to write to; its contents move to `config.out` when all of them agree.
        version: version number of this export in `config.out`.
        calibration: training images, uint8 `[n, H, W, 3]`, or None if no output is calibrated.
    """

    network: "TrainedNetwork"
    config: "ExportConfig"
    stage: pathlib.Path
    version: int
    calibration: "np.ndarray | None" = None


class ExportedModel(abc.ABC):
    """A model that a format has written, which can be run and timed.

    Args:
        stage: the folder that the export is written to.
        place: the model's file or folder, below the stage now and below `config.out` later.

    Attributes:
        path: the current path of the model.
        place: as above.
        card_folder: the folder for its model card.
        runtime: the software, with its version, that runs it in `logits`.
    """

    runtime: str

    def __init__(self, stage: pathlib.Path, place: pathlib.PurePath):
        self.path, self.place = stage / place, place
        self.card_folder = self.path.parent

    @abc.abstractmethod
    def logits(self, pixels: "np.ndarray") -> "np.ndarray":
        """Computes the logits.

        Args:
            pixels: `[N, H, W, 3]` of the export's number type.

        Returns:
            float32 `[N, classes]`.
        """

    @abc.abstractmethod
    def timer(
        self, threads: int
    ) -> contextlib.AbstractContextManager[Callable[[int], list[float]]]:
        """Opens a function from a number of calls with one image to the seconds of each."""

    def facts(self) -> dict[str, Any]:
        """Returns its entry in the report: place, runtime, bytes, SHA-256 of every file."""
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


class ExportFormat(abc.ABC):
    """A format that networks are exported to.

    Attributes:
        name: its name in `ExportConfig.formats`, which is also its folder in `config.out` and the
            suffix of its files.
        versioned: whether every export is instead a new folder named by its version.
    """

    name: str
    versioned = False

    def outputs(self, config: "ExportConfig") -> list[Output]:
        """Lists the models that it writes; by default one exact model with its own name."""
        return [Output(self.name)]

    def check_installed(self) -> None:
        """Raises a `UserError` if a package that writes or runs the format is missing."""
        return None

    def check(self, config: "ExportConfig", network: "TrainedNetwork") -> None:
        """Raises a `UserError` if this network cannot be written with these settings."""
        return None

    def file_name(self, output: Output, variant: str) -> str:
        """Returns the name of an output's file, such as cifar_v2_int8.tflite."""
        quantization = output.name.removeprefix(self.name).strip()
        return f"{variant}{'_' if quantization else ''}{quantization}.{self.name}"

    def place(self, output: Output, job: ExportJob) -> pathlib.PurePath:
        """Returns where an output goes, below the stage and below `config.out`."""
        if self.versioned:
            return pathlib.PurePath(str(job.version))
        return pathlib.PurePath(self.name) / self.file_name(output, job.network.variant)

    @abc.abstractmethod
    def write(self, output: Output, job: ExportJob) -> ExportedModel:
        """Writes an output to its place.

        Raises:
            UserError: if the network cannot be converted.
        """

    def notes(self, facts: dict[str, Any]) -> list[str]:
        """Returns more notes for the model card, each a phrase that follows the output's name."""
        return []


class FileModel(ExportedModel):
    """A written file that `keras_alexnet.runtimes` runs."""

    def __init__(
        self, stage: pathlib.Path, place: pathlib.PurePath, facts: dict[str, Any] | None = None
    ):
        from keras_alexnet import runtimes

        super().__init__(stage, place)
        self._open = functools.partial(runtimes.open_file, self.path)
        self._model, self._facts = self._open(), facts or {}
        self.runtime = self._model.runtime

    def logits(self, pixels: "np.ndarray") -> "np.ndarray":
        return self._model.run(pixels)["logits"]

    @contextlib.contextmanager
    def timer(self, threads: int) -> Iterator[Callable[[int], list[float]]]:
        yield self._open(threads).seconds_per_call

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), **self._facts}


_FORMATS: dict[str, ExportFormat] = {}


def register(export_format: ExportFormat) -> None:
    """Adds a format, which `export` and the command line then know by its name.

    Raises:
        UsageError: if a format with that name exists.
    """
    name = export_format.name
    if _FORMATS.get(name, export_format) is not export_format:
        raise UsageError(
            f"An export format named {name!r} exists already. Give yours another name, or call "
            "unregister first."
        )
    _FORMATS[name] = export_format


def unregister(name: str) -> None:
    """Removes a format that `register` added.

    Raises:
        UsageError: if no format has that name.
    """
    get(name)
    del _FORMATS[name]


def get(name: str) -> ExportFormat:
    """Returns the format with that name.

    Raises:
        UsageError: if no format has that name.
    """
    if name not in NAMES:
        raise unknown_name("format", name, NAMES)
    return _FORMATS[name]


class _Names(Sequence[str]):
    """The names of all formats, including those registered later."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: Any) -> Any:
        return list(_FORMATS)[index]

    def __len__(self) -> int:
        return len(_FORMATS)


NAMES = _Names()

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
