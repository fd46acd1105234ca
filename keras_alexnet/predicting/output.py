"""Output of predictions: a table of text, CSV and JSON files."""

import contextlib
import csv
import dataclasses
import json
import os
import types
from collections.abc import Iterator, Mapping
from typing import TextIO

from keras_alexnet.errors import UserError
from keras_alexnet.predicting.journal import Journal
from keras_alexnet.predicting.predict import Prediction
from keras_alexnet.utils import files, signals
from keras_alexnet.utils.cells import cell
from keras_alexnet.utils.imagenet_classes import imagenet_words
from keras_alexnet.utils.text import printable

_MOST_NAME_COLUMNS = 60


class PredictionFiles:
    """CSV and JSON files of predictions, which appear when all are done or the work is stopped.

    If the body ends with an error of the predictions, as when a server stops, with a signal, or
    because nobody reads the table, the files hold those before it, and `--resume` goes on from
    there: until all are done, they are also in `<file>.unfinished`.

    Args:
        top: the largest number of classes in a row of the CSV file.
        csv: a file with one row per image: image, class_1, score_1, …, error.
        json: a file with a list of objects: image, classes, scores, error.
        made_from: what the predictions depend on, by name, such as the SHA-256 of the model.
        resume: whether to go on from the predictions of an earlier call with the same files and
            the same `made_from`.

    Attributes:
        done: the predictions that are resumed from.

    Raises:
        UserError: in the body, the error of the predictions, with the names of the files; before
            it, if there is nothing to resume.

    Example:
        >>> with PredictionFiles(1, csv="found.csv") as written:
        ...     written.add(Prediction("a.png", ("cat",), (0.5,)))
        >>> open("found.csv").read()
        'image,class_1,score_1,error\\na.png,cat,0.5,\\n'
    """

    def __init__(
        self,
        top: int,
        *,
        csv: str | os.PathLike | None = None,
        json: str | os.PathLike | None = None,
        made_from: Mapping[str, object] | None = None,
        resume: bool = False,
    ):
        self._top, self._csv, self._json = top, csv, json
        self._journal: Journal | None = None
        self.done: tuple[Prediction, ...] = ()
        paths = [path for path in (csv, json) if path]
        self._names = " and ".join(os.fspath(path) for path in paths)
        if paths:
            self._journal = Journal(paths[0], {"top": top, **(made_from or {})}, resume=resume)
            self.done = self._journal.done

    def __enter__(self) -> "PredictionFiles":
        return self

    def add(self, prediction: Prediction) -> None:
        """Adds the prediction of the next image."""
        if self._journal is not None:
            self._journal.add(prediction)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._journal is None:
            return
        with self._journal as journal:
            if error is None:
                self._write(journal)
                journal.remove()
            elif not journal.count:
                journal.remove()
            elif isinstance(error, (UserError, KeyboardInterrupt, BrokenPipeError)):
                self._write(journal)
                kept = f"The predictions so far are in {self._names}."
                if journal.path is not None:
                    kept += " The same command with --resume goes on from there."
                if isinstance(error, UserError):
                    raise type(error)(f"{error} {kept}") from error
                error.add_note(kept)
            elif error is not None and journal.path is not None:
                error.add_note(
                    "The same command with --resume goes on from the predictions so far."
                )

    def _write(self, journal: Journal) -> None:
        with signals.held():
            if self._csv:
                with _replaced(self._csv, newline="") as file:
                    _write_csv(file, journal.predictions(), self._top)
            if self._json:
                with _replaced(self._json) as file:
                    _write_json(file, journal.predictions())


class Table:
    """Predictions as lines of text, one per image, with names padded to the longest so far.

    A WordNet id of ImageNet's classes is followed by the name of the class.

    Example:
        >>> print(Table().line(Prediction("a.png", ("cat", "dog"), (0.75, 0.25))))
        a.png  0.7500 cat  0.2500 dog
    """

    def __init__(self) -> None:
        self._width = 0

    def line(self, prediction: Prediction) -> str:
        """Returns the line of one image."""
        image = printable(prediction.image)
        self._width = max(self._width, min(len(image), _MOST_NAME_COLUMNS))
        pairs = zip(prediction.classes, prediction.scores, strict=True)
        said = [f"{score:.4f} {_named(printable(name))}" for name, score in pairs]
        if prediction.error is not None:
            said = [f"error: {printable(prediction.error)}"]
        return "  ".join([image.ljust(self._width), *said])


def _named(label: str) -> str:
    word = imagenet_words().get(label)
    return label if word is None else f"{label} {word}"


@contextlib.contextmanager
def _replaced(path: str | os.PathLike, newline: str | None = None) -> Iterator[TextIO]:
    with files.atomic_write(path) as temporary:
        with open(
            temporary, "w", encoding="utf-8", errors="backslashreplace", newline=newline
        ) as file:
            yield file


def _write_csv(file: TextIO, predictions: Iterator[Prediction], top: int) -> None:
    ranks = range(1, top + 1)
    columns = ["image", *(f"{what}_{n}" for n in ranks for what in ("class", "score")), "error"]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for prediction in predictions:
        pairs = zip(prediction.classes, prediction.scores, strict=True)
        row = [each for name, score in pairs for each in (cell(name), score)]
        row += [""] * (2 * top - len(row))
        writer.writerow([cell(prediction.image), *row, cell(prediction.error)])


def _write_json(file: TextIO, predictions: Iterator[Prediction]) -> None:
    separator = "[\n"
    for prediction in predictions:
        text = json.dumps(dataclasses.asdict(prediction), ensure_ascii=False)
        file.write(separator + text)
        separator = ",\n"
    file.write("[]\n" if separator == "[\n" else "\n]\n")
