"""Cells of CSV files, which spreadsheets must not take for formulas."""

import re
from typing import Any

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def cell(value: Any) -> str:
    """Returns the text of a cell: numbers with six digits, "" for None, other text without danger.

    A spreadsheet computes a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return.
    An apostrophe is put before such a text, unless it is a number.

    Example:
        >>> cell(0.123456789), cell(-0.5), cell("=1+1"), cell("-0.5"), cell("cat")
        ('0.123457', '-0.5', "'=1+1", '-0.5', 'cat')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def text_of(found: str) -> str:
    """Returns the text of a cell that `cell` wrote, without the apostrophe before it.

    Example:
        >>> text_of("'=1+1"), text_of("cat")
        ('=1+1', 'cat')
    """
    return found[1:] if found.startswith("'") and _FORMULA.match(found) else found
