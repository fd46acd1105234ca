"""Where a result comes from: commit, library versions, oneDNN, date."""

import datetime
import pathlib
import subprocess

import keras
import tensorflow as tf

from keras_alexnet.utils import tensorflow_private


def provenance() -> dict[str, str]:
    """Returns commit, library versions, whether oneDNN is on, and the date (UTC) for results."""
    return {
        "commit": commit(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "onednn": "on" if tensorflow_private.onednn_is_on() else "off",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def commit() -> str:
    """Returns the commit of this package's checkout, with "+" if files differ from it.

    Outside a git checkout it is "unknown".
    """
    folder = pathlib.Path(__file__).parents[1]
    try:
        head = _git(folder, "rev-parse", "--short=12", "HEAD")
        # Installed inside another project's checkout, this package is not one of its files.
        _git(folder, "ls-files", "--error-unmatch", "__init__.py")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(folder: pathlib.Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
