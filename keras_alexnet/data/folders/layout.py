"""Which folders of a tree are splits, and which are classes."""

from __future__ import annotations

import os
from typing import NamedTuple

from keras_alexnet.data import class_names
from keras_alexnet.data.folders import doubts, split_names
from keras_alexnet.data.folders.files import EXTENSIONS
from keras_alexnet.data.folders.tree import Folder, as_nfc
from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

LAYOUT = "Expected train/<class>/… with test/ or val/, or <class>/…."


class Place(NamedTuple):
    """A folder of images of one class.

    `path` is relative to the data set's folder, and so is `hashed`, under which the fingerprint
    knows it: the same for the same images in a different layout.
    """

    path: str
    folder: Folder
    hashed: str


class Layout(NamedTuple):
    """Split → name of a class → its place; `note` says how the folders were read, if it matters.

    The splits are "train", "val" and "test", or some of them, or only "all".
    """

    splits: dict[str, dict[str, Place]]
    note: str | None = None


def subfolders(folder: Folder) -> dict[str, Folder]:
    """Returns the folders in a folder, without those that hold only training runs."""
    return {name: each for name, each in folder.folders.items() if not each.holds_only_runs}


def unwrapped(root: Folder, splits: str | None) -> tuple[str, Folder]:
    """Steps into folders that only hold another one, as in many archives.

    Returns:
        The relative path of the folder that holds splits or classes, and the folder.
    """
    wanted = [] if splits is None else split_names.parsed(splits).values()
    path, folder = "", root
    while not (wanted and all(at(folder, name) for name in wanted)):
        below = subfolders(folder)
        if len(below) != 1 or folder.images:
            break
        [(name, inner)] = below.items()
        inside = subfolders(inner)
        holds_splits = len(list(filter(split_names.split_of, inside))) > 1
        if not inside or (split_names.split_of(name) and not holds_splits):
            break
        path, folder = os.path.join(path, name), inner
    return path, folder


def at(folder: Folder, path: str) -> Folder | None:
    """Returns the folder at a relative path, or None."""
    for name in path.split(os.sep):
        if name == os.curdir:
            continue
        named = {as_nfc(each): inner for each, inner in folder.folders.items()}
        found = folder.folders.get(name) or named.get(as_nfc(name))
        if found is None:
            return None
        folder = found
    return folder


def find_layout(root: Folder, splits: str | None) -> Layout:
    """Decides which folders are splits and which are classes.

    Args:
        root: the data set's folder, unwrapped.
        splits: the setting that says which folders are splits, or None to recognize them.

    Raises:
        UsageError: if `splits` cannot be read.
        UserError: if the folders do not say which they are, or a class has no image.
    """
    if splits is None:
        layout = _recognized(root)
    elif named := split_names.parsed(splits):
        layout = _as_named(root, named)
    else:
        layout = Layout({"all": _classes(root, "", "")})
    _check_images(root, layout)
    return layout


def _recognized(root: Folder) -> Layout:
    below = subfolders(root)
    named = {name: split for name in below if (split := split_names.split_of(name))}
    if len(named) < len(below):
        named = {name: split for name, split in named.items() if not split_names.is_short(name)}
    # A folder "train" that has images but no folders is a class (of vehicles), not a split.
    if any(subfolders(below[name]) for name in named):
        doubts.refuse_splits(root, below, named)
        return _in_splits(root, {split: name for name, split in named.items()}, trusted=False)
    doubts.refuse_flat(root, below, named)
    within = _splits_within_classes(root, below)
    if within is not None:
        return within
    doubts.refuse_classes(root, below)
    return Layout({"all": _classes(root, "", "")})


def _as_named(root: Folder, named: dict[str, str]) -> Layout:
    for split, path in named.items():
        found = at(root, path)
        if found is None:
            raise UserError(
                f"splits names {printable(path)} as {split}, but {doubts.listed_in(root)}. Name "
                "folders in the data folder."
            )
        doubts.refuse_unlabeled(root, path, found, advise_splits=False)
    return _in_splits(root, named, trusted=True)


def _in_splits(root: Folder, paths: dict[str, str], *, trusted: bool) -> Layout:
    splits = {}
    for split, path in sorted(paths.items(), key=lambda item: item[1]):
        part = at(root, path)
        assert part is not None
        path, part = _stepped_in(path, part, split)
        same = split_names.EXACT.get(path) == split
        if not trusted:
            doubts.refuse_classes(part, subfolders(part), inside=path)
        splits[split] = _classes(part, path, path if same else split)
    _check_same_classes(root, paths, splits)
    as_read = [
        f"{printable(paths[split])}/ as {split}" for split in split_names.SPLITS if split in splits
    ]
    usual = all(split_names.EXACT.get(path) == split for split, path in paths.items())
    return Layout(splits, None if usual else f"read as splits: {', '.join(as_read)}")


def _stepped_in(path: str, part: Folder, split: str) -> tuple[str, Folder]:
    """Steps into train/train/, in which some archives wrap a split once more."""
    below = subfolders(part)
    if len(below) == 1 and not part.images:
        [(name, inner)] = below.items()
        again = name == os.path.basename(path) or split_names.split_of(name) == split
        if again and subfolders(inner):
            return os.path.join(path, name), inner
    return path, part


def _splits_within_classes(root: Folder, below: dict[str, Folder]) -> Layout | None:
    """Reads <class>/train/ and <class>/test/, if every class has them."""
    within = {
        name: {each: split for each in subfolders(folder) if (split := split_names.split_of(each))}
        for name, folder in below.items()
    }
    if not any(doubts.is_divided(below[name], found) for name, found in within.items()):
        return None
    doubts.refuse_unequal_splits(root, below, within)
    splits: dict[str, dict[str, Place]] = {}
    for name, found in within.items():
        for each, split in found.items():
            folder = below[name].folders[each]
            place = Place(os.path.join(name, each), folder, os.path.join(split, as_nfc(name)))
            splits.setdefault(split, {})[as_nfc(name)] = place
    _check_names(root, below)
    splits = {split: splits[split] for split in split_names.SPLITS if split in splits}
    names = ", ".join(f"<class>/{printable(each)}/" for each in next(iter(within.values())))
    return Layout(splits, f"read as splits: {names}")


def _classes(folder: Folder, path: str, hashed: str) -> dict[str, Place]:
    below = subfolders(folder)
    if not below:
        raise UserError(
            f"{printable(folder.path)} has no class folder: it is empty or half unpacked. {LAYOUT}"
        )
    _check_names(folder, below)
    return {
        as_nfc(name): Place(os.path.join(path, name), each, os.path.join(hashed, as_nfc(name)))
        for name, each in below.items()
    }


def _check_names(folder: Folder, below: dict[str, Folder]) -> None:
    class_names.checked(list(below), f"The folder {folder.path}")


def _check_same_classes(
    root: Folder, paths: dict[str, str], splits: dict[str, dict[str, Place]]
) -> None:
    every = sorted(set().union(*splits.values()))
    missing = [
        f"{printable(paths[split])}/ lacks {doubts.listed(sorted(set(every) - set(classes)))}"
        for split, classes in splits.items()
        if len(classes) < len(every)
    ]
    if missing:
        raise UserError(
            f"The splits of {printable(root.path)} must have the same class folders. Received: "
            f"{'; '.join(missing)}. Complete or rename the folders; or name only some of the "
            "splits with --splits. (keras-alexnet predict is for images without labels.)"
        )


def _check_images(root: Folder, layout: Layout) -> None:
    for classes in layout.splits.values():
        for place in classes.values():
            if not place.folder.count:
                counted = place.folder.counted()
                also = ", ".join(f"{count} {reason}" for reason, count in counted.items())
                raise UserError(
                    f"The class folder {printable(os.path.join(root.path, place.path))} has no "
                    f"image{f' (left out: {also})' if also else ''}. Images end in "
                    f"{', '.join(EXTENSIONS)}. Add images, or remove the folder from every split."
                )
