"""What a caller may change of a network's row, and the checks of what was asked for."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterable, Sequence

import keras

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks import spec
from keras_alexnet.utils.arguments import whole_number


def customized(
    network: spec.NetworkSpec,
    *,
    lrn: bool | None = None,
    dropout: float | None = None,
    pixel_mean: Sequence[float] | None = None,
    initial_weights: str | None = None,
) -> spec.NetworkSpec:
    """Returns the row with the caller's changes; the arguments are those of `models.build`."""
    if lrn is not None:
        network = _with_lrn(network, lrn)
    if dropout is not None:
        network = _with_dropout(network, dropout)
    if initial_weights is not None:
        network = _with_initial_weights(network, initial_weights)
    if pixel_mean is not None:
        standardization = dataclasses.replace(network.standardization, mean=_mean(pixel_mean))
        network = dataclasses.replace(network, standardization=standardization)
    return network


def known_activation(name: str, activation: str | Callable | None) -> Callable:
    """Returns the activation function; `keras.activations.linear` for None.

    Raises:
        UsageError: Keras knows no such activation.
    """
    try:
        return keras.activations.get(activation)
    except ValueError as error:
        raise UsageError(
            f"{name} must be a Keras activation, such as 'relu' or 'tanh', or a callable. "
            f"Received: {activation!r}."
        ) from error


def image_shape(shape: Sequence[int], sizes_known: bool = True) -> tuple:
    """Returns (height, width, 3); height and width may be None unless `sizes_known`.

    Raises:
        UsageError: it is no such shape.
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
        None if side is None and not sizes_known else whole_number(f"input_shape's {name}", side, 1)
        for name, side in zip(("height", "width"), shape, strict=False)
    )
    return (*sides, 3)


def _with_lrn(network, lrn):
    # The published runs without it (148 of the 2012 program) left both kinds out.
    kinds = (spec.LocalResponseNormSpec, spec.SameMapNormSpec)
    if lrn:
        _require(network, kinds, "lrn=True")
        return network
    return _with_layers(network, kinds, lambda row: None)


def _with_dropout(network, rate):
    if not _is_number(rate) or not 0 <= rate < 1:
        raise UsageError(f"dropout must be a rate from 0 to below 1. Received: {rate!r}.")
    if rate == 0:
        return _with_layers(network, spec.DropoutSpec, lambda row: None)
    _require(network, spec.DropoutSpec, f"dropout={rate}")
    return _with_layers(network, spec.DropoutSpec, lambda row: dataclasses.replace(row, rate=rate))


def _with_initial_weights(network, name):
    known = {offer.name: offer for offer in network.optional_initial_weights}
    if not known:
        raise UsageError(
            f"{network.name} has one initialization only: leave initial_weights out. "
            f"Received: {name!r}."
        )
    if name not in known:
        raise unknown_name("initial_weights", name, known)
    offer = known[name]
    initial = {
        spec.ConvolutionSpec: offer.convolutions,
        spec.DenseSpec: offer.dense,
        spec.ClassifierSpec: offer.dense,
    }
    return _with_layers(
        network, tuple(initial), lambda row: dataclasses.replace(row, initial=initial[type(row)])
    )


def _with_layers(network, row_type, change):
    """Puts change(row) for each row of a type; None leaves the row out."""

    def changed(layer_rows):
        new = (change(row) if isinstance(row, row_type) else row for row in layer_rows)
        return tuple(row for row in new if row is not None)

    return dataclasses.replace(
        network, features=changed(network.features), head=changed(network.head)
    )


def _require(network, row_type, received):
    if not any(isinstance(row, row_type) for row in network.layers):
        raise UsageError(
            f"{network.name} has no {_named(row_type)} layer: leave the argument out. "
            f"Received: {received}."
        )


def _named(row_type):
    kinds = row_type if isinstance(row_type, tuple) else (row_type,)
    return " or ".join(kind.__name__ for kind in kinds)


def _mean(pixel_mean):
    mean = _as_tuple(pixel_mean)
    if len(mean) != 3 or not all(_is_number(value) and 0 <= value <= 255 for value in mean):
        raise UsageError(
            f"pixel_mean must be 3 numbers 0-255, for R, G and B. Received: {pixel_mean!r}."
        )
    return tuple(float(value) for value in mean)


def _is_number(value):
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _as_tuple(value):
    return tuple(value) if isinstance(value, Iterable) else (value,)
