"""Imports of torchvision and lpips for comparisons, where they can be imported."""

import importlib
import sys
import warnings

import pytest


def imported(name):
    """Imports "torchvision" or "lpips", which imports torchvision, or skips the test.

    torchvision's wheels are built for the CUDA builds of torch. With a CPU build its compiled part
    does not load, and the import fails where it describes the operators that are in that part. The
    models and the transforms of Pillow's images need none of them, so they are declared here.
    """
    reason = f"compares with {name}, which users never need"
    torch = pytest.importorskip("torch", reason=reason)
    try:
        return _quietly(name)
    except ModuleNotFoundError:
        pytest.skip(reason)
    except RuntimeError:
        for module in [each for each in sys.modules if each.split(".")[0] in ("torchvision", name)]:
            del sys.modules[module]
    _LIBRARIES.append(torch.library.Library("torchvision", "FRAGMENT"))
    for operator in ("nms", "qnms"):
        _LIBRARIES[-1].define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
    try:
        return _quietly(name)
    except (RuntimeError, AttributeError) as error:
        pytest.skip(f"{name} cannot be imported: {error}")


_LIBRARIES = []  # what a library declares is gone when it is


def _quietly(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)
