"""The names of the trackers, and the packages that they need."""

import importlib.util
from collections.abc import Iterable

from keras_alexnet.errors import UsageError, unknown_name

# name → the package that it needs
PACKAGES = {"tensorboard": "tensorboard", "csv": None, "wandb": "wandb", "mlflow": "mlflow"}
LOGS = tuple(PACKAGES)


def check_installed(names: Iterable[str]) -> None:
    """Checks that trackers can be used.

    Raises:
        UsageError: a name is unknown, or its package is not installed.

    Example:
        >>> check_installed(["csv"])
    """
    for name in names:
        if name not in PACKAGES:
            raise unknown_name("log", name, LOGS)
        package = PACKAGES[name]
        if package is not None and importlib.util.find_spec(package) is None:
            raise UsageError(
                f"The log {name} needs the package {package}, which is not installed. Install it "
                f"with `pip install {package}`, or leave {name} out of --log (log=)."
            )
