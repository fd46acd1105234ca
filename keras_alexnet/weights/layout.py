"""Layouts of kernels in PyTorch, Caffe and Keras, and checks of a file's tensors."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.networks.spec import ClassifierSpec, ConvolutionSpec, DenseSpec, NetworkSpec
from keras_alexnet.utils.text import printable

CLASSIFIER = "logits"

WEIGHTED = (ConvolutionSpec, DenseSpec, ClassifierSpec)  # the layers with weights in PyTorch, Caffe

NAME_LENGTH = 100  # of a name in a file, in a message
_NAMES_IN_MESSAGE = 24


@dataclasses.dataclass(frozen=True)
class WeightedLayer:
    """A layer of a model with a kernel and a bias.

    PyTorch and Caffe lay out a convolution's kernel as (filters, channels of a group, height,
    width) and a dense kernel as (units, inputs), and flatten maps channel by channel. Keras has the
    axes in the opposite order and flattens maps pixel by pixel.

    Attributes:
        name: the layer's name.
        kernel: the kernel's shape in PyTorch and Caffe.
        flattened: height, width and channels of the map whose flattened values a dense layer takes.
    """

    name: str
    kernel: tuple[int, ...]
    flattened: tuple[int, ...] | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of kernel and bias in PyTorch and Caffe."""
        return self.kernel, self.kernel[:1]

    def to_keras(self, kernel: np.ndarray) -> np.ndarray:
        """Converts a kernel of PyTorch or Caffe to Keras's layout."""
        if kernel.ndim == 4:
            return kernel.transpose(2, 3, 1, 0)
        if self.flattened is not None:
            height, width, channels = self.flattened
            kernel = kernel.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        return kernel.reshape(len(kernel), -1).T

    def from_keras(self, kernel: np.ndarray) -> np.ndarray:
        """Converts a kernel of Keras to the layout of PyTorch and Caffe."""
        if kernel.ndim == 4:
            return kernel.transpose(3, 2, 0, 1)
        if self.flattened is not None:
            kernel = kernel.reshape(*self.flattened, -1).transpose(2, 0, 1, 3)
        return kernel.reshape(-1, kernel.shape[-1]).T


def weighted_layers(model: keras.Model, spec: NetworkSpec) -> dict[str, WeightedLayer]:
    """Returns, by name, the layers of a model that have a kernel and a bias.

    Raises:
        UserError: the model is not this network, or has layers with weights that neither PyTorch's
            AlexNets nor Caffe's have.
    """
    known = {each.name for each in spec.layers if isinstance(each, WEIGHTED)}
    others = [layer.name for layer in model.layers if layer.weights and layer.name not in known]
    if others:
        raise UserError(
            f"{model.name} cannot be loaded from or saved to a file of PyTorch or Caffe, which "
            f"lack these layers of {spec.name}: {', '.join(others)}."
        )
    flattened: tuple[int, ...] | None = None
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Flatten):
            flattened = tuple(layer.input.shape[1:])
        if layer.weights:
            kernel = tuple(layer.kernel.shape)
            if len(kernel) == 4:
                kernel = (kernel[3], kernel[2], *kernel[:2])
                found[layer.name] = WeightedLayer(layer.name, kernel)
            else:
                found[layer.name] = WeightedLayer(layer.name, kernel[::-1], flattened)
                flattened = None
    return found


def fitting_tensors(
    wanted: Mapping[str, Sequence[tuple[int, ...]]],
    names: Mapping[str, Sequence[str]],
    tensors: Mapping[str, np.ndarray],
    *,
    title: str,
    new_head: bool = False,
) -> dict[str, list[np.ndarray]]:
    """Returns the tensors of each layer, laid out as in the file, after checking all of them.

    Args:
        wanted: layer → shapes of its kernel and its bias.
        names: layer → names of its kernel and its bias. Layers that are not wanted only need to be
            in the file.
        tensors: name → tensor of the file.
        title: the file and the network, for the error message.
        new_head: whether the layer to the logits may be left out if its classes differ.

    Raises:
        UserError: tensors are missing, unknown, or misshapen; the message names them.
    """
    expected = [name for part in names.values() for name in part]
    problems: dict[str, list[str]] = {
        "missing": [name for name in expected if name not in tensors],
        "unknown": [_described(name, tensors[name]) for name in tensors if name not in expected],
        "misshapen": [],
    }
    found = {}
    for layer, shapes in wanted.items():
        if any(name not in tensors for name in names[layer]):
            continue
        values = [tensors[name] for name in names[layer]]
        if new_head and layer == CLASSIFIER and _other_classes(shapes, *values):
            continue
        for name, tensor, shape in zip(names[layer], values, shapes, strict=True):
            if tensor.shape != tuple(shape):
                problems["misshapen"].append(f"{_described(name, tensor)} for {_shape(shape)}")
        found[layer] = values
    listings = [f"{kind}: {listing(bad)}" for kind, bad in problems.items() if bad]
    if listings:
        raise UserError(
            f"{title} do not fit, and nothing was loaded. {'; '.join(listings)}. Name the network "
            "that wrote the file, with the same number of classes and the same input size."
        )
    return found


def _other_classes(shapes: Sequence[tuple[int, ...]], kernel: np.ndarray, bias: np.ndarray) -> bool:
    if kernel.ndim != len(shapes[0]) or bias.shape == shapes[1]:
        return False
    differing = [a for a, b in zip(kernel.shape, shapes[0], strict=True) if a != b]
    return bias.shape == tuple(differing)


def listing(names: Sequence[str]) -> str:
    """Returns the first of some names, and how many more there are."""
    more = len(names) - _NAMES_IN_MESSAGE
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + (f" and {more} more" if more > 0 else "")


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that compares numbers inside names by value: first by their number of digits."""
    parts = (part.lstrip("0") if part.isdecimal() else part for part in re.split(r"(\d+)", name))
    return [(len(part) if part.isdecimal() else 0, part) for part in parts]


def _described(name: str, tensor: np.ndarray) -> str:
    return f"{printable(name, NAME_LENGTH)} ({_shape(tensor.shape)})"


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"
