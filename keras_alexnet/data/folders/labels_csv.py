"""labels.csv: the labels, and the splits, of images that lie in no class folders."""

from __future__ import annotations

import csv
import io
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from keras_alexnet.data import archives, class_names
from keras_alexnet.data.folders import files, split_names
from keras_alexnet.data.folders.collect import Collected, LabeledFiles, as_counts
from keras_alexnet.data.folders.files import EXTENSIONS
from keras_alexnet.data.folders.tree import Folder, as_nfc
from keras_alexnet.errors import UserError
from keras_alexnet.utils.files import open_regular
from keras_alexnet.utils.text import printable

NAME = "labels.csv"

_HEADERS = {
    "file": ("file", "file_name", "filename", "file name", "name", "image", "image_name", "path")
    + ("image_id", "id", "img", "image_path", "filepath", "file_path"),
    "label": ("label", "labels", "class", "class_name", "category", "target", "breed", "species"),
    "split": ("split", "set", "subset", "part", "fold"),
}

_LARGEST_BYTES = 2**30


class _Row(NamedTuple):
    line: int
    file: str
    label: str
    split: str


def read_labels(path: str | os.PathLike, root: Folder, inside: str = "") -> Collected:
    """Reads a table of file name,label[,split] and finds its files.

    The first line may name the columns. A file is named by its path in the data folder, by its
    name alone or the end of its path if no other file has it, and always with or without its
    ending. Without a column of splits, the folders of a path say the split, if all do.

    Args:
        path: the file: UTF-8, with commas, semicolons or tabs.
        root: the data folder.
        inside: the relative path of the folder in it to which names in the result are relative.

    Raises:
        UserError: if the file cannot be read, a line cannot be used, a file does not exist, only
            some of the files lie in splits' folders, or there is nothing to train on for a class.
    """
    places = _places(root, inside)
    rows = list(_rows(pathlib.Path(path), places))
    names = class_names.checked(sorted({as_nfc(row.label) for row in rows}), path)
    number = {name: label for label, name in enumerate(names)}
    found: dict[str, list[tuple[str, str]]] = {}
    used: dict[str, int] = {}
    for row, split in zip(rows, _splits(path, rows, places), strict=True):
        file = _file(path, row, places)
        if file in used:
            raise _unusable(path, row.line, f"{file} was on line {used[file]} already")
        used[file] = row.line
        found.setdefault(split, []).append((as_nfc(row.label), file))
    splits = {}
    for split in sorted(found, key=("all", *split_names.SPLITS).index):
        pairs = sorted(found[split])
        prefix = [] if split == "all" else [split]
        hashed = [as_nfc("/".join([*prefix, label, file])) for label, file in pairs]
        labels = [number[label] for label, _ in pairs]
        splits[split] = LabeledFiles([file for _, file in pairs], labels, hashed)
    left_out = root.counted()
    left_out[files.NOT_LISTED] += sum(1 for _ in root.images_below()) - len(used)
    return Collected(names, splits, as_counts(left_out))


def _places(root: Folder, inside: str) -> dict[str, list[str]]:
    """Every way to name an image → the images that it can mean."""
    whole: dict[str, list[str]] = {}
    places: dict[str, list[str]] = {}
    for file, _ in root.images_below():
        relative = os.path.relpath(file, inside) if inside else file
        whole.setdefault(_normalized(relative), []).append(relative)
        parts = as_nfc(file).split(os.sep)
        for start in range(len(parts)):
            path = "/".join(parts[start:])
            for name in {path, _without_ending(path)}:
                places.setdefault(name, []).append(relative)
    return places | whole  # 1.png is that in the data folder, even if there is sub/1.png


def _without_ending(name: str) -> str:
    ending = files.ending_of(name)
    return name[: -len(ending)] if ending in EXTENSIONS else name


def _rows(path: pathlib.Path, places: dict[str, list[str]]) -> Iterator[_Row]:
    lines = _lines(path)
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        table = [(reader.line_num, [each.strip() for each in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise _unusable(path, reader.line_num, str(error)) from error
    columns = {"file": 0, "label": 1, "split": 2}
    if table and _normalized(table[0][1][0]) not in places:
        columns = _columns(path, table[0], places)
        table = table[1:]
    elif table and len(table[0][1]) > len(columns):
        raise _unusable(path, table[0][0], "it has more than file name,label,split")
    if not table:
        raise UserError(f"{printable(path)} is empty. It needs lines of file name,label.")
    for line, row in table:
        cells = {name: row[column] if column < len(row) else "" for name, column in columns.items()}
        if not cells["file"] or not cells["label"]:
            raise _unusable(path, line, "it has no file name or no label")
        yield _Row(line, cells["file"], cells["label"], cells.get("split", ""))


def _lines(path: pathlib.Path) -> list[str]:
    try:
        with open_regular(path) as file:
            contents = archives.read_up_to(file, _LARGEST_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"The labels {printable(path)} cannot be read: {error.strerror}."
        ) from error
    if len(contents) > _LARGEST_BYTES or b"\0" in contents:
        raise UserError(f"{printable(path)} is no table of labels: text with file name,label.")
    # Names of files may have bytes that are not UTF-8; names of classes are checked.
    return list(io.StringIO(contents.decode("utf-8-sig", "surrogateescape"), newline=""))


def _columns(
    path: pathlib.Path, header: tuple[int, list[str]], places: dict[str, list[str]]
) -> dict[str, int]:
    line, names = header
    lowered = [name.lower() for name in names]
    columns = {
        column: lowered.index(known)
        for column, choices in _HEADERS.items()
        for known in reversed(choices)
        if known in lowered
    }
    if not columns and files.ending_of(names[0]) in EXTENSIONS:
        raise _unusable(path, line, f"{names[0]} is not in the data folder")
    free = [index for index in range(len(names)) if index not in columns.values()]
    for column in ("file", "label"):
        if columns and column not in columns and len(free) == 1 and len(names) == 2:
            columns[column] = free.pop()
    if not {"file", "label"} <= set(columns):
        raise _unusable(
            path,
            line,
            f"it names the columns {', '.join(names)}, of which it is not known which is the file "
            "and which the label: name them file,label and, if there are any, split",
        )
    return columns


def _splits(
    path: str | os.PathLike, rows: Sequence[_Row], places: dict[str, list[str]]
) -> list[str]:
    """The split of every row."""
    if any(row.split for row in rows):
        splits = [split_names.split_of(row.split) for row in rows]
        for row, split in zip(rows, splits, strict=True):
            if split is None:
                raise _unusable(path, row.line, f"{row.split!r} is not train, val or test")
    else:
        splits = _splits_of_folders(path, [_file(path, row, places) for row in rows])
    if None in splits or len(set(splits)) < 2:
        return ["all"] * len(rows)
    _check_training(path, rows, splits)
    return [str(split) for split in splits]


def _splits_of_folders(path: str | os.PathLike, names: Sequence[str]) -> list[str | None]:
    """The split that a folder of each path is named after, or None."""
    splits: list[str | None] = []
    for name in names:
        found = list(filter(None, map(split_names.split_of, name.split(os.sep)[:-1])))
        splits.append(found[0] if found else None)
    if None in splits and len(set(splits)) > 2:
        known = next(name for name, split in zip(names, splits, strict=True) if split)
        other = names[splits.index(None)]
        raise UserError(
            f"{printable(path)} names images in folders of splits, such as {printable(known)}, and "
            f"others, such as {printable(other)}. Add a column split with train, val or test."
        )
    return splits


def _check_training(
    path: str | os.PathLike, rows: Sequence[_Row], splits: Sequence[str | None]
) -> None:
    trained = {
        as_nfc(row.label) for row, split in zip(rows, splits, strict=True) if split == "train"
    }
    for row, split in zip(rows, splits, strict=True):
        if trained and as_nfc(row.label) not in trained:
            raise _unusable(path, row.line, f"{row.label} is a class of {split}, but not of train")


def _file(path: str | os.PathLike, row: _Row, places: dict[str, list[str]]) -> str:
    found = places.get(_normalized(row.file), [])
    if len(found) != 1:
        known = f"names {len(found)} images, such as {found[0]}" if found else "is no image"
        raise _unusable(path, row.line, f"{row.file} {known} in the data folder")
    return found[0]


def _normalized(name: str) -> str:
    return as_nfc(os.path.normpath(name.replace("\\", "/")).replace(os.sep, "/"))


def _unusable(path: str | os.PathLike, line: int, problem: str) -> UserError:
    return UserError(
        f"Line {line} of {printable(path)} cannot be used: {printable(problem)}. Lines are file "
        "name,label or file name,label,split."
    )
