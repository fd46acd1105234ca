"""Pictures of what a network has learned, as in the 2012 paper.

Each function makes one picture: `filters` is the paper's Figure 3, `neighbors` and `likeliest` are
Figure 4, and `curves` is Figure 1; `activations` shows a layer's activations for an image. The
functions are imported when they are first used, so that importing the package is fast.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_alexnet.figures.activations import activations
    from keras_alexnet.figures.curves import curves
    from keras_alexnet.figures.filters import filters
    from keras_alexnet.figures.likeliest import likeliest
    from keras_alexnet.figures.neighbors import neighbors

__all__ = ["activations", "curves", "filters", "likeliest", "neighbors"]


class _Package(types.ModuleType):
    """The package, in which a public name is the function and never the module that holds it."""

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{name}"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in __all__ and isinstance(value, types.ModuleType):  # set by an import
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
