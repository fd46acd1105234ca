"""A recipe's list of augmentations: names, parameters, and the epochs after which they end.

Reading it does not need TensorFlow, so a wrong name is found before TensorFlow is loaded.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from keras_alexnet.data.augmentation import Augmentation
from keras_alexnet.data.augmentations import get
from keras_alexnet.errors import UsageError


class Scheduled(NamedTuple):
    """An augmentation, and the epochs after which it ends; 0 if it never does."""

    augmentation: Augmentation
    until: int = 0


def parse(entries: Sequence[str]) -> list[Scheduled]:
    """Reads the augmentations of a recipe.

    Args:
        entries: each a name, optionally followed in parentheses by a parameter, by the epochs
            after which it ends, or by both: "flip", "color_noise(paper)", "crop(until=5)".

    Raises:
        UsageError: an entry has a different form, or a name occurs twice.

    Example:
        >>> [(each.augmentation.name, each.until) for each in parse(["crop", "flip(until=5)"])]
        [('crop', 0), ('flip', 5)]
    """
    scheduled = [_parse_one(entry) for entry in entries]
    names = [each.augmentation.name for each in scheduled]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"Each augmentation can be named only once. Received: {name} twice in "
                f"{','.join(entries)}."
            )
    return scheduled


def _parse_one(entry: str) -> Scheduled:
    found = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", entry)
    if found is None:
        raise UsageError(
            "An augmentation is a name, such as flip, or a name with a parameter, such as "
            f"color_noise(paper). Received: {entry!r}."
        )
    augmentation = get(found[1])
    arguments = [part.strip() for part in (found[2] or "").split(",") if part.strip()]
    until = [argument for argument in arguments if re.match(r"until\s*=", argument)]
    others = [argument for argument in arguments if argument not in until]
    try:
        epochs = until[0].split("=")[1].strip() if until else "0"
        if until and (len(until) > 1 or not epochs.isdecimal() or int(epochs) < 1):
            raise ValueError("until must be one whole number of epochs of at least 1")
        return Scheduled(augmentation(", ".join(others) or None), int(epochs))
    except ValueError as error:
        raise UsageError(
            f"The augmentation {found[1]} cannot be used like this: {error}. Received: {entry}."
        ) from error


def needs_statistics(entries: Sequence[str]) -> bool:
    """Returns whether one of a recipe's augmentations uses the statistics of training pixels.

    Example:
        >>> needs_statistics(["crop", "flip"]), needs_statistics(["color_noise(paper)"])
        (False, True)
    """
    return any(each.augmentation.needs_statistics for each in parse(entries))
