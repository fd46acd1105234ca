"""The choices of a caller of `build` for all layers, and checks of image sizes."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import keras

from keras_alexnet.errors import UsageError, whole_number
from keras_alexnet.networks import spec as specs
from keras_alexnet.networks.customize import as_tuple


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
    shape = as_tuple(shape)
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


def check_data_format() -> None:
    """Checks that Keras's layers take images with the channels last, as the networks do.

    Raises:
        UsageError: keras.json or `keras.config.set_image_data_format` says otherwise.
    """
    if keras.config.image_data_format() != "channels_last":
        raise UsageError(
            "The networks take images with the channels last, on every device. Call "
            "keras.config.set_image_data_format('channels_last') before, or change it in "
            "~/.keras/keras.json, and turn images with np.moveaxis(x, -3, -1). Received: "
            f"image_data_format {keras.config.image_data_format()!r}."
        )


def check_image_size(
    name: str, layers: Sequence[specs.LayerSpec], size: Sequence[int | None]
) -> None:
    """Checks that an image is large enough for all layers.

    Args:
        name: the network's name.
        layers: the layers, in order.
        size: height and width of the image; None for any.

    Raises:
        UsageError: the image is too small, and the message names the layer and the smallest size;
            or its size is not known, and a layer has weights for each position.
    """
    if None in size and (layer := fixed_size_layer(layers)):
        raise UsageError(
            f"{name} needs images of one known size, because layer {layer} has different weights "
            f"at each position. Received: {size[0]}x{size[1]}."
        )
    for side in size:
        if side is not None and (layer := _too_small_at(layers, side)):
            smallest = next(n for n in itertools.count(1) if not _too_small_at(layers, n))
            raise UsageError(
                f"{name} needs images of at least {smallest}x{smallest} pixels: nothing is left of "
                f"this one at layer {layer}. Received: {size[0]}x{size[1]}."
            )


def fixed_size_layer(layers: Sequence[specs.LayerSpec]) -> str | None:
    """Returns the first layer with weights for each position of its input, or None.

    Example:
        >>> fixed_size_layer([specs.LocallyConnectedSpec("local3", 64, kernel=3)])
        'local3'
    """
    fixed = (each.name for each in layers if isinstance(each, specs.LocallyConnectedSpec))
    return next(fixed, None)


def _too_small_at(layers: Sequence[specs.LayerSpec], size: int) -> str | None:
    """Returns the layer at which nothing is left of an image of this height or width, or None."""
    for layer in layers:
        size = layer.output_size(size)
        if size < 1:
            return layer.name
    return None
