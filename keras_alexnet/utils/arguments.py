"""Config fields with their help texts, and lists that were typed."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any


def setting(default: Any, help_text: str, choices: Sequence[Any] | None = None) -> Any:
    """Returns a dataclass field of a config, with the help and the choices of its flag.

    Example:
        >>> @dataclasses.dataclass
        ... class Config:
        ...     views: int = setting(1, "Views of each image.", (1, 2, 10))
        >>> dataclasses.fields(Config)[0].metadata["choices"]
        (1, 2, 10)
    """
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


def split_list(typed: str) -> list[str]:
    """Splits a typed list at its commas, except those inside parentheses.

    Example:
        >>> split_list("crop, color_noise(2012, until=68),")
        ['crop', 'color_noise(2012, until=68)']
    """
    parts = re.split(r",(?![^(]*\))", typed)
    return [part.strip() for part in parts if part.strip()]
