"""The check that Keras runs on TensorFlow, made before Keras is imported."""

import json
import os
import pathlib
import sys


def require_tensorflow() -> None:
    """Does nothing if Keras runs, or will run once it is imported, on its TensorFlow backend.

    Raises:
        ImportError: if it runs on another.

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
    """Keras's backend and what chose it, by the rules of `keras.src.backend.config`."""
    if "keras" in sys.modules:
        backend = sys.modules["keras"].config.backend()
        return backend, f"Keras is already imported with the backend {backend}"
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend, f"KERAS_BACKEND={backend}"
    folder = pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    file = folder / "keras.json"
    try:
        backend = json.loads(file.read_text(encoding="utf-8")).get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):  # there is none, or Keras will ignore it
        backend = "tensorflow"
    return backend, f"the backend {backend} in {file}"
