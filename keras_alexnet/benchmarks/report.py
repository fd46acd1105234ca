"""What a benchmark found: rows for a table, sentences, and all measurements for JSON."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from keras_alexnet.errors import Interrupted, UsageError, UserError, first_line
from keras_alexnet.utils.text import aligned

_DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes:
        rows: the lines of the table: the name of a column → a text, a number, or None.
        words: what was found, in sentences.
        details: all else that was measured, for JSON.
        failed: what could not be measured → why.
    """

    rows: Sequence[Mapping[str, Any]] = ()
    words: Sequence[str] = ()
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    failed: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def as_text(self) -> str:
        """Returns the table and the sentences, as lines of text.

        Example:
            >>> print(Report([{"network": "cifar_v2", "images/s": 1234.5}], ["Fast."]).as_text())
            network   images/s
            cifar_v2     1,234
            Fast.
        """
        lines = [*self.words, *(f"{name} failed: {why}" for name, why in self.failed.items())]
        if self.rows:
            columns = list(dict.fromkeys(name for row in self.rows for name in row))
            cells = [[_cell(row.get(name)) for name in columns] for row in self.rows]
            left = [any(isinstance(row.get(name), str) for row in self.rows) for name in columns]
            alignments = "".join("<" if each else ">" for each in left)
            lines = [*aligned([columns, *cells], alignments), *lines]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Returns all of it as lists, dicts and numbers, for JSON."""
        rows, words = list(map(dict, self.rows)), list(self.words)
        return {"rows": rows, "words": words, "failed": dict(self.failed), **self.details}


class Attempts:
    """Measures one thing after the other, and keeps the others if one fails.

    Example:
        >>> attempts = Attempts()
        >>> for name in ("1", "a"):
        ...     with attempts.at(name):
        ...         print(int(name))
        1
        >>> attempts.failed()
        {'a': "ValueError: invalid literal for int() with base 10: 'a'"}
    """

    def __init__(self) -> None:
        self._errors: dict[str, Exception] = {}
        self._any_measured = False

    @contextlib.contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Runs its body, and notes why it failed. A wrong flag is wrong for all."""
        try:
            yield
            self._any_measured = True
        except (UsageError, Interrupted):
            raise
        except Exception as error:
            self._errors[name] = error
            logging.warning("%s failed: %s", name, _why(error))

    def failed(self) -> dict[str, str]:
        """Returns what failed → why.

        Raises:
            Exception: the first one, if nothing was measured at all.
        """
        if self._errors and not self._any_measured:
            raise next(iter(self._errors.values()))
        return {name: _why(error) for name, error in self._errors.items()}


def _why(error: Exception) -> str:
    known = isinstance(error, UserError | OSError)
    return str(error) if known else f"{type(error).__name__}: {first_line(error)}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    whole = len(f"{abs(value):.0f}")
    return f"{value:,.{max(0, _DIGITS - whole)}f}"
