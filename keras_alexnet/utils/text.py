"""Text from outside, such as names of files and classes, made safe to print."""

import unicodedata
from collections.abc import Sequence

_JOINERS = "\u200c\u200d"  # they shape letters of Persian and Hindi, and emoji


def printable(text: object, most: int | None = None) -> str:
    r"""Returns text that stays on its line and changes nothing else on a terminal or in a log.

    Line breaks, control characters and marks that reverse the direction of writing are escaped, and
    so are bytes of a file's name that are not UTF-8.

    Args:
        text: the text, or what `str` makes one of.
        most: the number of characters after which it ends with an ellipsis; by default all.

    Example:
        >>> printable("two\nlines"), printable("caf\udce9.png"), printable("endless", most=3)
        ('two\\nlines', 'caf\\xe9.png', 'end…')
    """
    text = str(text)
    if most is None:
        return "".join(map(_escaped, text))
    found = "".join(map(_escaped, text[: most + 1]))
    return found if len(found) <= most else f"{found[:most]}…"


def is_printable(text: str) -> bool:
    r"""Returns whether `printable` would leave a text as it is.

    Example:
        >>> is_printable("Café 日本"), is_printable("red\x1b[31m")
        (True, False)
    """
    return printable(text) == text


def aligned(rows: Sequence[Sequence[str]], alignments: str) -> list[str]:
    """Returns the lines of a table, the columns two spaces apart.

    Args:
        rows: the cells of each line.
        alignments: for each column `<`, to the left, or `>`, to the right.

    Example:
        >>> aligned([["layer", "MACs"], ["conv1", "7"]], "<>")
        ['layer  MACs', 'conv1     7']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(_padded, row, widths, alignments)).rstrip() for row in rows]


def _padded(cell: str, width: int, alignment: str) -> str:
    return f"{cell:{alignment}{width}}"


def _escaped(character: str) -> str:
    if character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs":
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8, as os.fsdecode returns it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return repr(character)[1:-1]
