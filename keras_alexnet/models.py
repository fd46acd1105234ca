"""build(variant, ...): a row of `keras_alexnet.variants` becomes a functional `keras.Model`."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from keras_alexnet import layers, rows, variants
from keras_alexnet.customise import customised, image_shape, known_activation, whole_number
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.layer_builders import keras_layer
from keras_alexnet.weights import load


def build(
    variant: str,
    *,
    num_classes: int | None = None,
    input_shape: Sequence[int] | None = None,
    activation: str | Callable = "relu",
    classifier_activation: str | Callable | None = None,
    lrn: bool | None = None,
    dropout: float | None = None,
    seed: int | None = None,
    pixel_mean: Sequence[float] | None = None,
    initial_weights: str | None = None,
    weights: str | os.PathLike | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a network: RGB pixels 0-255 in, logits out.

    Args:
        variant: a name from `keras_alexnet.list_variants()`.
        num_classes: number of logits; by default the row's own.
        input_shape: (height, width, 3); by default the row's own. Need not be square.
        activation: the hidden non-linearity, any Keras activation name or callable.
        classifier_activation: e.g. "softmax": appended after the logits, in float32.
        lrn: False leaves local response normalisation out.
        dropout: rate in place of the row's; 0 leaves dropout out.
        seed: fixes initial weights and dropout masks bit for bit. A layer's initial weights depend
            on the seed and its own name alone, and so stay the same when others are left out.
        pixel_mean: R, G, B means 0-255 to subtract in place of the row's.
        initial_weights: name of an initialisation that the row offers beside its own
            ("he_fan_out" for `alexnet_half`).
        weights: file to start from, as `keras_alexnet.weights.load` takes it. Its layer "logits" is
            not used where it has other classes. A Keras file brings its pixel mean, unless
            `pixel_mean` is given.
        name: the model's name; by default the variant's.

    Returns:
        A functional model with the input "image", `[batch, height, width, 3]`, uint8 or float
        pixels 0-255, and the output of its last layer "logits" (or of "predictions" behind it),
        float32 `[batch, num_classes]`. It follows the global precision policy, except that pixels
        are standardised and logits computed in float32.

    Raises:
        UsageError: an argument that this network cannot take; for a small input the message names
            the layer at which it runs out.
        UserError: the weights file cannot be read, or is another network's.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", seed=1)
        >>> model(np.zeros([1, 32, 32, 3], "uint8")).shape
        TensorShape([1, 10])
    """
    network = customised(
        variants.get(variant),
        lrn=lrn,
        dropout=dropout,
        pixel_mean=pixel_mean,
        initial_weights=initial_weights,
    )
    default_shape = (network.input_size, network.input_size, 3)
    shape = image_shape(default_shape if input_shape is None else input_shape)
    choices = Choices.checked(network, num_classes, activation, seed)
    image = keras.Input(shape, name="image", dtype="float32")
    logits = connect(image, network, network.layers, choices)
    outputs = classified(logits, classifier_activation)
    model = keras.Model(image, outputs, name=name or network.name)
    if weights is not None:
        keep_pixels = pixel_mean is not None
        load(model, weights, variant=network.name, new_head=True, keep_pixels=keep_pixels)
    return model


def logits_of(model: keras.Model) -> keras.KerasTensor:
    """Returns a network's logits, whether or not a softmax follows them.

    Raises:
        UserError: the model is not one that `build` made.
    """
    try:
        return model.get_layer("logits").output
    except ValueError as error:
        raise UserError(
            "The network has no layer named logits, so it is not one that build() made. Its "
            f"layers: {', '.join(layer.name for layer in model.layers)}."
        ) from error


@dataclass(frozen=True)
class Choices:
    """What the caller chooses for all layers of a network."""

    num_classes: int
    activation: Callable
    seed: int | None

    @classmethod
    def checked(cls, network, num_classes=None, activation="relu", seed=None):
        """Returns the choices of `build`'s arguments, or raises its UsageError."""
        num_classes = network.num_classes if num_classes is None else num_classes
        return cls(
            num_classes=whole_number("num_classes", num_classes, least=1),
            activation=known_activation("activation", activation),
            seed=None if seed is None else whole_number("seed", seed),
        )


def connect(
    image: keras.KerasTensor,
    network: rows.Variant,
    layer_rows: tuple[rows.Layer, ...],
    choices: Choices,
) -> keras.KerasTensor:
    """Puts a network's standardisation and the given layers on `image`; returns the last output.

    Raises:
        UsageError: the image is too small.
    """
    _check_size(network.name, layer_rows, image.shape[1:3])
    pixels = network.standardisation
    outputs = layers.Standardise(pixels.mean, pixels.std, reverse=pixels.bgr, name="standardise")(
        image
    )
    for row in layer_rows:
        outputs = keras_layer(row, outputs, choices)(outputs)
    return outputs


def classified(logits: keras.KerasTensor, activation: str | Callable | None) -> keras.KerasTensor:
    """Puts the layer "predictions" on the logits, in float32; none of it for no activation."""
    activation = known_activation("classifier_activation", activation)
    if activation is keras.activations.linear:
        return logits
    return keras.layers.Activation(activation, dtype="float32", name="predictions")(logits)


# Input size --------------------------------------------------------------------------------------
def _check_size(name, layer_rows, size):
    for side in size:
        if side is not None and (layer := _runs_out(layer_rows, side)):
            smallest = next(n for n in itertools.count(1) if not _runs_out(layer_rows, n))
            raise UsageError(
                f"{name} takes images of {smallest}x{smallest} pixels and more: nothing is left of "
                f"this one at layer {layer}. Received: {size[0]}x{size[1]}."
            )


def _runs_out(layer_rows, size):
    """Returns the name of the layer at which an image of this height or width runs out, or None."""
    for row in layer_rows:
        size = row.output_size(size)
        if size < 1:
            return row.name
    return None
