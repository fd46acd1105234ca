"""Whether networks whose weights have the same shapes also compute the same with them."""

from collections.abc import Mapping, Sequence

import keras

from keras_alexnet.networks import spec
from keras_alexnet.networks.layers import UnscaledDropout
from keras_alexnet.networks.spec import NetworkSpec

_ACTIVATED = (spec.ConvolutionSpec, spec.DenseSpec)


# What does not change what the same weights compute. Of the pixels' constants those of the file
# are taken; how many units there are, the weights' shapes tell.
_OF_NO_MATTER = ("name", "dtype", "trainable", "seed", "mean", "std", "units", "filters")


_ENDINGS_OF_NO_MATTER = ("_initializer", "_regularizer", "_constraint")


def chain(model: keras.Model, first: str) -> dict[str, dict]:
    """Returns, from layer `first` on, name → kind, and all else that decides a layer's output.

    Dropout that does nothing but in training is left out.

    Example:
        >>> model = keras_alexnet.build("alexnet_caffe", num_classes=2)
        >>> chain(model, "standardize")["standardize"]
        {'kind': 'Standardize', 'reverse': True}
    """
    names = [layer.name for layer in model.layers]
    following = model.layers[names.index(first) :]
    return {layer.name: _decisive(layer) for layer in following if not _only_trains(layer)}


def differences(ours: Mapping[str, dict], theirs: Mapping[str, dict]) -> list[str]:
    """Returns what differs between two chains, up to the last layer that both have, in words.

    Example:
        >>> differences({"conv1": {"kind": "Convolution"}}, {"conv1": {"kind": "Dense"}})
        ['conv1 has kind Convolution here and Dense there']
    """
    common = [name for name in ours if name in theirs]
    found = []
    for has, lacks, where in ((ours, theirs, "there"), (theirs, ours, "here")):
        names = list(has)
        upto = names[: names.index(common[-1]) + 1] if common else names
        found += [f"no {name} {where}" for name in upto if name not in lacks]
    for name in common:
        for key in dict.fromkeys([*ours[name], *theirs[name]]):
            here, there = ours[name].get(key), theirs[name].get(key)
            if here != there:
                found.append(f"{name} has {key} {_plain(here)} here and {_plain(there)} there")
    if not found and common != [name for name in theirs if name in ours]:
        found.append(f"the order {', '.join(common)} here and another there")
    return found


def changes(model: keras.Model, network: NetworkSpec) -> list[str]:
    """Returns in which way a model is not what the network's row says, in words.

    That is what `build` was asked to change of it: another activation, or layers left out.

    Example:
        >>> changes(keras_alexnet.build("cifar_v2", activation="tanh"),
        ...         keras_alexnet.variants.get("cifar_v2"))[0]
        'tanh after conv1'
    """
    found, names = [], [layer.name for layer in model.layers]
    whole = spec.ClassifierSpec in {type(row) for row in network.layers if row.name in names}
    for row in network.layers if whole else network.features:
        if row.name not in names:
            if not isinstance(row, spec.DropoutSpec) or isinstance(row, spec.UnscaledDropoutSpec):
                found.append(f"no {row.name}")
            continue
        activation = getattr(model.get_layer(row.name), "activation", keras.activations.relu)
        if isinstance(row, _ACTIVATED) and not getattr(row, "linear", False):
            if activation is not keras.activations.relu:
                found.append(f"{getattr(activation, '__name__', activation)} after {row.name}")
    return found


def _decisive(layer: keras.Layer) -> dict:
    config = {
        name: value
        for name, value in layer.get_config().items()
        if name not in _OF_NO_MATTER and not name.endswith(_ENDINGS_OF_NO_MATTER)
    }
    return {"kind": type(layer).__name__, **config}


def _only_trains(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Dropout) and not isinstance(layer, UnscaledDropout)


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "x".join(map(str, value))
    return str(value)
