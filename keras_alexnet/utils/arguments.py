"""Checks of arguments."""

import numbers

from keras_alexnet.errors import UsageError


def whole_number(name: str, value: object, least: int | None = None) -> int:
    """Returns an argument as int.

    Raises:
        UsageError: it is not a whole number, or below `least`.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or (least is not None and value < least):
        bound = "" if least is None else f" from {least} up"
        raise UsageError(f"{name} must be a whole number{bound}. Received: {value!r}.")
    return int(value)
