"""Tables in HTML, as notebooks show them."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_alexnet.utils.text import printable


class Results(dict[str, Any]):
    """The results of a call: a dict, which a notebook shows as a table.

    Example:
        >>> results = Results(test_top1=0.75)
        >>> results["test_top1"], results
        (0.75, {'test_top1': 0.75})
        >>> results._repr_html_().startswith("<table>")
        True
    """

    def _repr_html_(self) -> str:
        return _of_mapping(self)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Returns an HTML table of texts, which are escaped.

    Args:
        headings: the texts of the first row, which may be none.
        rows: the texts of the others.
        left: the number of columns, from the first, that are aligned to the left; the others, of
            numbers, are aligned to the right.

    Example:
        >>> table([], [["<a>"]])
        '<table><tr><td style="text-align: left">&lt;a&gt;</td></tr></table>'
    """
    lines = [_row("th", headings, left)] if headings else []
    lines += [_row("td", row, left) for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    sides = ("left" if column < left else "right" for column in range(len(cells)))
    found = (_cell(tag, _escaped(cell), side) for cell, side in zip(cells, sides, strict=True))
    return f"<tr>{''.join(found)}</tr>"


def _cell(tag: str, content: str, side: str) -> str:
    return f'<{tag} style="text-align: {side}">{content}</{tag}>'


def _of_mapping(values: Mapping[Any, Any]) -> str:
    rows = [
        f"<tr>{_cell('td', _escaped(name), 'left')}{_cell('td', _shown(value), 'left')}</tr>"
        for name, value in values.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _shown(value: Any) -> str:
    """A value of results.json: what has entries of its own opens at a click."""
    if isinstance(value, (list, tuple)):
        if not any(isinstance(each, (dict, list, tuple)) for each in value):
            return _escaped(", ".join(map(str, value)))
        value = dict(enumerate(value))
    if isinstance(value, dict):
        if not value:
            return ""
        return f"<details><summary>{len(value)}</summary>{_of_mapping(value)}</details>"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else _escaped(value)


def _escaped(value: object) -> str:
    return html.escape(printable(value))
