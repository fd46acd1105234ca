"""What a benchmark found: rows for a table, sentences, and all measurements for JSON."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from keras_alexnet.utils.text import aligned

_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes:
        rows: the lines of the table: the name of a column → a text, a number, or None.
        words: what was found, in sentences.
        details: all else that was measured, for JSON.
    """

    rows: Sequence[Mapping[str, Any]] = ()
    words: Sequence[str] = ()
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def as_text(self) -> str:
        """Returns the table and the sentences, as lines of text.

        Example:
            >>> print(Report([{"network": "cifar_v2", "images/s": 1234.5}], ["Fast."]).as_text())
            network   images/s
            cifar_v2     1,234
            Fast.
        """
        lines = list(self.words)
        if self.rows:
            columns = list(dict.fromkeys(name for row in self.rows for name in row))
            cells = [[_cell(row.get(name)) for name in columns] for row in self.rows]
            left = [any(isinstance(row.get(name), str) for row in self.rows) for name in columns]
            alignments = "".join("<" if each else ">" for each in left)
            lines = [*aligned([columns, *cells], alignments), *lines]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Returns all of it as lists, dicts and numbers, for JSON."""
        return {"rows": list(map(dict, self.rows)), "words": list(self.words), **self.details}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    whole = len(f"{abs(value):.0f}")
    return f"{value:,.{max(0, _DIGITS - whole)}f}"
