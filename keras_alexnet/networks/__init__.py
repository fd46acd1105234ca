"""Networks: their specs, Keras layers, registry and builder.

The names here need neither TensorFlow nor Keras. The modules `build`, `layers` and `summary`, which
do, are imported when they are first used.
"""

import importlib
from types import ModuleType

from keras_alexnet import require_tensorflow
from keras_alexnet.networks.image_plan import VIEWS, ImagePlan, Standardization
from keras_alexnet.networks.spec import (
    ActivationSpec,
    AdaptiveAveragePoolSpec,
    CeilAveragePoolSpec,
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    DropoutSpec,
    FanInUniform,
    FlattenSpec,
    HeFanOut,
    LayerSpec,
    LocallyConnectedSpec,
    LocalResponseNormSpec,
    MaxPoolSpec,
    NetworkSpec,
    NormalWeights,
    OptionalInitialWeights,
    PublishedWeights,
    PyTorchNames,
    SameMapNormSpec,
    UnscaledDropoutSpec,
)
from keras_alexnet.networks.variants import get, list_variants, register, unregister

__all__ = [
    "get",
    "list_variants",
    "register",
    "unregister",
    "VIEWS",
    "ImagePlan",
    "Standardization",
    "NetworkSpec",
    "PyTorchNames",
    "LayerSpec",
    "ConvolutionSpec",
    "LocallyConnectedSpec",
    "ActivationSpec",
    "LocalResponseNormSpec",
    "SameMapNormSpec",
    "MaxPoolSpec",
    "CeilAveragePoolSpec",
    "AdaptiveAveragePoolSpec",
    "FlattenSpec",
    "DropoutSpec",
    "UnscaledDropoutSpec",
    "DenseSpec",
    "ClassifierSpec",
    "NormalWeights",
    "FanInUniform",
    "HeFanOut",
    "OptionalInitialWeights",
    "PublishedWeights",
]

require_tensorflow()

_LOADED_WHEN_USED = ("build", "layers", "summary")


def __getattr__(name: str) -> ModuleType:
    if name in _LOADED_WHEN_USED:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
