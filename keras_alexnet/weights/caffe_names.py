"""Which blob of a `.caffemodel` belongs to which layer, and whether it is the same network."""

from collections.abc import Iterable, Sequence

import numpy as np
from absl import logging

from keras_alexnet import rows
from keras_alexnet.errors import UserError
from keras_alexnet.rows import Variant
from keras_alexnet.weights.caffe_files import LayerOfFile
from keras_alexnet.weights.matching import WEIGHTED

_KINDS = {
    rows.Convolution: "Convolution",
    rows.LocalResponseNorm: "LRN",
    rows.MaxPool: "Pooling",
    rows.Dense: "InnerProduct",
    rows.Classifier: "InnerProduct",
}
# What Caffe's AlexNet has, and what neither it nor its file knows to be otherwise.
_COMPUTED = {*_KINDS, rows.Flatten, rows.Dropout}


def layer_names(network: Variant, layers: Sequence[LayerOfFile]) -> dict[str, str]:
    """Returns, for each layer with weights, its name in the file.

    They are called alike, except for the layer to the logits: it is the file's last dense layer,
    which everyone who trains on other classes calls otherwise.
    """
    weighted = [row for row in network.layers if isinstance(row, WEIGHTED)]
    found = {row.name: row.name for row in weighted}
    dense = [layer.name for layer in layers if layer.kind == "InnerProduct"]
    dense = [name for name in dense if name not in found]
    for row in weighted:
        if isinstance(row, rows.Classifier) and dense:
            found[row.name] = dense[-1]
    return found


def tensor_names(network: Variant, layers: Sequence[LayerOfFile]) -> dict[str, tuple[str, str]]:
    """Returns, for each layer with weights, the names of its kernel and its bias in `tensors`."""
    names = layer_names(network, layers)
    return {layer: (_blob(name, 0), _blob(name, 1)) for layer, name in names.items()}


def tensors(network: Variant, layers: Iterable[LayerOfFile]) -> dict[str, np.ndarray]:
    """Returns all blobs by their names, such as "conv1 blob 0".

    Old files give every blob four dimensions; the first are dropped where the layer has fewer and
    they are 1.
    """
    kinds = {row.name: type(row) for row in network.layers}
    dimensions = {}
    for layer, (kernel, bias) in tensor_names(network, layers).items():
        dimensions |= {kernel: 4 if kinds[layer] is rows.Convolution else 2, bias: 1}
    found = {}
    for layer in layers:
        for number, blob in enumerate(layer.blobs):
            name = _blob(layer.name, number)
            while blob.ndim > dimensions.get(name, blob.ndim) and blob.shape[0] == 1:
                blob = blob[0]
            found[name] = blob
    return found


def check_structure(network: Variant, layers: Sequence[LayerOfFile], path) -> None:
    """Compares the order of layers, and warns of other constants of the normalisation.

    Raises:
        UserError: the file's network has its layers in another order, as CaffeNet has, whose
            weights have the same shapes; or the network has layers that Caffe's lacks.
    """
    lacking = [row.name for row in network.layers if type(row) not in _COMPUTED]
    if lacking:
        raise UserError(
            f"{path} cannot be loaded into {network.name}, which has layers that Caffe's AlexNet "
            f"lacks: {', '.join(lacking)}. Name alexnet_caffe."
        )
    known = set(_KINDS.values())
    found = [(layer.name, layer.kind) for layer in layers if layer.kind in known]
    wanted = [(row.name, _KINDS[type(row)]) for row in network.layers if type(row) in _KINDS]
    kinds = [kind for _, kind in found]
    # A file of weights alone does not say how its layers are put together.
    if {"LRN", "Pooling"} & set(kinds) and kinds != [kind for _, kind in wanted]:
        raise UserError(
            f"{path} holds another network than {network.name}. Its layers: "
            f"{', '.join(name for name, _ in found)}; wanted: "
            f"{', '.join(name for name, _ in wanted)}."
        )
    norms = [row for row in network.layers if isinstance(row, rows.LocalResponseNorm)]
    in_file = [layer.lrn for layer in layers if layer.kind == "LRN"]
    for row, lrn in zip(norms, in_file, strict=False):
        # Caffe divides alpha by the channels in the sum; rows hold it divided.
        theirs = (lrn["local_size"], lrn["k"], lrn["alpha"] / lrn["local_size"], lrn["beta"])
        ours = (2 * row.depth_radius + 1, row.bias, row.alpha, row.beta)
        if not np.allclose(theirs, ours, rtol=1e-5, atol=0):
            logging.warning(
                "%s of %s has other constants than the file (channels, bias, alpha, beta): %s "
                "here, %s there. The network's answers will differ from Caffe's.",
                *(row.name, network.name),
                *(", ".join(f"{value:g}" for value in values) for values in (ours, theirs)),
            )


def _blob(layer, number):
    return f"{layer} blob {number}"
