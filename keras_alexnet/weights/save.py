"""Saves the weights of a network for PyTorch."""

import os
import pathlib

import keras
import numpy as np
from absl import logging

from keras_alexnet.errors import UsageError, UserError, unknown_name
from keras_alexnet.networks import variants
from keras_alexnet.networks.build import standardize_layer
from keras_alexnet.networks.layers import Standardize
from keras_alexnet.utils import finite
from keras_alexnet.utils.values import path_text
from keras_alexnet.weights import compatibility, pytorch
from keras_alexnet.weights.layout import weighted_layers


def save(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    variant: str | None = None,
    names: str | None = None,
) -> dict[str, tuple[int, ...]]:
    """Saves a state dict that a PyTorch network with the same layers loads strictly.

    Args:
        model: a whole network of `build()`.
        path: the `.safetensors` file, which `safetensors.torch.load_file` reads.
        variant: the network, if the model has a different name.
        names: whose module names to use: "torchvision" or "document", for `alexnet_owt`. Other
            networks have only one set of names.

    Returns:
        Name → shape of each tensor, float32. The standardization of the pixels is not part of the
        weights: PyTorch's network needs pixels that are already standardized as in the model.

    Raises:
        UsageError: a name or an ending that cannot be used.
        UserError: the model lacks layers of the network, has layers that PyTorch lacks, was built
            with a different activation, or its weights are NaN or infinite.

    Example:
        >>> save(keras_alexnet.build("cifar_v2"), "v2.safetensors")["fc3.weight"]
        (10, 192)
    """
    path = path_text("path", path)
    if pathlib.Path(path).suffix != pytorch.SAFE:
        raise UsageError(
            f"Weights for PyTorch are saved to a {pytorch.SAFE} file. Received: {path}."
        )
    spec = variants.get(variant or model.name)
    pytorch.check_known(spec)
    known = {each.source: each for each in spec.pytorch_names}
    if names is not None and names not in known:
        raise unknown_name(f"names for {spec.name}", names, known)
    modules = pytorch.modules(spec, known[names] if names else spec.pytorch_names[0])
    found = weighted_layers(model, spec)
    if missing := [layer for layer in modules if layer not in found]:
        raise UserError(
            f"{path} needs a whole {spec.name}, but this model has no {', '.join(missing)}."
        )
    if changed := compatibility.changes(model, spec):
        raise UserError(
            f"PyTorch's {spec.name} would not compute the same with the weights of this model, "
            f"which was changed: {', '.join(changed)}. Nothing was saved."
        )
    tensors = {}
    for name, layer in found.items():
        kernel, bias = map(np.asarray, model.get_layer(name).get_weights())
        tensors[modules[name] + pytorch.PARTS[0]] = layer.from_keras(kernel)
        tensors[modules[name] + pytorch.PARTS[1]] = bias
    finite.check_weights(model.name, tensors.items())
    pytorch.write_tensors(path, tensors)
    _log_pixels(path, standardize_layer(model))
    return {name: array.shape for name, array in tensors.items()}


def _log_pixels(path: str | os.PathLike, layer: Standardize) -> None:
    """Logs which pixels the weights need, because wrong ones are a common and silent mistake."""
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (layer.mean, layer.std))
    logging.info(
        "With %s PyTorch's network needs pixels 0-255 in the order %s, minus (R, G, B) %s, divided "
        "by %s.",
        *(path, "B, G, R" if layer.reverse else "R, G, B", mean, std),
    )
