"""PyTorch's networks, made from the same specs as Keras's. Imports torch when they are made."""

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from keras_alexnet.benchmarks.peers import torch_layers
from keras_alexnet.networks import spec as specs

if TYPE_CHECKING:
    import keras
    import torch


def build(
    spec: specs.NetworkSpec,
    *,
    num_classes: int | None = None,
    input_size: int | None = None,
    standardize: bool = True,
) -> "torch.nn.Sequential":
    """Builds a network with PyTorch's initial weights: RGB pixels 0-255 in, logits out.

    Where PyTorch has a module for a layer, it is that module. PyTorch lacks locally connected
    layers, normalization within a map and the dropout of the 2012 program; they are made of its
    functions. Modules have the names of the layers.

    Args:
        spec: the network; its activations are ReLU.
        num_classes: number of logits; by default the spec's.
        input_size: height and width of the images; by default the spec's.
        standardize: whether the network begins with standardizing the pixels. Without it, it takes
            what `Standardize` puts out.

    Returns:
        A module in training mode. Its input is float32 `[batch, 3, height, width]`, its output
        float32 `[batch, num_classes]`.

    Raises:
        ImportError: torch is not installed.
        RuntimeError: nothing is left of the image at a layer.

    Example:
        >>> import torch  # doctest: +SKIP
        >>> network = build(keras_alexnet.variants.get("cifar_v2"))  # doctest: +SKIP
        >>> network(torch.zeros(1, 3, 32, 32)).shape  # doctest: +SKIP
        torch.Size([1, 10])
    """
    import torch

    side = spec.input_size if input_size is None else input_size
    shape = (3, side)
    modules: list[tuple[str, torch.nn.Module]] = []
    if standardize:
        modules.append(("standardize", torch_layers.standardize(spec.standardization)))
    for layer in spec.layers:
        if isinstance(layer, specs.ClassifierSpec):
            units = spec.num_classes if num_classes is None else num_classes
            modules.append((layer.name, torch.nn.Linear(shape[0], units)))
        else:
            modules.extend(torch_layers.MODULES[type(layer)](layer, shape))
            shape = _shape_after(layer, shape)
    return torch.nn.Sequential(OrderedDict(modules))


def tensors_of(model: "keras.Model", spec: specs.NetworkSpec) -> dict[str, np.ndarray]:
    """Returns the weights of a Keras model under the names and in the layouts of `build`'s module.

    Args:
        model: the model that `keras_alexnet.build` made of the spec.
        spec: the network.

    Returns:
        A dict: name in the module's state dict → float32 array.

    Example:
        >>> model = keras_alexnet.build("cifar_v2")
        >>> tensors_of(model, keras_alexnet.variants.get("cifar_v2"))["conv1.weight"].shape
        (64, 3, 5, 5)
    """
    from keras_alexnet.weights.layout import WeightedLayer

    tensors, flattened = {}, None
    for each in spec.layers:
        layer = model.get_layer(each.name)
        if isinstance(each, specs.FlattenSpec):
            flattened = tuple(layer.input.shape[1:])
        if not layer.weights:
            continue
        kernel, bias = layer.get_weights()
        if isinstance(each, specs.LocallyConnectedSpec):
            kernel = _local_kernel(kernel)
            bias = bias.reshape(-1, 1, bias.shape[-1])
        else:
            dense = isinstance(each, specs.DenseSpec | specs.ClassifierSpec)
            of_map = flattened if dense else None
            kernel = WeightedLayer(each.name, kernel.shape, of_map).from_keras(kernel)
            flattened = None if dense else flattened
        tensors[f"{each.name}.weight"] = np.ascontiguousarray(kernel)
        tensors[f"{each.name}.bias"] = np.ascontiguousarray(bias)
    return tensors


def load(network: "torch.nn.Module", tensors: dict[str, np.ndarray]) -> None:
    """Gives a module the weights that `tensors_of` returned."""
    import torch

    network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})


def _local_kernel(kernel: np.ndarray) -> np.ndarray:
    """`[rows, columns, height, width, channels, filters]` → positions, windows, filters."""
    rows, columns, height, width, channels, filters = kernel.shape
    by_channel = kernel.transpose(0, 1, 4, 2, 3, 5)
    return by_channel.reshape(rows * columns, channels * height * width, filters)


def _shape_after(layer: specs.LayerSpec, shape: torch_layers.Shape) -> torch_layers.Shape:
    channels, side = shape
    if isinstance(layer, specs.FlattenSpec):
        return channels * side**2, 1
    if isinstance(layer, specs.DenseSpec):
        return layer.units, 1
    return getattr(layer, "filters", channels), layer.output_size(side)
