"""The runs of a study: their folders, commands and outcomes."""

import dataclasses
import pathlib
from typing import Any

from keras_alexnet import run_folder
from keras_alexnet.ablation.config import AblateConfig
from keras_alexnet.ablation.versions import Version
from keras_alexnet.errors import UserError
from keras_alexnet.training.config import TrainConfig
from keras_alexnet.utils import files, json_files
from keras_alexnet.utils.json_schema import COUNT, Number, OneOf

MANY_VIEWS = 10  # beside one view

_EVALUATION = f"test_{MANY_VIEWS}_views.json"
_SHARE = Number(0, 1)
_RESULTS = {
    **run_folder.RESULTS_SCHEMA,
    "kept_epoch": OneOf(None, COUNT),
    "at_chance?": OneOf(None, dict),
}
_ADVICE = "Delete it, and start the study again: the test is repeated, the training is not."


@dataclasses.dataclass(frozen=True)
class Run:
    """One version, trained with one seed, and with a learning rate if the study tries several."""

    version: Version
    seed: int
    learning_rate: float | None
    study: AblateConfig

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        rate = "" if self.learning_rate is None else f"-rate{self.learning_rate:g}"
        return f"{self.version.folder}{rate}-seed{self.seed}"

    @property
    def folder(self) -> pathlib.Path:
        return pathlib.Path(self.study.workdir) / "runs" / self.name

    @property
    def config(self) -> TrainConfig:
        """The settings of the run."""
        rate = {} if self.learning_rate is None else self._rates(self.learning_rate)
        own = {"seed": self.seed, "workdir": str(self.folder), "views": 1}
        return self.version.applied_to(self.study.train, **rate, **own)

    def _rates(self, learning_rate: float) -> dict[str, float]:
        """Muon's rate goes with the learning rate, which it does not follow by itself."""
        recipe = self.version.recipe(self.study.train)
        rates = {"learning_rate": learning_rate}
        if recipe.optimizer == "muon":
            rates["muon_rate"] = recipe.muon_rate * learning_rate / recipe.learning_rate
        return rates

    @property
    def begun(self) -> bool:
        return (self.folder / run_folder.CONFIG).exists()

    @property
    def trained(self) -> bool:
        return (self.folder / run_folder.RESULTS).exists()

    @property
    def evaluated(self) -> bool:
        return (self.folder / _EVALUATION).exists()

    def train_command(self) -> list[str]:
        """Returns the command that trains, and its flags; --resume resumes it."""
        return ["train", *flags_of(self.config)]

    def evaluate_command(self) -> list[str]:
        """Returns the command that evaluates the trained run on several views, and its flags."""
        command = ["evaluate", f"--model={self.folder}", f"--views={MANY_VIEWS}"]
        command.append("--precision=float32")  # as the test of one view at the end of training
        if (devices := self.study.train.num_devices) is not None:
            command.append(f"--num_devices={devices}")
        return [*command, f"--json={self.folder / _EVALUATION}"]

    def outcome(self) -> dict[str, Any] | None:
        """Returns what the run has reached, or None if it has not been evaluated yet.

        Raises:
            UserError: a file of the run is damaged.
        """
        if not (self.trained and self.evaluated):
            return None
        found = json_files.read(
            self.folder / run_folder.RESULTS, _RESULTS, run_folder.RESULTS_ADVICE, nan=True
        )
        schema = {"top1": _SHARE, "top5": _SHARE}
        views = json_files.read(self.folder / _EVALUATION, schema, _ADVICE, nan=True)
        rows = _metrics(self.folder / run_folder.METRICS)
        kept = [row for row in rows if row["epoch"] == found["kept_epoch"]] or rows[-1:]
        reached = _epochs_to(rows, self.study.training_error)
        return {
            "run": self.name,
            "version": self.version.name,
            "seed": self.seed,
            "learning_rate": found["recipe_as_run"].get("learning_rate"),
            "top1": found["test_top1"],
            "top5": found["test_top5"],
            f"top1_{MANY_VIEWS}_views": views["top1"],
            f"top5_{MANY_VIEWS}_views": views["top5"],
            "validation_top1": kept[0].get("val_top1"),
            "epochs": len(rows),
            "epochs_to_training_error": reached,
            "steps_to_training_error": None
            if reached is None
            else round(reached * rows[-1]["step"] / rows[-1]["epoch"]),
            "last_training_error_percent": 100 * (1 - rows[-1]["top1"]),
            "at_chance": bool(found.get("at_chance")),
            "seconds": found["seconds"],
            "data_sha256": found["data_sha256"],
            "dataset": found["dataset"],
            "commit": found["commit"],
            "overrides": found["overrides"],
        }


def flags_of(config: TrainConfig) -> list[str]:
    """Returns the flags of `keras-alexnet train` that give these settings.

    Example:
        >>> flags_of(TrainConfig(variant="cifar_v2", lrn=False, overrides={"augment": ("crop",)}))
        ['--variant=cifar_v2', '--no-lrn', '--augment=crop']
    """
    given = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if "help" in field.metadata and getattr(config, field.name) != field.default
    }
    return [_flag(name, value) for name, value in {**given, **config.overrides}.items()]


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    listed = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
    return f"--{name}={listed}"


def _metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of metrics.csv: epoch, step, top1, and val_top1 if there were validation images."""
    try:
        _, rows = files.read_csv(path)
        if not rows:
            raise ValueError("it has no rows")
        return [
            {
                "epoch": int(row["epoch"]),
                "step": int(row["step"]),
                "top1": float(row["top1"]),
                **({"val_top1": float(row["val_top1"])} if row.get("val_top1") else {}),
            }
            for row in rows
        ]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is not the metrics.csv of a run: {error!r}.") from error


def _epochs_to(rows: list[dict[str, Any]], error: float) -> float | None:
    """Epochs until the training error is at most `error` percent; linear between two epochs.

    The error of an epoch is the mean over all of its steps, as in figures.curves.
    """
    before = None
    for row in rows:
        now = 100 * (1 - row["top1"])
        if now <= error:
            if before is None or before == now:
                return float(row["epoch"])
            return row["epoch"] - 1 + (before - error) / (before - now)
        before = now
    return None
