"""Pairs of images: of two files, of two folders by their names, or of a file and a folder."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from keras_alexnet.predicting.images import InputImage, input_images


class Pair(NamedTuple):
    """Two images to compare, or one without a partner.

    Attributes:
        name: the name of the pair: that of an image, relative to its folder.
        first, second: the images; None if there is none of this name.
    """

    name: str
    first: InputImage | None
    second: InputImage | None


def pair_images(first: str, second: str) -> list[Pair]:
    """Finds the images to compare, without reading them.

    The images of two folders, and of all folders below them, are paired by their names; those that
    are left, by their names without endings, so that `a.png` is compared with `a.jpg`. If only one
    is a folder, all its images are compared with the file.

    Raises:
        UserError: a folder has no images.

    Example:
        >>> [pair.name for pair in pair_images("a.png", "b/a.jpg")]
        ['a.png']
    """
    images = list(input_images(first)), list(input_images(second))
    are_folders = os.path.isdir(first), os.path.isdir(second)
    if not any(are_folders):
        return [Pair(os.path.basename(images[0][0].name), images[0][0], images[1][0])]
    of_first, of_second = _relative(images[0], first), _relative(images[1], second)
    if not are_folders[0]:
        return [Pair(name, images[0][0], each) for name, each in of_second.items()]
    if not are_folders[1]:
        return [Pair(name, each, images[1][0]) for name, each in of_first.items()]
    return sorted(_by_name(of_first, of_second))


def _relative(images: Iterable[InputImage], folder: str) -> dict[str, InputImage]:
    return {os.path.relpath(image.name, folder): image for image in images}


def _by_name(first: dict[str, InputImage], second: dict[str, InputImage]) -> list[Pair]:
    """Pairs the images by name, then the others by name without ending; both dicts are emptied."""
    found = [Pair(name, first.pop(name), second.pop(name)) for name in [*first] if name in second]
    stems = _only_once(first), _only_once(second)
    for stem in [stem for stem in stems[0] if stem in stems[1]]:
        name = stems[0][stem]
        found.append(Pair(name, first.pop(name), second.pop(stems[1][stem])))
    found += [Pair(name, image, None) for name, image in first.items()]
    return found + [Pair(name, None, image) for name, image in second.items()]


def _only_once(names: Iterable[str]) -> dict[str, str]:
    """Returns a dict: name without ending → name, where only one has it."""
    stem: Callable[[str], str] = lambda name: os.path.splitext(name)[0]  # noqa: E731
    counts = Counter(map(stem, names))
    return {stem(name): name for name in names if counts[stem(name)] == 1}
