"""Markdown tables."""

import pathlib
from collections.abc import Iterable, Sequence

from keras_alexnet.utils import files


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a Markdown table.

    Example:
        >>> print(table(["name", "size"], [["a", 1]]))
        | name | size |
        |---|---|
        | a | 1 |
    """
    lines = [headings, *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    header, *body = [f"| {' | '.join(line)} |" for line in cells]
    return "\n".join([header, "|" + "---|" * len(headings), *body])


def read_csv(path: pathlib.Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file with a header."""
    return files.read_csv(path)[1]
