"""The tree of folders and images below a data folder, read once and safely."""

from __future__ import annotations

import dataclasses
import functools
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from keras_alexnet.data.folders import files
from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

_DEEPEST = 64
# What a run, or an evaluation with pictures, leaves in a folder.
_OF_RUNS = (
    {"config.json", "model.keras"},
    {"config.json", "metrics.csv"},
    {"config.json", "checkpoints"},
    {"confusion.png", "per_class.csv"},
)


@dataclasses.dataclass(eq=False)
class Folder:
    """One folder: the names of its images, and the folders in it.

    A folder that links reach in several places is one object.

    Attributes:
        path: its real path.
        images: names of the image files directly in it, sorted.
        folders: name → folder, sorted.
        links: name of an image that is a link → the real path of its file.
        left_out: why files directly in it were left out → how many.
        tables: names of CSV files directly in it.
        is_run: whether it is the folder of a training run.
    """

    path: str
    images: list[str] = dataclasses.field(default_factory=list)
    folders: dict[str, Folder] = dataclasses.field(default_factory=dict)
    links: dict[str, str] = dataclasses.field(default_factory=dict)
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    tables: list[str] = dataclasses.field(default_factory=list)
    is_run: bool = False

    def images_below(self, relative: str = "") -> Iterator[tuple[str, Folder]]:
        """Yields (the name of an image relative to `relative`, its folder), each folder once."""
        for where, folder in self.all_below(relative):
            for name in folder.images:
                yield os.path.join(where, name), folder

    def all_below(self, relative: str = "") -> Iterator[tuple[str, Folder]]:
        """Yields (relative path, folder) of this folder and of all below it, each once."""
        seen = set()
        waiting = [(relative, self)]
        while waiting:
            where, folder = waiting.pop()
            if id(folder) not in seen:
                seen.add(id(folder))
                yield where, folder
                below = [(os.path.join(where, name), each) for name, each in folder.folders.items()]
                waiting += reversed(below)

    @functools.cached_property
    def count(self) -> int:
        """The number of images in it and below."""
        return sum(len(folder.images) for _, folder in self.all_below())

    @property
    def holds_only_runs(self) -> bool:
        """Whether all that is in it are folders of training runs."""
        return not self.count and any(folder.is_run for _, folder in self.all_below())

    def counted(self) -> Counter[str]:
        """Returns why files in it and below were left out → how many."""
        total: Counter[str] = Counter()
        for _, folder in self.all_below():
            total += folder.left_out
        return total


class Source(Protocol):
    """Where folders are read, such as a disk or an archive."""

    def entries(self, path: str) -> Sequence[Any]:
        """Returns what is in a folder, as objects that have what `os.DirEntry` has."""

    def beginning(self, path: str, size: int) -> bytes:
        """Returns the first bytes of a file."""


def read_tree(folder: str | os.PathLike, source: Source | None = None) -> Folder:
    """Reads a folder with all folders below it; links are followed, but never in a circle.

    Named pipes and the like are never opened. The pictures of training runs below the folder are
    left out.

    Args:
        folder: its path.
        source: what reads it; by default the disk.

    Raises:
        UserError: if a folder cannot be read, or is too deep.
    """
    path = os.fspath(folder)
    real = os.path.realpath(folder) if source is None else path
    return _Reading(source or _Disk()).folder(path, real, 0)


def as_nfc(name: str) -> str:
    """Returns a name with composed characters, which macOS writes decomposed."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class _Reading:
    """One reading of a tree; knows the folders that were read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[str, Folder] = {}
        self._around: list[str] = []  # real paths of the folders around the one being read
        self._tried: dict[str, str] = {}  # ending → why files with it are left out

    def folder(self, path: str, real: str, depth: int) -> Folder:
        if real in self._read:
            return self._read[real]
        if depth > _DEEPEST:
            raise UserError(f"{printable(path)} lies more than {_DEEPEST} folders deep.")
        found = Folder(real)
        self._around.append(real)
        entries = sorted(
            self._source.entries(path), key=lambda entry: (as_nfc(entry.name), entry.name)
        )
        found.is_run = any(names <= {entry.name for entry in entries} for names in _OF_RUNS)
        if found.is_run and depth:
            found.left_out[files.OF_A_RUN] += len(entries)
        else:
            for entry in entries:
                self._add(found, entry, depth)
        self._around.pop()
        self._read[real] = found
        return found

    def _add(self, found: Folder, entry: os.DirEntry, depth: int) -> None:
        name = entry.name
        is_folder, is_file = _kind(entry)
        if is_file and name.endswith(files.UNFINISHED):
            return  # it is of this package, and gone soon
        if files.is_hidden(name):
            found.left_out[files.HIDDEN] += 1
        elif is_folder:
            linked = entry.is_symlink()
            real = os.path.realpath(entry.path) if linked else os.path.join(found.path, name)
            if real in self._around:
                found.left_out[files.LINK_BACK] += 1
            else:
                found.folders[name] = self.folder(entry.path, real, depth + 1)
        elif not is_file and os.path.exists(entry.path):
            found.left_out[files.NO_FILE] += 1
        elif files.is_image(entry.path, name, self._source.beginning):
            # A link to nothing that is named as an image is one that cannot be read.
            found.images.append(name)
            if entry.is_symlink():
                found.links[name] = os.path.realpath(entry.path)
        else:
            found.left_out[self._why(entry, is_file)] += 1
            if is_file and files.ending_of(name) in (".csv", ".tsv"):
                found.tables.append(name)

    def _why(self, entry: os.DirEntry, is_file: bool) -> str:
        if not is_file:
            return files.LINK_TO_NOTHING
        ending = files.ending_of(entry.name)
        if ending not in self._tried:  # one file of each ending is looked into
            self._tried[ending] = files.why_left_out(entry.path, entry.name, self._source.beginning)
        return self._tried[ending]


class _Disk:
    def entries(self, path: str) -> Sequence[os.DirEntry]:
        try:
            with os.scandir(path) as entries:
                return list(entries)
        except OSError as error:
            raise UserError(
                f"The folder {printable(path)} cannot be read: {error.strerror}. Make it readable, "
                "or move it away."
            ) from error

    def beginning(self, path: str, size: int) -> bytes:
        return files.beginning(path, size)


def _kind(entry: os.DirEntry) -> tuple[bool, bool]:
    """Whether an entry is a folder, and whether it is a file, links followed."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # a link that leads to itself
        return False, False
