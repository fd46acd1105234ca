"""The labeled files of a layout, each of them once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from keras_alexnet.data.folders import files
from keras_alexnet.data.folders.layout import Layout, Place
from keras_alexnet.data.folders.tree import Folder, as_nfc
from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable


class LabeledFiles(NamedTuple):
    """Names of files below a data set's folder, the class of each, and their fingerprints' names.

    `hashed` are the names under which the fingerprint knows the files: those in a folder of class
    folders.
    """

    names: list[str]
    labels: list[int]
    hashed: list[str]


class Collected(NamedTuple):
    """The files of each split, in the order of their names, and why others were left out."""

    class_names: tuple[str, ...]
    splits: dict[str, LabeledFiles]
    left_out: dict[str, int]


def collected(root: Folder, layout: Layout) -> Collected:
    """Lists the files of each split and class.

    A file that links reach twice counts once in its class.

    Args:
        root: the folder that was read; all that is in it and not listed is counted.
        layout: what is listed.

    Raises:
        UserError: if a file is in two classes or two splits, by links.
    """
    class_names = tuple(sorted(set().union(*layout.splits.values())))
    once = _Once(any(folder.links for _, folder in root.all_below()))
    splits = {}
    for split, classes in layout.splits.items():
        found = LabeledFiles([], [], [])
        for label, name in enumerate(class_names):
            for file, hashed in sorted(once.of(split, name, classes[name]), key=_by_name):
                found.names.append(file)
                found.labels.append(label)
                found.hashed.append(hashed)
        splits[split] = found
    left_out = root.counted()
    left_out[files.TWICE] += once.twice
    left_out[files.NOT_IN_A_SPLIT] += sum(
        len(folder.images) for _, folder in root.all_below() if id(folder) not in once.folders
    )
    return Collected(class_names, splits, as_counts(left_out))


def as_counts(left_out: Counter[str]) -> dict[str, int]:
    """Returns why files were left out → how many, the most first."""
    return dict(sorted(((+left_out).items()), key=lambda item: (-item[1], item[0])))


def _by_name(found: tuple[str, str]) -> tuple[str, str]:
    return as_nfc(found[0]), found[0]


class _Once:
    """What was listed so far: folders by their identity and, if there are links, files by path."""

    def __init__(self, links: bool) -> None:
        self.folders: dict[int, tuple[str, str, str]] = {}  # → split, class, path
        self.twice = 0
        self._files: dict[str, tuple[str, str, str]] | None = {} if links else None

    def of(self, split: str, class_name: str, place: Place) -> Iterator[tuple[str, str]]:
        """Yields (name, name in the fingerprint) of a class's files."""
        start = len(place.path)
        waiting = [(place.path, place.folder)]
        while waiting:
            path, folder = waiting.pop()
            if self._known(self.folders, id(folder), (split, class_name, path)):
                self.twice += folder.count
                continue
            waiting += [(os.path.join(path, name), each) for name, each in folder.folders.items()]
            for name in folder.images:
                file = os.path.join(path, name)
                if self._files is not None:
                    real = folder.links.get(name) or os.path.join(folder.path, name)
                    if self._known(self._files, real, (split, class_name, file)):
                        self.twice += 1
                        continue
                yield file, as_nfc(place.hashed + file[start:])

    def _known(self, seen: dict, key: object, here: tuple[str, str, str]) -> bool:
        """Whether a file or folder was listed before, in the same class."""
        before = seen.setdefault(key, here)
        if before[:2] != here[:2]:
            raise UserError(
                f"{printable(before[2])} and {printable(here[2])} are the same by a link, but in "
                f"different {'classes' if before[1] != here[1] else 'splits'}. Remove one of them."
            )
        return before is not here
