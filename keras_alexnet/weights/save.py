"""save(model, path): the weights of a network for PyTorch."""

import os
import pathlib

import keras
import numpy as np
from absl import logging

from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.networks import variants
from keras_alexnet.weights import compatibility, pytorch
from keras_alexnet.weights.layout import places
from keras_alexnet.weights.source import STANDARDIZE


def save(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    variant: str | None = None,
    names: str | None = None,
) -> dict[str, tuple[int, ...]]:
    """Writes a state dict that the PyTorch network of the same layers loads strictly.

    Args:
        model: a whole network of `build()`.
        path: the `.safetensors` file to write; `safetensors.torch.load_file` reads it.
        variant: the network, if the model's name does not tell it.
        names: whose module names: "torchvision" or "document", for `alexnet_owt`; by default the
            first, and the only ones that the other networks have.

    Returns:
        Name → shape of each tensor, float32. PyTorch's network takes pixels that are standardized
        as the model does it: they are not part of its weights.

    Raises:
        UsageError: a name or an ending that cannot be used.
        UserError: the model lacks layers of the network, has some that PyTorch lacks, or was built
            with another activation.

    Example:
        >>> save(keras_alexnet.build("cifar_v2"), "v2.safetensors")["fc3.weight"]
        (10, 192)
    """
    if pathlib.Path(path).suffix != pytorch.SAFE:
        raise UsageError(f"PyTorch's weights go to a {pytorch.SAFE} file. Received: {path}.")
    network = variants.get(variant or model.name)
    pytorch.check_known(network)
    known = {each.source: each for each in network.pytorch_names}
    if names is not None and names not in known:
        raise unknown_name(f"names for {network.name}", names, known)
    modules = pytorch.modules(network, known[names] if names else network.pytorch_names[0])
    found, tensors = places(model, network), {}
    if missing := [layer for layer in modules if layer not in found]:
        raise UserError(
            f"{path} is to hold a whole {network.name}, and this model has no {', '.join(missing)}."
        )
    if changed := compatibility.changes(model, network):
        raise UserError(
            f"{path} would be loaded by PyTorch's {network.name}, which computes otherwise than "
            f"this model: {', '.join(changed)}."
        )
    for layer, place in found.items():
        kernel, bias = map(np.asarray, model.get_layer(layer).get_weights())
        tensors[modules[layer] + pytorch.PARTS[0]] = place.from_keras(kernel)
        tensors[modules[layer] + pytorch.PARTS[1]] = bias
    pytorch.write(path, tensors)
    _say_pixels(path, model.get_layer(STANDARDIZE))
    return {name: array.shape for name, array in tensors.items()}


def _say_pixels(path, layer) -> None:
    """They are not among the weights, and other pixels are the commonest of silent mistakes."""
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (layer.mean, layer.std))
    logging.info(
        "With %s PyTorch's network wants pixels 0-255 in the order %s, minus (R, G, B) %s, divided "
        "by %s.",
        *(path, "B, G, R" if layer.reverse else "R, G, B", mean, std),
    )
