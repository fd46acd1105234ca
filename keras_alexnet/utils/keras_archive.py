"""Checks of a `.keras` file before Keras opens it: what it is, and the sizes that it claims."""

import json
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from keras_alexnet.errors import UserError, first_line

_WEIGHTS = "model.weights.h5"
_TEXTS = ("config.json", "metadata.json")

_TEXT_BYTES = 2**24  # of a text in it; those of this package's networks have ten thousand
_EXPANSION = 100  # as Keras, which packs nothing

_NUMBER_BYTES = 2  # of a weight: float16 is the smallest

# Settings of a layer that are an axis of its kernel.
_AXES = ("units", "filters")


def check(path: str | os.PathLike) -> None:
    """Checks a `.keras` file, in memory that its own size bounds.

    Raises:
        UserError: it is empty, cut off or not a `.keras` file; or what it claims to hold is far
            larger than the file.

    Example:
        >>> check("empty.keras")  # doctest: +SKIP
        keras_alexnet.errors.UserError: empty.keras is empty. ...
    """
    if os.path.isfile(path) and not os.path.getsize(path):
        raise UserError(f"{path} is empty. Was the disk full? Copy or download the file again.")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {each.filename: each for each in archive.infolist()}
            missing = [name for name in ("config.json", _WEIGHTS) if name not in sizes]
            if missing:
                raise ValueError(f"it has no {' and no '.join(missing)}")
            for name, info in sizes.items():
                too_long = name in _TEXTS and info.file_size > _TEXT_BYTES
                if too_long or info.file_size > _EXPANSION * max(info.compress_size, 1024):
                    raise ValueError(
                        f"its {name} claims {info.file_size} bytes, packed into "
                        f"{info.compress_size}"
                    )
            config = json.loads(archive.read("config.json"))
        _check_axes(config, sizes[_WEIGHTS].file_size)
    except Exception as error:  # The damaged tables of a zip archive raise many kinds of errors.
        raise UserError(
            f"{path} cannot be read as a Keras model: {first_line(error).rstrip('.')}. It may be "
            "cut off, damaged or in a different format: copy or download it again."
        ) from error


def _check_axes(config: Any, weights_bytes: int) -> None:
    """A layer's kernel has at least as many numbers as the layer has units."""
    for name, settings in _layers(config):
        for key in _AXES:
            units = settings.get(key)
            if isinstance(units, (int, float)) and units * _NUMBER_BYTES > weights_bytes:
                raise ValueError(
                    f"its layer {name} should have {units:.10g} {key}, more than its weights are"
                )


def _layers(config: Any) -> Iterator[tuple[str, dict]]:
    """Yields name and settings of each layer, also of networks inside networks."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            if isinstance(part.get("config"), dict):
                yield str(part["config"].get("name"))[:100], part["config"]
            waiting += part.values()
