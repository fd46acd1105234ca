"""The list of an unpacked archive's files, by which a cache notices that some were lost."""

import json
import os
import pathlib

from absl import logging

from keras_alexnet.data.folders.files import is_hidden
from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable


def write_list(folder: pathlib.Path, target: pathlib.Path) -> None:
    """Writes the list of the files in `folder` beside `target`, the name it gets afterwards."""
    files.write_json(list_of(target), _files_in(folder))


def are_whole(target: pathlib.Path, *, silent: bool = False) -> bool:
    """Returns whether an unpacked folder exists and has the files, as they were, that were listed.

    Otherwise, a message says what is wrong with a folder that exists, unless `silent`.
    """
    if not target.is_dir():
        return False
    try:
        listed = json.loads(list_of(target).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        listed = None
    if listed == _files_in(target):
        return True
    if not silent:
        problem = "has no list of its files" if listed is None else "has lost or changed files"
        logging.warning("%s %s, so it is unpacked again.", printable(target), problem)
    return False


def list_of(target: pathlib.Path) -> pathlib.Path:
    """Returns the file beside an unpacked folder that has the list of its files."""
    return target.with_name(f"{target.name}.json")


def _files_in(folder: pathlib.Path) -> dict[str, list[int]]:
    """Relative path → size and time of the last change, of all files but those systems leave."""
    found = {}
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if not is_hidden(name)]
        for name in names:
            if not is_hidden(name):
                path = os.path.join(parent, name)
                about = os.lstat(path)
                shown = printable(os.path.relpath(path, folder))
                found[shown] = [about.st_size, about.st_mtime_ns]
    return found
