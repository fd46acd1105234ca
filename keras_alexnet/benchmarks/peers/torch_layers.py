"""PyTorch's modules for each kind of layer. Imports torch when they are made."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from keras_alexnet.networks import spec as specs
from keras_alexnet.networks.image_plan import Standardization

if TYPE_CHECKING:
    import torch

Modules = Iterator[tuple[str, "torch.nn.Module"]]
Shape = tuple[int, int]  # channels, and height and width; a vector has a side of 1


def _function(function: Callable[..., Any]) -> "torch.nn.Module":
    """A module that computes `function(module, values)`."""
    import torch

    class Function(torch.nn.Module):
        def forward(self, values: "torch.Tensor") -> "torch.Tensor":
            return function(self, values)

    return Function()


def standardize(pixels: Standardization) -> "torch.nn.Module":
    """Returns a module that standardizes pixels 0-255 and, if asked, reverses the channels."""
    import torch

    def standardized(module: Any, values: "torch.Tensor") -> "torch.Tensor":
        values = (values - module.mean) / module.std
        return values.flip(1) if pixels.bgr else values

    module = _function(standardized)
    for name in ("mean", "std"):
        constants = torch.tensor(getattr(pixels, name)).reshape(1, 3, 1, 1)
        module.register_buffer(name, constants, persistent=False)
    return module


def _relu(layer: specs.LayerSpec, shape: Shape) -> Modules:
    import torch

    yield f"{layer.name}_relu", torch.nn.ReLU(inplace=True)


def _convolution(layer: specs.ConvolutionSpec, shape: Shape) -> Modules:
    import torch

    before, after = layer.padding
    if before != after:
        yield f"{layer.name}_zeros", torch.nn.ZeroPad2d((before, after, before, after))
    yield (
        layer.name,
        torch.nn.Conv2d(
            shape[0],
            layer.filters,
            layer.kernel,
            layer.stride,
            before if before == after else 0,
            groups=layer.groups,
        ),
    )
    if not layer.linear:
        yield from _relu(layer, shape)


def _locally_connected(layer: specs.LocallyConnectedSpec, shape: Shape) -> Modules:
    import torch

    functional, side = torch.nn.functional, layer.output_size(shape[1])

    def products(module: Any, values: "torch.Tensor") -> "torch.Tensor":
        padded = functional.pad(values, (*layer.padding, *layer.padding))
        windows = functional.unfold(padded, layer.kernel).permute(2, 0, 1)
        outputs = torch.baddbmm(module.bias, windows, module.weight)
        return outputs.permute(1, 2, 0).unflatten(2, (side, side))

    module = _function(products)
    inputs = shape[0] * layer.kernel**2
    bound = inputs**-0.5
    for name, rows in (("weight", inputs), ("bias", 1)):
        numbers = torch.empty(side**2, rows, layer.filters).uniform_(-bound, bound)
        module.register_parameter(name, torch.nn.Parameter(numbers))
    yield layer.name, module
    yield from _relu(layer, shape)


def _response_norm(layer: specs.LocalResponseNormSpec, shape: Shape) -> Modules:
    import torch

    channels = 2 * layer.depth_radius + 1
    # PyTorch divides alpha by the number of channels.
    norm = torch.nn.LocalResponseNorm(channels, layer.alpha * channels, layer.beta, layer.bias)
    if layer.groups == 1:
        yield layer.name, norm
        return

    def normalized(module: Any, values: "torch.Tensor") -> "torch.Tensor":
        return torch.cat([module.norm(part) for part in values.chunk(layer.groups, 1)], 1)

    of_groups = _function(normalized)
    of_groups.register_module("norm", norm)
    yield layer.name, of_groups


def _same_map_norm(layer: specs.SameMapNormSpec, shape: Shape) -> Modules:
    import torch

    def normalized(_: Any, values: "torch.Tensor") -> "torch.Tensor":
        means = torch.nn.functional.avg_pool2d(values.square(), layer.size, 1, layer.size // 2)
        return values * (layer.bias + layer.alpha * layer.size**2 * means) ** -layer.beta

    yield layer.name, _function(normalized)


def _max_pool(layer: specs.MaxPoolSpec, shape: Shape) -> Modules:
    import torch

    yield layer.name, torch.nn.MaxPool2d(layer.size, layer.stride, ceil_mode=layer.ceil)


def _average_pool(layer: specs.CeilAveragePoolSpec, shape: Shape) -> Modules:
    import torch

    yield layer.name, torch.nn.AvgPool2d(layer.size, layer.stride, ceil_mode=True)


def _adaptive_pool(layer: specs.AdaptiveAveragePoolSpec, shape: Shape) -> Modules:
    import torch

    yield layer.name, torch.nn.AdaptiveAvgPool2d(layer.size)


def _flatten(layer: specs.FlattenSpec, shape: Shape) -> Modules:
    import torch

    yield layer.name, torch.nn.Flatten()


def _dropout(layer: specs.DropoutSpec, shape: Shape) -> Modules:
    import torch

    yield layer.name, torch.nn.Dropout(layer.rate)


def _unscaled_dropout(layer: specs.DropoutSpec, shape: Shape) -> Modules:
    import torch

    def dropped(module: Any, values: "torch.Tensor") -> "torch.Tensor":
        scaled = torch.nn.functional.dropout(values, layer.rate, module.training)
        return scaled * (1 - layer.rate)

    yield layer.name, _function(dropped)


def _dense(layer: specs.DenseSpec, shape: Shape) -> Modules:
    import torch

    yield layer.name, torch.nn.Linear(shape[0], layer.units)
    yield from _relu(layer, shape)


# A function yields the names and modules of a layer, given its spec and the shape of its input.
MODULES: dict[type[specs.LayerSpec], Callable[..., Modules]] = {
    specs.ConvolutionSpec: _convolution,
    specs.LocallyConnectedSpec: _locally_connected,
    specs.ActivationSpec: _relu,
    specs.LocalResponseNormSpec: _response_norm,
    specs.SameMapNormSpec: _same_map_norm,
    specs.MaxPoolSpec: _max_pool,
    specs.CeilAveragePoolSpec: _average_pool,
    specs.AdaptiveAveragePoolSpec: _adaptive_pool,
    specs.FlattenSpec: _flatten,
    specs.DropoutSpec: _dropout,
    specs.UnscaledDropoutSpec: _unscaled_dropout,
    specs.DenseSpec: _dense,
}
