"""Compares networks whose weights have the same shapes: do they compute the same?"""

from collections.abc import Mapping, Sequence

import keras

from keras_alexnet.networks.build import standardize_layer
from keras_alexnet.networks.customize import POOLINGS
from keras_alexnet.networks.layers import Standardize, UnscaledDropout
from keras_alexnet.networks.pooling import CeilMaxPooling2D
from keras_alexnet.networks.spec import (
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    DropoutSpec,
    NetworkSpec,
    UnscaledDropoutSpec,
)

# Settings of a layer that do not change what its weights compute. The constants of the pixels are
# taken from the file, and the shapes of the weights show the numbers of units.
_IRRELEVANT = ("name", "dtype", "trainable", "seed", "mean", "std", "units", "filters")
_IRRELEVANT_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def chain(model: keras.Model) -> dict[str, dict]:
    """Returns, for each layer from the standardization on, its kind and relevant settings.

    Dropout that only acts in training is left out. The standardization is called "standardize",
    whatever its name in the model.

    Raises:
        UserError: `build` did not make the model.

    Example:
        >>> model = keras_alexnet.build("alexnet_caffe", num_classes=2)
        >>> chain(model)["standardize"]
        {'kind': 'Standardize', 'reverse': True}
    """
    first = model.layers.index(standardize_layer(model))
    return {
        "standardize" if isinstance(layer, Standardize) else layer.name: _relevant(layer)
        for layer in model.layers[first:]
        if not _only_trains(layer)
    }


def differences(ours: Mapping[str, dict], theirs: Mapping[str, dict]) -> list[str]:
    """Describes what differs between two chains, up to the last layer that both have.

    Example:
        >>> differences({"conv1": {"kind": "Convolution"}}, {"conv1": {"kind": "Dense"}})
        ['conv1 has kind Convolution here and Dense there']
    """
    common = [name for name in ours if name in theirs]
    found = []
    for has, lacks, place in ((ours, theirs, "there"), (theirs, ours, "here")):
        names = list(has)
        compared = names[: names.index(common[-1]) + 1] if common else names
        found += [f"no {name} {place}" for name in compared if name not in lacks]
    for name in common:
        for key in dict.fromkeys([*ours[name], *theirs[name]]):
            here, there = ours[name].get(key), theirs[name].get(key)
            if here != there:
                found.append(f"{name} has {key} {_plain(here)} here and {_plain(there)} there")
    if not found and common != [name for name in theirs if name in ours]:
        found.append(f"the order is {', '.join(common)} here and different there")
    return found


def changes(model: keras.Model, spec: NetworkSpec) -> list[str]:
    """Describes how a model differs from its spec: activation, pooling and missing layers.

    Example:
        >>> changes(keras_alexnet.build("cifar_v2", activation="tanh"),
        ...         keras_alexnet.variants.get("cifar_v2"))[0]
        'tanh after conv1'
    """
    found, names = [], [layer.name for layer in model.layers]
    whole = any(isinstance(each, ClassifierSpec) and each.name in names for each in spec.layers)
    for each in spec.layers if whole else spec.features:
        if each.name not in names:
            if not isinstance(each, DropoutSpec) or isinstance(each, UnscaledDropoutSpec):
                found.append(f"no {each.name}")
            continue
        layer = model.get_layer(each.name)
        if isinstance(each, POOLINGS) and layer.pool_size[0] != each.size:
            found.append(f"windows of {_plain(layer.pool_size)} in {each.name}")
        activation = getattr(layer, "activation", keras.activations.relu)
        if isinstance(each, (ConvolutionSpec, DenseSpec)) and not getattr(each, "linear", False):
            if activation is not keras.activations.relu:
                found.append(f"{getattr(activation, '__name__', activation)} after {each.name}")
    return found


def _relevant(layer: keras.Layer) -> dict:
    settings = {
        name: value
        for name, value in layer.get_config().items()
        if name not in _IRRELEVANT and not name.endswith(_IRRELEVANT_ENDINGS)
    }
    kind = type(layer)
    if isinstance(layer, CeilMaxPooling2D) and not any(layer.beyond_edge(layer.input)):
        kind = keras.layers.MaxPooling2D  # whose windows are the same
    return {"kind": kind.__name__, **settings}


def _only_trains(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Dropout) and not isinstance(layer, UnscaledDropout)


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "x".join(map(str, value))
    return str(value)
