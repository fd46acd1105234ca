"""The trackers: each writes settings, figures by epoch, and pictures to one place."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.errors import first_line
from keras_alexnet.utils import files

PROJECT = "keras_alexnet"  # of W&B, and the experiment of MLflow, unless the environment names one
_LONGEST_VALUE = 500  # characters of a setting that every store of MLflow takes
_TEST = "test_"  # precedes the names of figures of the test set


class Tracker:
    """Writes to nowhere; the other trackers fill in what their place can take.

    Args:
        folder: the folder of the run.
        name: the name of the run.
        settings: what the run was set to: the recipe and more.
        earlier: what `identity` of this run said before it was resumed, or None.
    """

    def __init__(
        self, folder: pathlib.Path, name: str, settings: Mapping[str, Any], earlier: str | None
    ):
        self.folder = folder

    @property
    def place(self) -> str:
        """Where the run is found."""
        return ""

    @property
    def identity(self) -> str | None:
        """What is needed to resume, if anything."""
        return None

    def scalars(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Writes figures of an epoch, counted from 1: training, `val_` and `test_`."""

    def picture(self, epoch: int, name: str, path: pathlib.Path) -> None:
        """Writes a PNG."""

    def close(self, status: str) -> None:
        """Ends the run: "finished", "interrupted" or "failed"."""


class Csv(Tracker):
    """Rows in metrics.csv; those of epochs before the first one stay, if the file has them."""

    def __init__(self, *described: Any):
        super().__init__(*described)
        self._rows: dict[int, dict[str, Any]] = {}

    @property
    def place(self) -> str:
        return run_folder.METRICS

    def scalars(self, epoch: int, figures: Mapping[str, float]) -> None:
        path = self.folder / run_folder.METRICS
        if not self._rows and path.exists():
            self._rows = _rows_before(path, epoch)
        self._rows.setdefault(epoch, {"epoch": epoch}).update(figures)
        columns = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        rows = [{name: row.get(name, "") for name in columns} for row in self._rows.values()]
        files.write_csv(path, rows)


def _rows_before(path: pathlib.Path, epoch: int) -> dict[int, dict[str, Any]]:
    try:
        _, rows = files.read_csv(path)
        read = [{name: float(cell) for name, cell in row.items() if cell} for row in rows]
        epochs = {int(row["epoch"]): row | {"epoch": int(row["epoch"])} for row in read}
    except (OSError, ValueError, KeyError) as error:
        logging.warning("%s is replaced, because it cannot be read: %s.", path, first_line(error))
        return {}
    return {number: row for number, row in epochs.items() if number < epoch}


class TensorBoard(Tracker):
    """Event files; training, validation and test are curves in the same charts."""

    _SPLITS = {"val_": "validation", _TEST: "test"}

    def __init__(self, *described: Any):
        super().__init__(*described)
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        _, _, settings, _ = described
        rows = [f"| {name} | {value} |" for name, value in _as_text(settings).items()]
        with self._writer("train").as_default(step=0):
            tf.summary.text("settings", "\n".join(["| setting | value |", "|---|---|", *rows]))

    @property
    def place(self) -> str:
        return "tensorboard"

    def scalars(self, epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            prefix = next((each for each in self._SPLITS if name.startswith(each)), "")
            with self._writer(self._SPLITS.get(prefix, "train")).as_default(step=epoch):
                tf.summary.scalar(name.removeprefix(prefix), value)
        self._flush()

    def picture(self, epoch: int, name: str, path: pathlib.Path) -> None:
        with self._writer("test").as_default(step=epoch):
            tf.summary.image(name, tf.io.decode_png(path.read_bytes(), channels=3)[None])
        self._flush()

    def close(self, status: str) -> None:
        for writer in self._writers.values():
            writer.close()

    def _writer(self, split: str) -> tf.summary.SummaryWriter:
        if split not in self._writers:
            place = str(self.folder / self.place / split)
            self._writers[split] = tf.summary.create_file_writer(place)
        return self._writers[split]

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()


class Wandb(Tracker):
    """A run of Weights & Biases: the user's current one, or a new one."""

    def __init__(
        self, folder: pathlib.Path, name: str, settings: Mapping[str, Any], earlier: str | None
    ):
        import wandb

        super().__init__(folder, name, settings, earlier)
        self._wandb, self._own = wandb, wandb.run is None
        self._run: Any = wandb.run
        if self._own:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=name,
                dir=str(folder),
                id=earlier,
                resume="allow",
            )
        self._run.config.update(dict(settings), allow_val_change=True)

    @property
    def place(self) -> str:
        return str(getattr(self._run, "url", None) or getattr(self._run, "dir", ""))

    @property
    def identity(self) -> str | None:
        return self._run.id if self._own else None

    def scalars(self, epoch: int, figures: Mapping[str, float]) -> None:
        # Without a step, because the user's own run may have its own steps.
        self._run.log({"epoch": epoch, **figures})

    def picture(self, epoch: int, name: str, path: pathlib.Path) -> None:
        self._run.log({"epoch": epoch, name: self._wandb.Image(str(path))})

    def close(self, status: str) -> None:
        if self._own:
            self._run.finish(exit_code=0 if status == "finished" else 1)


class Mlflow(Tracker):
    """A run of MLflow: the user's active one, or a new one."""

    _STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}

    def __init__(
        self, folder: pathlib.Path, name: str, settings: Mapping[str, Any], earlier: str | None
    ):
        import mlflow

        super().__init__(folder, name, settings, earlier)
        # A client of its own leaves the user's active run as it is.
        self._client: Any = mlflow.MlflowClient()
        active = mlflow.active_run()
        self._own = active is None
        self._run = active.info.run_id if active else self._begun(name, earlier)
        for setting, value in _as_text(settings).items():
            if earlier is None:  # MLflow refuses settings that change
                self._client.log_param(self._run, setting, value[:_LONGEST_VALUE])

    def _begun(self, name: str, earlier: str | None) -> str:
        if earlier is not None:
            self._client.update_run(earlier, status="RUNNING")
            return earlier
        wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(wanted)
        experiment = (
            self._client.create_experiment(wanted) if known is None else known.experiment_id
        )
        return self._client.create_run(experiment, run_name=name).info.run_id

    @property
    def place(self) -> str:
        return f"run {self._run}"

    @property
    def identity(self) -> str | None:
        return self._run if self._own else None

    def scalars(self, epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=epoch)

    def picture(self, epoch: int, name: str, path: pathlib.Path) -> None:
        self._client.log_artifact(self._run, str(path))

    def close(self, status: str) -> None:
        if self._own:
            self._client.set_terminated(self._run, self._STATUS[status])


TRACKERS: dict[str, type[Tracker]] = {
    "tensorboard": TensorBoard,
    "csv": Csv,
    "wandb": Wandb,
    "mlflow": Mlflow,
}


def _as_text(settings: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, default=str)
        for name, value in settings.items()
    }
