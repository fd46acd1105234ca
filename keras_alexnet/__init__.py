"""Every AlexNet worth having, for Keras and TensorFlow.

`__init__.pyi` lists the public names, for type checkers and for this module. Each is imported when
it is first used, so that `import keras_alexnet` is fast and loads neither TensorFlow nor Keras.
"""

import ast
import importlib
import pathlib
from typing import Any

from keras_alexnet.utils.keras_backend import require_tensorflow

__version__ = "0.1.0"


def _homes() -> dict[str, tuple[str, str]]:
    """Returns public name → the module that it is imported from, and its name there."""
    stub = pathlib.Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {
        alias.asname or alias.name: (statement.module or "", alias.name)
        for statement in ast.parse(stub).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


_HOMES = _homes()

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_tensorflow()
    home, original = _HOMES[name]
    if home != __name__:
        module = importlib.import_module(home)
        if hasattr(module, original):
            return getattr(module, original)
    return importlib.import_module(f"{home}.{original}")


def __dir__() -> list[str]:
    return sorted(__all__)
