"""Matches the layers and blobs of a Caffe file with those of a network."""

import os
from collections.abc import Sequence

import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.networks.spec import (
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    DropoutSpec,
    FlattenSpec,
    LayerSpec,
    LocalResponseNormSpec,
    MaxPoolSpec,
    NetworkSpec,
)
from keras_alexnet.weights.caffe_file import CaffeLayer
from keras_alexnet.weights.layout import WEIGHTED, listing

_TYPES: dict[type[LayerSpec], str] = {
    ConvolutionSpec: "Convolution",
    LocalResponseNormSpec: "LRN",
    MaxPoolSpec: "Pooling",
    DenseSpec: "InnerProduct",
    ClassifierSpec: "InnerProduct",
}


def layer_names(spec: NetworkSpec, layers: Sequence[CaffeLayer]) -> dict[str, str]:
    """Returns, for each layer with weights, its name in the file.

    The names are the same, except for the layer to the logits: it is the file's last dense layer,
    which has a different name in networks trained on other classes.
    """
    weighted = [each for each in spec.layers if isinstance(each, WEIGHTED)]
    found = {each.name: each.name for each in weighted}
    dense = [layer.name for layer in layers if layer.type == "InnerProduct"]
    dense = [name for name in dense if name not in found]
    for each in weighted:
        if isinstance(each, ClassifierSpec) and dense:
            found[each.name] = dense[-1]
    return found


def tensor_names(spec: NetworkSpec, layers: Sequence[CaffeLayer]) -> dict[str, tuple[str, str]]:
    """Returns, for each layer with weights, the names of its kernel and its bias in `tensors`."""
    names = layer_names(spec, layers)
    return {layer: (_blob_name(name, 0), _blob_name(name, 1)) for layer, name in names.items()}


def tensors(spec: NetworkSpec, layers: Sequence[CaffeLayer]) -> dict[str, np.ndarray]:
    """Returns all blobs by their names, such as "conv1 blob 0".

    Old files give every blob four axes. The first ones are dropped if their size is 1 and the layer
    has fewer.
    """
    kinds = {each.name: type(each) for each in spec.layers}
    axes: dict[str, int] = {}
    for layer, (kernel, bias) in tensor_names(spec, layers).items():
        axes |= {kernel: 4 if kinds[layer] is ConvolutionSpec else 2, bias: 1}
    found = {}
    for each in layers:
        for number, blob in enumerate(each.blobs):
            name = _blob_name(each.name, number)
            while blob.ndim > axes.get(name, blob.ndim) and blob.shape[0] == 1:
                blob = blob[0]
            found[name] = blob
    return found


def check_structure(
    spec: NetworkSpec, layers: Sequence[CaffeLayer], path: str | os.PathLike
) -> None:
    """Compares the order of layers, and warns if the constants of the normalization differ.

    Raises:
        UserError: the file's layers are in a different order, like those of CaffeNet, whose
            weights have the same shapes; or the network has layers that Caffe's AlexNet lacks.
    """
    known = (*_TYPES, FlattenSpec, DropoutSpec)
    lacking = [each.name for each in spec.layers if type(each) not in known]
    if lacking:
        raise UserError(
            f"{path} cannot be loaded into {spec.name}, which has layers that Caffe's AlexNet "
            f"lacks: {', '.join(lacking)}. Use the variant alexnet_caffe."
        )
    found = [layer for layer in layers if layer.type in _TYPES.values()]
    wanted = [each for each in spec.layers if type(each) in _TYPES]
    types = [layer.type for layer in found]
    # A file that holds only weights does not show the order of the other layers.
    if {"LRN", "Pooling"} & set(types) and types != [_TYPES[type(each)] for each in wanted]:
        raise UserError(
            f"{path} does not hold {spec.name}, but a different network. Its layers: "
            f"{listing([layer.name for layer in found])}; expected: "
            f"{', '.join(each.name for each in wanted)}."
        )
    norms = (each for each in wanted if isinstance(each, LocalResponseNormSpec))
    constants = (layer.lrn for layer in found if layer.lrn is not None)
    for norm, lrn in zip(norms, constants, strict=False):
        _warn_of_constants(spec.name, norm, lrn)


def _warn_of_constants(variant: str, norm: LocalResponseNormSpec, lrn: dict[str, float]) -> None:
    # Caffe divides alpha by the number of channels in the sum; specs hold the quotient.
    theirs = (lrn["local_size"], lrn["k"], lrn["alpha"] / (lrn["local_size"] or 1), lrn["beta"])
    ours = (2 * norm.depth_radius + 1, norm.bias, norm.alpha, norm.beta)
    if not np.allclose(theirs, ours, rtol=1e-5, atol=0):
        logging.warning(
            "The constants of %s in %s differ from the file's (channels, bias, alpha, beta): %s "
            "here, %s there. The network's outputs will differ from Caffe's.",
            *(norm.name, variant),
            *(", ".join(f"{value:g}" for value in values) for values in (ours, theirs)),
        )


def _blob_name(layer: str, number: int) -> str:
    return f"{layer} blob {number}"
