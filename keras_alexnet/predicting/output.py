"""Output of predictions: a table of text, CSV and JSON files."""

import contextlib
import csv
import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator

from keras_alexnet.errors import UserError
from keras_alexnet.predicting.predict import Prediction
from keras_alexnet.utils import files
from keras_alexnet.utils.cells import cell
from keras_alexnet.utils.text import printable

_MOST_NAME_COLUMNS = 60

_Write = Callable[[Prediction], object]


def written(
    predictions: Iterable[Prediction],
    top: int,
    *,
    csv: str | os.PathLike | None = None,
    json: str | os.PathLike | None = None,
) -> Iterator[Prediction]:
    """Yields predictions, and writes each to the files, which appear when all are done.

    If the predictions end with an error, as when a server stops, the files hold those before it.

    Args:
        predictions: what to write.
        top: the largest number of classes in a row of the CSV file.
        csv: a file with one row per image: image, class_1, score_1, …, error.
        json: a file with a list of objects: image, classes, scores, error.

    Raises:
        UserError: the error of the predictions, with the names of the files with those before it.

    Example:
        >>> done = written([Prediction("a.png", ("cat",), (0.5,))], 1, csv="found.csv")
        >>> len(list(done)), open("found.csv").read()
        (1, 'image,class_1,score_1,error\\na.png,cat,0.5,\\n')
    """
    done = 0
    failure: UserError | None = None
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(opened)
            for opened in (csv and _csv(csv, top), json and _json(json))
            if opened
        ]
        try:
            for prediction in predictions:
                for write in writers:
                    write(prediction)
                done += 1
                yield prediction
        except UserError as error:
            if not done or not writers:
                raise
            failure = error
    if failure is not None:
        kept = " and ".join(os.fspath(path) for path in (csv, json) if path)
        raise type(failure)(f"{failure} The predictions before that are in {kept}.") from failure


class Table:
    """Predictions as lines of text, one per image, with names padded to the longest so far.

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
        said = [f"{score:.4f} {printable(name)}" for name, score in pairs]
        if prediction.error is not None:
            said = [f"error: {printable(prediction.error)}"]
        return "  ".join([image.ljust(self._width), *said])


@contextlib.contextmanager
def _csv(path: str | os.PathLike, top: int) -> Iterator[_Write]:
    ranks = range(1, top + 1)
    columns = ["image", *(f"{what}_{n}" for n in ranks for what in ("class", "score")), "error"]
    with files.atomic_write(path) as temporary:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)

            def write(prediction: Prediction) -> None:
                pairs = zip(prediction.classes, prediction.scores, strict=True)
                row = [each for name, score in pairs for each in (cell(name), score)]
                row += [""] * (2 * top - len(row))
                writer.writerow([cell(prediction.image), *row, cell(prediction.error)])

            yield write


@contextlib.contextmanager
def _json(path: str | os.PathLike) -> Iterator[_Write]:
    with files.atomic_write(path) as temporary:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            separator = "[\n"

            def write(prediction: Prediction) -> None:
                nonlocal separator
                text = json.dumps(dataclasses.asdict(prediction), ensure_ascii=False)
                file.write(separator + text)
                separator = ",\n"

            yield write
            file.write("[]\n" if separator == "[\n" else "\n]\n")
