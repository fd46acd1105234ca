"""Options of `build`: changes to a network, and checks of all arguments."""

import dataclasses
import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras

from keras_alexnet.errors import UsageError, unknown_name, whole_number
from keras_alexnet.networks import spec as specs


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the caller of `build` chooses for all layers of a network."""

    num_classes: int
    activation: Callable
    seed: int | None

    @classmethod
    def checked(
        cls,
        spec: specs.NetworkSpec,
        num_classes: int | None = None,
        activation: str | Callable | None = "relu",
        seed: int | None = None,
    ) -> "Choices":
        """Checks arguments of `build` and returns the choices that they make.

        Raises:
            UsageError: an argument that cannot be used.
        """
        num_classes = spec.num_classes if num_classes is None else num_classes
        return cls(
            num_classes=whole_number("num_classes", num_classes, least=1),
            activation=known_activation("activation", activation),
            seed=None if seed is None else whole_number("seed", seed),
        )


def customized(
    spec: specs.NetworkSpec,
    *,
    lrn: bool | None = None,
    dropout: float | None = None,
    pixel_mean: Sequence[float] | None = None,
    initial_weights: str | None = None,
) -> specs.NetworkSpec:
    """Returns a network with the caller's changes; the arguments are those of `build`.

    Raises:
        UsageError: an argument that this network cannot take.
    """
    if lrn is not None:
        spec = _with_lrn(spec, lrn)
    if dropout is not None:
        spec = _with_dropout(spec, dropout)
    if initial_weights is not None:
        spec = _with_initial_weights(spec, initial_weights)
    if pixel_mean is not None:
        standardization = dataclasses.replace(spec.standardization, mean=_mean(pixel_mean))
        spec = dataclasses.replace(spec, standardization=standardization)
    return spec


def known_activation(name: str, activation: str | Callable | None) -> Callable:
    """Returns the activation function; `keras.activations.linear` for None.

    Raises:
        UsageError: Keras has no such activation.
    """
    try:
        return keras.activations.get(activation)
    except ValueError as error:
        raise UsageError(
            f"{name} must be a Keras activation, such as 'relu' or 'tanh', or a callable. "
            f"Received: {activation!r}."
        ) from error


def image_shape(shape: Sequence[int | None], sizes_known: bool = True) -> tuple:
    """Returns (height, width, 3); height and width may be None unless `sizes_known`.

    Raises:
        UsageError: `shape` is not such a shape.
    """
    shape = _as_tuple(shape)
    if len(shape) != 3:
        raise UsageError(f"input_shape must be (height, width, 3). Received: {shape!r}.")
    if shape[2] != 3:
        raise UsageError(
            "input_shape must end in 3, for R, G and B: turn gray images into RGB and drop the "
            f"alpha channel first. Received: {shape!r}."
        )
    sides = (
        None if side is None and not sizes_known else _side(name, side)
        for name, side in zip(("height", "width"), shape, strict=False)
    )
    return (*sides, 3)


def _side(name: str, side: int | None) -> int:
    return whole_number(f"input_shape's {name}", side, 1, specs.LARGEST_SIDE)


def check_image_size(
    name: str, layers: Sequence[specs.LayerSpec], size: Sequence[int | None]
) -> None:
    """Checks that an image is large enough for all layers.

    Args:
        name: the network's name.
        layers: the layers, in order.
        size: height and width of the image; None for any.

    Raises:
        UsageError: the image is too small; the message names the layer and the smallest size.
    """
    for side in size:
        if side is not None and (layer := _too_small_at(layers, side)):
            smallest = next(n for n in itertools.count(1) if not _too_small_at(layers, n))
            raise UsageError(
                f"{name} needs images of at least {smallest}x{smallest} pixels: nothing is left of "
                f"this one at layer {layer}. Received: {size[0]}x{size[1]}."
            )


def _too_small_at(layers: Sequence[specs.LayerSpec], size: int) -> str | None:
    """Returns the layer at which nothing is left of an image of this height or width, or None."""
    for layer in layers:
        size = layer.output_size(size)
        if size < 1:
            return layer.name
    return None


def _with_lrn(spec: specs.NetworkSpec, lrn: bool) -> specs.NetworkSpec:
    # The published runs without it (148 of the 2012 program) leave both kinds out.
    kinds = (specs.LocalResponseNormSpec, specs.SameMapNormSpec)
    if lrn:
        _require(spec, kinds, "response normalization", "lrn=True")
        return spec
    return _with_layers(spec, kinds, lambda layer: None)


def _with_dropout(spec: specs.NetworkSpec, rate: float) -> specs.NetworkSpec:
    if not _is_number(rate) or not 0 <= rate < 1:
        raise UsageError(f"dropout must be a rate of at least 0 and below 1. Received: {rate!r}.")
    if rate == 0:
        return _with_layers(spec, specs.DropoutSpec, lambda layer: None)
    _require(spec, specs.DropoutSpec, "dropout", f"dropout={rate}")
    return _with_layers(
        spec,
        specs.DropoutSpec,
        lambda layer: dataclasses.replace(layer, rate=rate),
    )


def _with_initial_weights(spec: specs.NetworkSpec, name: str) -> specs.NetworkSpec:
    known = {each.name: each for each in spec.optional_initial_weights}
    if not known:
        raise UsageError(
            f"{spec.name} has only one initialization: leave initial_weights out. "
            f"Received: {name!r}."
        )
    if name not in known:
        raise unknown_name("initial_weights", name, known)
    initial = {
        specs.ConvolutionSpec: known[name].convolutions,
        specs.DenseSpec: known[name].dense,
        specs.ClassifierSpec: known[name].dense,
    }
    return _with_layers(
        spec,
        tuple(initial),
        lambda layer: dataclasses.replace(layer, initial=initial[type(layer)]),
    )


def _with_layers(
    spec: specs.NetworkSpec,
    kinds: type | tuple[type, ...],
    change: Callable[[Any], specs.LayerSpec | None],
) -> specs.NetworkSpec:
    """Replaces layers of some kinds by what `change` returns for each; None removes it."""

    def changed(layers: Sequence[specs.LayerSpec]) -> tuple[specs.LayerSpec, ...]:
        new = (change(each) if isinstance(each, kinds) else each for each in layers)
        return tuple(each for each in new if each is not None)

    return dataclasses.replace(spec, features=changed(spec.features), head=changed(spec.head))


def _require(
    spec: specs.NetworkSpec, kinds: type | tuple[type, ...], named: str, received: str
) -> None:
    if not any(isinstance(each, kinds) for each in spec.layers):
        argument = received.partition("=")[0]
        raise UsageError(f"{spec.name} has no {named}: leave {argument} out. Received: {received}.")


def _mean(pixel_mean: Sequence[float]) -> tuple[float, float, float]:
    mean = _as_tuple(pixel_mean)
    if len(mean) != 3 or not all(_is_number(value) and 0 <= value <= 255 for value in mean):
        raise UsageError(
            f"pixel_mean must be 3 numbers 0-255, for R, G and B. Received: {pixel_mean!r}."
        )
    red, green, blue = map(float, mean)
    return red, green, blue


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, Iterable) else (value,)
