"""Every AlexNet worth having, for Keras and TensorFlow.

`__init__.pyi` lists the public names, for type checkers and for this module. Each name is imported
when it is first used, so `import keras_alexnet` is fast and loads neither TensorFlow nor Keras. It
only lets TensorFlow use oneDNN, because that must happen before TensorFlow is imported, and every
module that imports it is below this package.
"""

import ast
import importlib
import json
import os
import pathlib
import platform
import sys
from typing import Any

__version__ = "0.1.0"


def _homes() -> dict[str, tuple[str, str]]:
    """Returns a dict: public name → the module that it is imported from, and its name there."""
    stub = pathlib.Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    return {
        alias.asname or alias.name: (statement.module or "", alias.name)
        for statement in ast.parse(stub).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


_HOMES = _homes()

__all__ = ["__version__", *_HOMES]


def _turn_on_onednn() -> None:
    """Lets TensorFlow use oneDNN on every x86-64 processor, unless the user decided already.

    TensorFlow itself turns oneDNN on only for processors with AVX512-VNNI or newer instructions.
    On those that have AVX2, as most laptops have, a training step is 1.4 to 2.6 times as fast with
    it. On other architectures the choice remains TensorFlow's, and so it does if TensorFlow, which
    reads the variable when it is imported, is there already. Child processes inherit it.
    """
    if platform.machine() in ("x86_64", "AMD64") and "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


_turn_on_onednn()


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


def require_tensorflow() -> None:
    """Checks that Keras runs, or will run once it is imported, on its TensorFlow backend.

    Raises:
        ImportError: if Keras runs on a different backend.

    Example:
        >>> require_tensorflow()
    """
    backend, reason = _backend()
    if backend != "tensorflow":
        raise ImportError(
            "keras_alexnet needs Keras on its TensorFlow backend. "
            f"Received: {reason}. Set KERAS_BACKEND=tensorflow before Keras is imported."
        )


def _backend() -> tuple[str, str]:
    """Keras's backend and what selected it, by the rules of `keras.src.backend.config`."""
    if "keras" in sys.modules:
        backend = sys.modules["keras"].config.backend()
        return backend, f"Keras is already imported with the backend {backend}"
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend, f"KERAS_BACKEND={backend}"
    folder = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    file = folder / "keras.json"
    try:
        backend = json.loads(file.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError, RecursionError):
        backend = "tensorflow"  # there is no such file, or Keras will ignore it
    return backend, f"the backend {backend} in {file}"
