"""The memory of a network's weights, known before any of it is taken."""

import os
from collections.abc import Sequence

from keras_alexnet.errors import UsageError
from keras_alexnet.networks import spec as specs

_BYTES = 4  # of a float32


def memory_of_machine() -> int | None:
    """Returns the bytes of memory of this machine, or None if the system does not say.

    Example:
        >>> memory_of_machine() > 10**8
        True
    """
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # on Windows
        return None


def check_memory(
    name: str, layers: Sequence[specs.LayerSpec], size: Sequence[int | None], num_classes: int
) -> None:
    """Checks that this machine could hold the weights of a network.

    Large inputs make the first dense layer large: at 4096 pixels, AlexNet's has 70 GB.

    Args:
        name: the network's name.
        layers: its layers, in order.
        size: height and width of the image; None for any.
        num_classes: number of logits.

    Raises:
        UsageError: they need more than the memory of this machine.

    Example:
        >>> layers = (specs.FlattenSpec("flatten"), specs.DenseSpec("fc1", units=10))
        >>> check_memory("small", layers, (32, 32), 10)
    """
    height, width = size
    if height is None or width is None:
        return
    needed, there = _BYTES * _weights(layers, height, width, num_classes), memory_of_machine()
    if there is not None and needed > there:
        raise UsageError(
            f"The weights of {name} for {num_classes} classes and images of {height}x{width} "
            f"pixels need {needed / 1e9:,.0f} GB, but this machine has {there / 1e9:,.0f} GB of "
            "memory. Pass a smaller input size."
        )


def _weights(layers: Sequence[specs.LayerSpec], height: int, width: int, num_classes: int) -> int:
    """Returns how many weights convolutions and dense layers have, without their biases."""
    total, channels = 0, 3
    for layer in layers:
        height, width = layer.output_size(height), layer.output_size(width)
        if isinstance(layer, specs.ConvolutionSpec):
            total += layer.kernel**2 * (channels // layer.groups) * layer.filters
            channels = layer.filters
        elif isinstance(layer, specs.LocallyConnectedSpec):
            total += height * width * layer.kernel**2 * channels * layer.filters
            channels = layer.filters
        elif isinstance(layer, (specs.DenseSpec, specs.ClassifierSpec)):
            units = layer.units if isinstance(layer, specs.DenseSpec) else num_classes
            total += height * width * channels * units
            height, width, channels = 1, 1, units
    return total
