"""Folders that do not say which of them are splits or classes: what is refused, in which words."""

from __future__ import annotations

import itertools
import os
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from keras_alexnet.data.folders import split_names
from keras_alexnet.data.folders.tree import Folder
from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import printable

_SHOWN = 6
_NONE = "--splits none (splits='none') if all folders there are classes"
# Names of the only folder in a class's folder that say nothing.
_SAYS_NOTHING = {"image", "images", "img", "imgs", "jpg", "jpeg", "png", "photos", "pictures"}
# Names of folders of what segmentation and detection learn.
_NO_CLASSES = {"mask", "masks", "label", "labels", "annotation", "annotations", "annots"} | {
    *("gt", "groundtruth", "ground_truth", "segmentation", "segmentations", "trimaps", "bboxes"),
    *_SAYS_NOTHING,
}


def listed(names: Collection[str]) -> str:
    """Returns names for a message, the first few of them."""
    shown = [printable(name) for name in itertools.islice(names, _SHOWN)]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def listed_in(folder: Folder) -> str:
    """Returns what a folder holds, as a part of a sentence."""
    return f"{printable(folder.path)} holds {_as_folders(folder.folders) or 'no folder'}"


def refuse_splits(root: Folder, below: Mapping[str, Folder], named: Mapping[str, str]) -> None:
    """Raises a `UserError` unless folders named like splits are all that holds images.

    Args:
        root: the data set's folder.
        below: the folders in it.
        named: those named like splits → the split.
    """
    others = [name for name, each in below.items() if name not in named and each.count]
    if others:
        raise UserError(
            f"{_as_folders(named)} in {printable(root.path)} {_looks(named)}, but other folders "
            f"with images lie beside: {_as_folders(others)}. Pass --splits {_flag(named)} to read "
            f"only these, or {_NONE}."
        )
    for name in named:
        refuse_unlabeled(root, name, below[name], advise_splits=len(named) > 1)
    for split, times in Counter(named.values()).items():
        if times > 1:
            same = [name for name, each in named.items() if each == split]
            raise UserError(
                f"{printable(root.path)} has more than one folder for {split}: "
                f"{_as_folders(same)}. Say which to read, such as --splits {_flag(named)}, or "
                "merge them."
            )


def refuse_unlabeled(root: Folder, name: str, folder: Folder, *, advise_splits: bool) -> None:
    """Raises a `UserError` for a split's folder of images without class folders."""
    if folder.images and not folder.folders:
        labels = _labels(root)
        others = ", or name only the other folders with --splits" if advise_splits else ""
        raise UserError(
            f"{printable(name)}/ in {printable(root.path)} holds {len(folder.images)} images, such "
            f"as {printable(folder.images[0])}, but no class folders, so their labels are not "
            "known. keras-alexnet predict is for images without labels. To leave them out, move "
            f"the folder away{others}. If the labels are known: {labels[0].lower()}{labels[1:]}."
        )


def refuse_flat(root: Folder, below: Mapping[str, Folder], named: Mapping[str, str]) -> None:
    """Raises a `UserError` for images that lie in no class folders."""
    flat = [name for name in named if below[name].images]
    if len({named[name] for name in flat}) > 1 or (flat and len(below) == 1):
        raise UserError(
            f"{_as_folders(flat)} in {printable(root.path)} {_looks(flat)}, with images (such as "
            f"{_example(below[flat[0]])}) but no class folders, so their labels are not known. "
            f"{_labels(root)}. Pass {_NONE}. (keras-alexnet predict is for images without labels.)"
        )
    if root.images and not below:
        raise UserError(
            f"{printable(root.path)} holds {len(root.images)} images, such as {_example(root)}, "
            f"but no class folder, so their labels are not known. {_labels(root)}. (keras-alexnet "
            "predict is for images without labels.)"
        )


def refuse_classes(root: Folder, below: Mapping[str, Folder], inside: str = "") -> None:
    """Raises a `UserError` for folders that look like copies or splits rather than classes.

    Args:
        root: the folder that they are in.
        below: the folders.
        inside: the split that they are in.
    """
    if root.images and below:
        raise UserError(
            f"{len(root.images)} images, such as {_example(root)}, lie directly in "
            f"{printable(root.path)} beside class folders ({_as_folders(below)}), so their class "
            f"is not known. Move them into class folders or away; or pass "
            f"{_left_out_flag(root, below, inside)} to leave them out."
        )
    hints = {name: split for name in below if (split := split_names.hint_of(name))}
    # Two of many classes may be a bullet train and a test tube, with images directly in them.
    most = len(hints) * 2 > len(below) or not any(below[name].images for name in hints)
    if most and len(set(hints.values())) > 1:
        raise UserError(
            f"{_as_folders(hints)} in {printable(root.path)} {_looks(hints)} rather than classes. "
            f"Pass --splits {_flag(hints)} to read only these, or {_NONE}."
        )
    _refuse_copies(root, below)
    _refuse_masks(root, below)
    _refuse_splits_below(root, below)


def is_divided(folder: Folder, splits: Mapping[str, str]) -> bool:
    """Returns whether folders named like splits in a class's folder look like splits of it.

    One of them beside others may be a kind of it: vehicles/train beside vehicles/bus.
    """
    only_these = len(splits) == len(folder.folders) and not folder.images
    return bool(splits) and (only_these or len(set(splits.values())) > 1)


def refuse_unequal_splits(
    root: Folder, below: Mapping[str, Folder], within: Mapping[str, Mapping[str, str]]
) -> None:
    """Raises a `UserError` unless each class's folder holds the same splits and nothing else."""
    first = next(name for name, found in within.items() if is_divided(below[name], found))
    wanted = set(within[first])
    for name, found in within.items():
        alike = set(found) == wanted and len(set(found.values())) == len(found)
        whole = len(below[name].folders) == len(found) and not below[name].images
        if not (alike and whole):
            raise UserError(
                f"{printable(first)}/ in {printable(root.path)} holds {_as_folders(wanted)}, which "
                f"look like splits of one class, but {printable(name)}/ "
                f"{_holds(below[name])}. Give every class the same splits, or better train/<class> "
                f"and test/<class>; or pass {_NONE} and the folders in them do not matter."
            )


def _refuse_copies(root: Folder, below: Mapping[str, Folder]) -> None:
    inner = {
        name: set(each.folders)
        for name, each in below.items()
        if each.folders and not each.images and set(each.folders) - _SAYS_NOTHING
    }
    seen: dict[str, str] = {}
    for name, names in inner.items():
        beside = (names & set(below)) - {name}
        if beside and len(beside) * 2 >= len(names):
            raise UserError(
                f"{printable(name)}/ in {printable(root.path)} holds folders of the same names as "
                f"those beside it ({listed(sorted(beside))}), so it looks like a copy rather than "
                f"a class. Move it away, or pass {_NONE}."
            )
        for other in sorted({seen[each] for each in names if each in seen}):
            shared = names & inner[other]
            if len(shared) * 2 >= len(names | inner[other]):
                raise UserError(
                    f"{printable(other)}/ and {printable(name)}/ in {printable(root.path)} hold "
                    f"folders of the same names ({listed(sorted(shared))}), so they look like "
                    "copies or splits of one data set rather than two classes. Pass one of them "
                    "as --data_dir, or say with --splits train=<folder>,test=<folder> which are "
                    f"splits, or pass {_NONE}."
                )
        seen |= dict.fromkeys(names, name)


def _refuse_masks(root: Folder, below: Mapping[str, Folder]) -> None:
    names = {name.lower() for name in below}
    if len(names) > 1 and names & _SAYS_NOTHING and names <= _NO_CLASSES:
        raise UserError(
            f"{_as_folders(below)} in {printable(root.path)} look like images and masks or labels "
            f"of them rather than classes. Sort the images into class folders, or pass {_NONE}."
        )


def _refuse_splits_below(root: Folder, below: Mapping[str, Folder]) -> None:
    for path, folder in itertools.chain.from_iterable(
        each.all_below(name) for name, each in below.items()
    ):
        named = {name: split_names.split_of(name) for name in folder.folders}
        found = [name for name, split in named.items() if split and folder.folders[name].count]
        if len({named[name] for name in found}) > 1:
            raise UserError(
                f"{_as_folders(found)} in {printable(os.path.join(root.path, path))} "
                f"{_looks(found)} inside of the class {printable(path.split(os.sep)[0])}/. Sort "
                f"the images into train/<class> and test/<class>, or pass {_NONE}."
            )


def _labels(root: Folder) -> str:
    found = f" (there is {listed(root.tables)})" if root.tables else ""
    return (
        "Put a file labels.csv with lines of file name,label (and ,split) into the data folder, or "
        f"name such a file with --labels_csv{found}; or sort the images into class folders"
    )


def _as_folders(names: Iterable[str]) -> str:
    return listed([f"{name}/" for name in names])


def _looks(names: Collection[str]) -> str:
    return "looks like a split" if len(names) == 1 else "look like splits"


def _holds(folder: Folder) -> str:
    images = [f"{len(folder.images)} images"] if folder.images else []
    return f"holds {' and '.join([*images, _as_folders(folder.folders)])}".rstrip(" ")


def _flag(named: Mapping[str, str]) -> str:
    """The setting that names these folders, the first of each split, as typed in a shell."""
    first = {split: name for name, split in reversed(list(named.items())) if split != "other"}
    setting = ",".join(f"{split}={printable(first[split])}" for split in sorted_splits(first))
    return shlex.quote(setting)


def sorted_splits(splits: Iterable[str]) -> list[str]:
    """Returns names of splits in the usual order."""
    return sorted(splits, key=split_names.SPLITS.index)


def _left_out_flag(root: Folder, below: Mapping[str, Folder], inside: str) -> str:
    if inside:
        return "--splits with the folders of all splits, such as train=train,test=test,"
    if len(below) == 1:
        return f"--data_dir {printable(os.path.join(root.path, *below))}"
    return "--splits none (splits='none')"


def _example(folder: Folder) -> str:
    return printable(folder.images[0])
