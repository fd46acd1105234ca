"""TrainingLog: a Keras callback that writes what a training run measures to several places."""

import numbers
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_alexnet.errors import UsageError, UserError, first_line
from keras_alexnet.figures import plots
from keras_alexnet.training.tracking.names import check_installed
from keras_alexnet.training.tracking.trackers import TRACKERS, Tracker
from keras_alexnet.utils import files, json_files, outputs

RUNS = "tracking.json"  # in the folder: name of a tracker → its run, for when it is resumed
CONFUSION = "confusion"


class TrainingLog(keras.callbacks.Callback):
    """Writes figures by epoch, settings and the confusion matrix to TensorBoard, CSV, W&B, MLflow.

    `train` uses it, too, with `log` of its config. Weights & Biases and MLflow are set up as
    always, by their own commands and variables such as `WANDB_MODE`, `WANDB_PROJECT`,
    `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME`; a run of theirs that is active is used. If a
    place fails during training, a warning says so, and training continues without it.

    Args:
        folder: where `metrics.csv`, `tensorboard/`, `confusion.png` and `wandb/` are written.
        log: the places: "tensorboard", "csv", "wandb", "mlflow".
        settings: what the run was set to, such as a recipe; by default, the optimizer's settings.
        test: at the end of training, its confusion matrix is drawn: finite batches of images and
            labels, which are numbers or one-hot, such as `eval_batches` returns.
        class_names: the names of the classes of `test`; by default their numbers.
        name: the name of the run; by default the folder's.
        keep_open: whether the run is to stay open at the end of training, for `results`, until
            `close` is called.

    Attributes:
        places: name of a place → where the run is found there.
        problems: name of a place that failed → why.

    Raises:
        UsageError: a place is unknown, or its package is not installed; at the begin of training,
            if `test` or `class_names` do not fit the model.
        UserError: at the begin of training, if a place cannot be opened.

    Example:
        >>> import keras_alexnet as ka
        >>> data = ka.load_dataset("shapes")
        >>> test = ka.eval_batches(data.test, "cifar_v2", batch_size=256)
        >>> log = TrainingLog("logs", ["csv"], test=test, class_names=data.class_names)
        >>> model.fit(batches, callbacks=[log])  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        log: Sequence[str] = ("csv",),
        *,
        settings: Mapping[str, Any] | None = None,
        test: Iterable[tuple[Any, Any]] | None = None,
        class_names: Sequence[str] | None = None,
        name: str | None = None,
        keep_open: bool = False,
    ):
        super().__init__()
        if isinstance(log, str) or not isinstance(log, Iterable):
            raise UsageError(f'log must be a list of names, such as ["csv"]. Received: {log!r}.')
        self._names = tuple(dict.fromkeys(log))
        check_installed(self._names)
        outputs.check_folder(folder, "folder")
        self._folder, self._settings = pathlib.Path(folder), settings
        self._test, self._class_names, self._keep_open = test, class_names, keep_open
        self._name = name or self._folder.name
        self._open: dict[str, Tracker] = {}
        self._epoch = 0
        self.places: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Opens all places."""
        if self._test is not None:
            _check_test(self._test, self._class_names, self.model.output_shape[-1])
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._settings_of_fit() if self._settings is None else self._settings
        earlier = _earlier(self._folder / RUNS)
        for name in self._names:
            if name in self._open:
                continue
            described = (self._folder, self._name, settings, earlier.get(name))
            try:
                self._open[name] = TRACKERS[name](*described)
            except Exception as error:
                self.close("failed")
                raise UserError(
                    f"The log {name} cannot be opened: {first_line(error)}. Set it up as its own "
                    f"documentation says, or leave {name} out of --log (log=)."
                ) from error
        self.places = {name: tracker.place for name, tracker in self._open.items()}
        found = {name: tracker.identity for name, tracker in self._open.items()}
        kept = earlier | {name: identity for name, identity in found.items() if identity}
        if kept:
            files.write_json(self._folder / RUNS, kept)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Writes the figures of an epoch."""
        self._epoch = epoch + 1
        figures = dict(logs or {})
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if "learning_rate" not in figures and rate is not None:
            figures["learning_rate"] = keras.ops.convert_to_numpy(rate)
        self._write(figures)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Draws the confusion matrix of `test`, and closes all places."""
        if self._test is not None:
            path = self._folder / f"{CONFUSION}.png"
            counts = self._confusion()
            names = self._class_names or [str(label) for label in range(len(counts))]
            plots.confusion(path, counts, names, self._name)
            self.results({"test_accuracy": np.trace(counts) / counts.sum()}, {CONFUSION: path})
        if not self._keep_open:
            self.close()

    def results(self, figures: Mapping[str, Any], pictures: Mapping[str, pathlib.Path]) -> None:
        """Writes figures of the trained network, whose names begin with `test_`, and PNGs."""
        self._write(figures)
        for name, path in pictures.items():
            self._each("picture", self._epoch, name, path)

    def close(self, status: str = "finished") -> None:
        """Closes all places; `status` is "finished", "interrupted" or "failed"."""
        self._each("close", status)
        self._open.clear()

    def _write(self, figures: Mapping[str, Any]) -> None:
        numbers_only = {
            name: float(value)
            for name, value in figures.items()
            if isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and not value.ndim)
        }
        self._each("scalars", self._epoch, numbers_only)

    def _each(self, method: str, *arguments: Any) -> None:
        for name, tracker in list(self._open.items()):
            try:
                getattr(tracker, method)(*arguments)
            except Exception as error:  # a server that is gone must not end hours of training
                self.problems[name] = first_line(error)
                del self._open[name]
                logging.warning(
                    "log %s failed, so training continues without it: %s", name, first_line(error)
                )

    def _settings_of_fit(self) -> dict[str, Any]:
        optimizer = self.model.optimizer.get_config()
        plain = {
            f"optimizer_{name}": value
            for name, value in optimizer.items()
            if name != "name" and isinstance(value, (str, int, float, bool))
        }
        named = {"model": self.model.name, "optimizer": type(self.model.optimizer).__name__}
        return {**named, **plain, **self.params}

    def _confusion(self) -> np.ndarray:
        assert self._test is not None
        classes = self.model.output_shape[-1]
        counts = np.zeros([classes, classes], np.int64)
        for batch in self._test:
            images, labels = _images_and_labels(batch, classes)
            predicted = np.argmax(self.model.predict_on_batch(images), axis=-1)
            np.add.at(counts, (labels, predicted), 1)
        return counts


def _check_test(test: Iterable[Any], class_names: Sequence[str] | None, classes: int) -> None:
    """Finds out before the training what would fail after it."""
    if class_names is not None and len(class_names) != classes:
        raise UsageError(
            f"class_names must be the names of the model's {classes} classes. Received: "
            f"{len(class_names)} names."
        )
    batches = iter(test)
    if batches is test:  # what is taken from it would be missing at the end
        return
    first = next(batches, None)
    if first is None:
        raise UsageError("test must be batches of images and labels. Received: no batches.")
    _images_and_labels(first, classes)


def _images_and_labels(batch: Any, classes: int) -> tuple[Any, np.ndarray]:
    """Returns the images of a batch, and its labels as numbers."""
    wanted = "test must be batches of images and labels, such as eval_batches returns."
    if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):  # the last are weights
        raise UsageError(f"{wanted} Received: {type(batch).__name__} as the first of them.")
    images, labels = batch[0], np.asarray(batch[1])
    if labels.shape == (len(images), classes) and classes > 1:
        labels = np.argmax(labels, axis=-1)
    if labels.size != len(images) or np.any((labels < 0) | (labels >= classes)):
        raise UsageError(
            f"{wanted} Labels are {len(images)} numbers from 0 to {classes - 1}, or one-hot. "
            f"Received: {list(labels.shape)}."
        )
    return images, labels.reshape(-1).astype(np.int64)


def _earlier(path: pathlib.Path) -> dict[str, str]:
    if not path.exists():
        return {}
    advice = "Delete it: the run is then a new one for its trackers."
    return json_files.read(path, {"wandb?": str, "mlflow?": str}, advice)
