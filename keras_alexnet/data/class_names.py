"""The names of classes, which go into lines, tables, pictures and files."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

from keras_alexnet.errors import UserError
from keras_alexnet.utils.text import is_printable, printable


def checked(class_names: Sequence[str], where: object) -> tuple[str, ...]:
    r"""Returns the names of classes with composed characters (NFC), if all of them can be used.

    Args:
        class_names: the names, in order.
        where: what they are the classes of, for messages.

    Raises:
        UserError: if a name is empty, has a line break, another control character, bytes that are
            not UTF-8, or a blank at an end, or if two names are the same.

    Example:
        >>> checked(["cafe\u0301", "tea"], "drinks")
        ('café', 'tea')
    """
    names = tuple(unicodedata.normalize("NFC", name) for name in class_names)
    for name in names:
        problem = _problem(name)
        if problem:
            raise UserError(
                f"{printable(where)} has a class named '{printable(name)}', which {problem}. "
                "Labels are lines of a file and stand in tables: rename it."
            )
    [(most_common, times)] = Counter(names).most_common(1) or [("", 0)]
    if times > 1:
        raise UserError(
            f"{printable(where)} has more than one class named {most_common!r}, if accents written "
            "in two ways are the same. Rename or merge them."
        )
    return names


def alike(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns the first names that differ only in upper and lower case; single letters may.

    Example:
        >>> alike(["A", "a", "cat", "Cat", "dog"])
        ('cat', 'Cat')
    """
    names: dict[str, list[str]] = {}
    for name in class_names:
        names.setdefault(name.casefold(), []).append(name)
    return next((tuple(each) for each in names.values() if len(each) > 1 and len(each[0]) > 1), ())


def _problem(name: str) -> str | None:
    if not name.strip():
        return "is empty"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "is not valid UTF-8"
    if not is_printable(name):
        return "has a line break or another character that cannot be printed"
    if name != name.strip():
        return "begins or ends with a blank"
    return None
