"""From tensors of a file to the layers of a network: all are checked before any is set."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.networks import spec
from keras_alexnet.networks.spec import NetworkSpec

CLASSIFIER = "logits"


WEIGHTED = (spec.ConvolutionSpec, spec.DenseSpec, spec.ClassifierSpec)


_NAMES_IN_MESSAGE = 24


@dataclasses.dataclass(frozen=True)
class Place:
    """A layer of a network that takes a kernel and a bias.

    PyTorch and Caffe hold a convolution's kernel as (filters, channels of a group, height, width)
    and a dense one as (units, inputs), with a flattened map's inputs channel by channel; Keras has
    them the other way round, and flattens pixel by pixel.

    Attributes:
        layer: its name.
        kernel: the kernel's shape as PyTorch and Caffe have it.
        flattened: height, width and channels of the map that a dense layer sees flattened.
    """

    layer: str
    kernel: tuple[int, ...]
    flattened: tuple[int, int, int] | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int]]:
        """The shapes of kernel and bias, as PyTorch and Caffe have them."""
        return self.kernel, self.kernel[:1]

    def to_keras(self, kernel: np.ndarray) -> np.ndarray:
        """Returns a kernel of PyTorch or Caffe as Keras has it."""
        if kernel.ndim == 4:
            return kernel.transpose(2, 3, 1, 0)
        if self.flattened is not None:
            height, width, channels = self.flattened
            kernel = kernel.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        return kernel.reshape(len(kernel), -1).T

    def from_keras(self, kernel: np.ndarray) -> np.ndarray:
        """Returns a kernel of Keras as PyTorch and Caffe have it."""
        if kernel.ndim == 4:
            return kernel.transpose(3, 2, 0, 1)
        if self.flattened is not None:
            kernel = kernel.reshape(*self.flattened, -1).transpose(2, 0, 1, 3)
        return kernel.reshape(-1, kernel.shape[-1]).T


def places(model: keras.Model, network: NetworkSpec) -> dict[str, Place]:
    """Returns, by their names, the layers of a model that take a kernel and a bias.

    Raises:
        UserError: the model is not of this network, or it has weights of other kinds, which
            neither PyTorch's AlexNets nor Caffe's have.
    """
    known = {row.name for row in network.layers if isinstance(row, WEIGHTED)}
    layers = [layer for layer in model.layers if layer.weights]
    others = [layer.name for layer in layers if layer.name not in known]
    if others:
        raise UserError(
            f"{model.name} cannot be filled from or written to a file of PyTorch or Caffe, which "
            f"know no such layers of {network.name}: {', '.join(others)}."
        )
    flattened, found = None, {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Flatten):
            flattened = tuple(layer.input.shape[1:])
        if layer.weights:
            kernel = tuple(layer.kernel.shape)
            if len(kernel) == 4:
                kernel = (kernel[3], kernel[2], *kernel[:2])
                found[layer.name] = Place(layer.name, kernel)
            else:
                found[layer.name] = Place(layer.name, kernel[::-1], flattened)
                flattened = None
    return found


def fitted(
    wanted: Mapping[str, Sequence[tuple[int, ...]]],
    names: Mapping[str, Sequence[str]],
    tensors: Mapping[str, np.ndarray],
    *,
    what: str,
    new_head: bool = False,
) -> dict[str, list[np.ndarray]]:
    """Returns the tensors of each layer, as the file has them.

    Args:
        wanted: layers to fill → shapes of their kernel and their bias.
        names: layers → names of their kernel and their bias. It may hold layers that are not
            wanted; their tensors need only be there.
        tensors: what the file holds.
        what: the file and the network, for the error message.
        new_head: whether the layer to the logits may be left out, where its classes differ.

    Raises:
        UserError: with the names of all tensors that are missing, unknown, misshapen or not finite.
    """
    expected = [name for part in names.values() for name in part]
    problems = {
        "missing": [name for name in expected if name not in tensors],
        "unknown": [_described(name, tensors[name]) for name in tensors if name not in expected],
        "misshapen": [],
        "not finite": [],
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
            elif not np.all(np.isfinite(tensor)):
                problems["not finite"].append(name)
        found[layer] = values
    _refuse(problems, what)
    return found


def _refuse(problems: Mapping[str, list[str]], what: str) -> None:
    """Raises a UserError that lists all problems by their kinds, if there are any."""
    listings = [f"{kind}: {_listing(names)}" for kind, names in problems.items() if names]
    if listings:
        raise UserError(
            f"{what} do not fit, and nothing was loaded. {'; '.join(listings)}. Name the network "
            "that the file was written by, with as many classes and its input size."
        )


def _other_classes(shapes, kernel, bias):
    if kernel.ndim != len(shapes[0]) or bias.shape == shapes[1]:
        return False
    differing = [a for a, b in zip(kernel.shape, shapes[0], strict=True) if a != b]
    return bias.shape == tuple(differing)


def _listing(names):
    more = len(names) - _NAMES_IN_MESSAGE
    return ", ".join(names[:_NAMES_IN_MESSAGE]) + (f" and {more} more" if more > 0 else "")


def _described(name, tensor):
    return f"{name} ({_shape(tensor.shape)})"


def _shape(shape):
    return "x".join(map(str, shape)) or "scalar"
