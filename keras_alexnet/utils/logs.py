"""The format of log messages, in which names from outside stay on their line."""

import copy
import logging
import os
from typing import Any

from keras_alexnet.utils.text import printable


class PlainFormatter(logging.Formatter):
    r"""Formats log messages without a prefix, with names from outside on one line.

    Example:
        >>> record = logging.makeLogRecord({"msg": "Read %s.", "args": ("two\nlines",)})
        >>> PlainFormatter().format(record)
        'Read two\\nlines.'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the message, and the traceback if there is one."""
        plain = copy.copy(record)
        if isinstance(record.args, tuple):
            plain.args = tuple(map(_plain, record.args))
        elif isinstance(record.args, dict):
            plain.args = {name: _plain(value) for name, value in record.args.items()}
        lines = super().format(plain).split("\n")
        return "\n".join(map(_escaped, lines))


def _plain(value: Any) -> Any:
    # Numbers keep their type, for formats such as %d.
    return printable(value) if isinstance(value, (str, os.PathLike, BaseException)) else value


def _escaped(line: str) -> str:
    return "\t".join(map(printable, line.split("\t")))
