"""Changes to a network that the caller of `build` asks for, such as no response normalization."""

import dataclasses
import math
import numbers
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks import spec as specs

# Pooling whose windows may overlap, because their size need not be their stride.
POOLINGS = (specs.MaxPoolSpec, specs.CeilAveragePoolSpec)


def customized(
    spec: specs.NetworkSpec,
    *,
    lrn: bool | None = None,
    dropout: float | None = None,
    overlapping_pooling: bool | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: float | Sequence[float] | None = None,
    initial_weights: str | None = None,
) -> specs.NetworkSpec:
    """Returns a network with the caller's changes; the arguments are those of `build`.

    Raises:
        UsageError: an argument that this network cannot take.

    Example:
        >>> from keras_alexnet import variants
        >>> [pool.size for pool in overlapping(customized(variants.get("cifar_v2")))]
        [3, 3]
        >>> overlapping(customized(variants.get("cifar_v2"), overlapping_pooling=False))
        []
    """
    if lrn is not None:
        spec = _with_lrn(spec, lrn)
    if dropout is not None:
        spec = _with_dropout(spec, dropout)
    if overlapping_pooling is not None:
        spec = _with_overlapping_pooling(spec, overlapping_pooling)
    if initial_weights is not None:
        spec = _with_initial_weights(spec, initial_weights)
    pixels: dict[str, Any] = {}
    if pixel_mean is not None:
        pixels["mean"] = _mean(pixel_mean)
    if pixel_std is not None:
        pixels["std"] = _std(pixel_std)
    standardization = dataclasses.replace(spec.standardization, **pixels)
    return dataclasses.replace(spec, standardization=standardization)


def overlapping(spec: specs.NetworkSpec) -> list[specs.MaxPoolSpec | specs.CeilAveragePoolSpec]:
    """Returns the pooling layers of a network whose windows overlap."""
    return [each for each in spec.layers if isinstance(each, POOLINGS) and _overlaps(each)]


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


def _with_overlapping_pooling(spec: specs.NetworkSpec, wanted: bool) -> specs.NetworkSpec:
    if wanted:
        if not overlapping(spec):
            raise _lacks(spec, "overlapping pooling", "overlapping_pooling=True")
        return spec
    return _with_layers(spec, POOLINGS, _without_overlap)


def _without_overlap(
    layer: specs.MaxPoolSpec | specs.CeilAveragePoolSpec,
) -> specs.MaxPoolSpec | specs.CeilAveragePoolSpec:
    if not _overlaps(layer):
        return layer
    if isinstance(layer, specs.MaxPoolSpec):
        # Whole windows of 2 are as many as windows of 3 that may reach over the edge.
        return dataclasses.replace(layer, size=layer.stride, ceil=False)
    return dataclasses.replace(layer, size=layer.stride)


def _overlaps(layer: specs.MaxPoolSpec | specs.CeilAveragePoolSpec) -> bool:
    return layer.size > layer.stride


def _with_initial_weights(spec: specs.NetworkSpec, name: str) -> specs.NetworkSpec:
    weights = _initial_weights(spec, name)
    initial = {
        specs.ConvolutionSpec: weights.convolutions,
        specs.LocallyConnectedSpec: weights.convolutions,
        specs.DenseSpec: weights.dense,
        specs.ClassifierSpec: weights.dense,
    }
    return _with_layers(
        spec,
        tuple(initial),
        lambda layer: dataclasses.replace(layer, initial=initial[type(layer)]),
    )


def _initial_weights(spec: specs.NetworkSpec, name: str) -> specs.OptionalInitialWeights:
    uniform = specs.OptionalInitialWeights(
        "fan_in_uniform", specs.FanInUniform(), specs.FanInUniform()
    )
    known = {each.name: each for each in (*spec.optional_initial_weights, uniform)}
    if name in known:
        return known[name]
    if found := re.fullmatch(r"normal\(([^()]*)\)", str(name)):
        try:
            std = float(found[1])
        except ValueError:
            std = math.nan
        if not 0 < std < math.inf:
            raise UsageError(
                "initial_weights=normal(STD) needs the standard deviation of the weights, a "
                f"number above 0, such as normal(0.01). Received: {name!r}."
            )
        return specs.OptionalInitialWeights(name, *[specs.NormalWeights(std)] * 2)
    raise unknown_name("initial_weights", name, [*known, "normal(STD)"])


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
        raise _lacks(spec, named, received)


def _lacks(spec: specs.NetworkSpec, named: str, received: str) -> UsageError:
    argument = received.partition("=")[0]
    return UsageError(f"{spec.name} has no {named}: leave {argument} out. Received: {received}.")


def _mean(pixel_mean: Sequence[float]) -> tuple[float, float, float]:
    mean = as_tuple(pixel_mean)
    if len(mean) != 3 or not all(_is_number(value) and 0 <= value <= 255 for value in mean):
        raise UsageError(
            f"pixel_mean must be 3 numbers 0-255, for R, G and B. Received: {pixel_mean!r}."
        )
    red, green, blue = map(float, mean)
    return red, green, blue


def _std(pixel_std: float | Sequence[float]) -> tuple[float, float, float]:
    std = as_tuple(pixel_std)
    std = std * 3 if len(std) == 1 else std
    if len(std) != 3 or not all(_is_number(value) and value > 0 for value in std):
        raise UsageError(
            "pixel_std must be a number above 0, or 3 of them for R, G and B. "
            f"Received: {pixel_std!r}."
        )
    red, green, blue = map(float, std)
    return red, green, blue


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def as_tuple(value: Any) -> tuple:
    """Returns a tuple of the elements of a value, or of the value itself if it has none.

    Example:
        >>> as_tuple([1, 2]), as_tuple(3)
        ((1, 2), (3,))
    """
    return tuple(value) if isinstance(value, Iterable) else (value,)
