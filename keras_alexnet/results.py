"""Results with their provenance: results.json of a run, and the rows of results.csv."""

import csv
import datetime
import fcntl
import io
import os
import pathlib
import subprocess

import keras
import tensorflow as tf

from keras_alexnet import files
from keras_alexnet.errors import UserError

# The columns of saved_models/results.csv, in order.
COLUMNS = (
    "variant",
    "recipe",
    "dataset",
    "train_images",
    "validation_images",
    "test_images",
    "data_sha256",
    "seed",
    "epochs",
    "global_batch_size",
    "precision",
    "devices",
    "test_loss",
    "test_top1",
    "test_top5",
    "views",
    "seconds",
    "seconds_per_epoch",
    "commit",
    "tensorflow",
    "keras",
    "date",
    "skipped_images",
    "overrides",
)


def provenance() -> dict[str, str]:
    """Returns commit, library versions and the date (UTC) for a results row."""
    return {
        "commit": commit(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def commit() -> str:
    """Returns the commit of this package's checkout, with "+" where files differ from it.

    Outside a git checkout it is "unknown".
    """
    folder = pathlib.Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        # Installed inside another project's checkout, this package is not one of its files.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def record(path: str | os.PathLike, results: dict, columns: tuple[str, ...] = COLUMNS) -> None:
    """Adds a row of `columns` to the CSV file at `path`, which it creates if need be.

    A row that is there already is not added again. Runs that record at the same time take turns.

    Raises:
        UserError: if the file has other columns.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The folder is locked, since the file itself is replaced.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        rows, row = read_rows(path, columns), {name: _cell(results[name]) for name in columns}
        write_csv(path, rows if row in rows else [*rows, row])
    finally:
        os.close(folder)


def write_csv(path: str | os.PathLike, rows: list[dict]) -> None:
    """Writes `rows`, which have the keys of the first, to `path`, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    files.write_text(path, text.getvalue())


def _git(folder: pathlib.Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def read_rows(path: str | os.PathLike, columns: tuple[str, ...] = COLUMNS) -> list[dict]:
    """Returns the rows of a results file, none where there is no file.

    Raises:
        UserError: if the file has other columns.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    if tuple(reader.fieldnames or ()) != columns:
        raise UserError(
            f"{path} has the columns {reader.fieldnames}, not {', '.join(columns)}. "
            "Give --record another file."
        )
    return rows


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
