"""Builds Keras models from network specs."""

import itertools
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks import layers, spec, variants
from keras_alexnet.networks.locally_connected import LocallyConnected
from keras_alexnet.networks.options import customized, image_shape, known_activation
from keras_alexnet.utils.arguments import whole_number


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
    name: str | None = None,
) -> keras.Model:
    """Builds a network with initial weights: RGB pixels 0-255 in, logits out.

    Args:
        variant: a name from `keras_alexnet.list_variants()`.
        num_classes: number of logits; by default the row's own.
        input_shape: (height, width, 3); by default the row's own. Need not be square.
        activation: the hidden non-linearity, any Keras activation name or callable.
        classifier_activation: e.g. "softmax": appended after the logits, in float32.
        lrn: False leaves local response normalization out.
        dropout: rate in place of the row's; 0 leaves dropout out.
        seed: fixes initial weights and dropout masks bit for bit. A layer's initial weights depend
            on the seed and its own name alone, and so stay the same when others are left out.
        pixel_mean: R, G, B means 0-255 to subtract in place of the row's.
        initial_weights: name of an initialization that the row offers beside its own
            ("he_fan_out" for `alexnet_half`).
        name: the model's name; by default the variant's.

    Returns:
        A functional model with the input "image", `[batch, height, width, 3]`, uint8 or float
        pixels 0-255, and the output of its last layer "logits" (or of "predictions" behind it),
        float32 `[batch, num_classes]`. It follows the global precision policy, except that pixels
        are standardized and logits computed in float32.

    Raises:
        UsageError: an argument that this network cannot take; for a small input the message names
            the layer at which it runs out.

    Example:
        >>> model = build("cifar_v2", seed=1)
        >>> model(np.zeros([1, 32, 32, 3], "uint8")).shape
        TensorShape([1, 10])
    """
    network = customized(
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
    return keras.Model(image, outputs, name=name or network.name)


def keras_layer(row, inputs, choices):
    """Returns the Keras layer of a row; `inputs` is what it will be put on.

    Args:
        row: a `rows.Layer`.
        inputs: the tensor before it, for its number of channels.
        choices: the `models.Choices` of the network.

    Example:
        >>> keras_layer(rows.MaxPool("pool1", size=3, stride=2), inputs=None, choices=None).name
        'pool1'
    """
    return _LAYERS[type(row)](row, inputs, choices)


def _convolution(row, inputs, choices):
    fan_in = row.kernel**2 * inputs.shape[-1] // row.groups
    return layers.Convolution(
        row.filters,
        row.kernel,
        strides=row.stride,
        padding=row.padding,
        groups=row.groups,
        activation=None if row.linear else choices.activation,
        name=row.name,
        **initializers(row, fan_in, choices.seed),
    )


def _locally_connected(row, inputs, choices):
    return LocallyConnected(
        row.filters,
        row.kernel,
        padding=row.padding,
        activation=choices.activation,
        name=row.name,
        **initializers(row, row.kernel**2 * inputs.shape[-1], choices.seed),
    )


def _activation(row, inputs, choices):
    return keras.layers.Activation(choices.activation, name=row.name)


def _local_response_norm(row, inputs, choices):
    return layers.LocalResponseNormalization(
        row.depth_radius, row.bias, row.alpha, row.beta, row.groups, name=row.name
    )


def _same_map_norm(row, inputs, choices):
    return layers.SameMapNormalization(row.size, row.bias, row.alpha, row.beta, name=row.name)


def _max_pool(row, inputs, choices):
    pooling = layers.CeilMaxPooling2D if row.ceil else keras.layers.MaxPooling2D
    return pooling(row.size, row.stride, name=row.name)


def _ceil_average_pool(row, inputs, choices):
    return layers.CeilAveragePooling2D(row.size, row.stride, name=row.name)


def _adaptive_average_pool(row, inputs, choices):
    return layers.AdaptiveAveragePooling2D(row.size, name=row.name)


def _flatten(row, inputs, choices):
    return keras.layers.Flatten(name=row.name)


def _dropout(row, inputs, choices):
    seed = seed_of(choices.seed, row.name, "masks")
    unscaled = isinstance(row, spec.UnscaledDropoutSpec)
    layer = layers.UnscaledDropout if unscaled else layers.Dropout
    return layer(row.rate, seed=seed, name=row.name)


def _dense(row, inputs, choices):
    return keras.layers.Dense(
        row.units,
        activation=choices.activation,
        name=row.name,
        **initializers(row, inputs.shape[-1], choices.seed),
    )


def _classifier(row, inputs, choices):
    # float32: the loss of a thousand classes needs more than the 8 bits of bfloat16.
    return keras.layers.Dense(
        choices.num_classes,
        dtype="float32",
        name=row.name,
        **initializers(row, inputs.shape[-1], choices.seed),
    )


_LAYERS = {
    spec.ConvolutionSpec: _convolution,
    spec.LocallyConnectedSpec: _locally_connected,
    spec.ActivationSpec: _activation,
    spec.LocalResponseNormSpec: _local_response_norm,
    spec.SameMapNormSpec: _same_map_norm,
    spec.MaxPoolSpec: _max_pool,
    spec.CeilAveragePoolSpec: _ceil_average_pool,
    spec.AdaptiveAveragePoolSpec: _adaptive_average_pool,
    spec.FlattenSpec: _flatten,
    spec.DropoutSpec: _dropout,
    spec.UnscaledDropoutSpec: _dropout,
    spec.DenseSpec: _dense,
    spec.ClassifierSpec: _classifier,
}


def _normal(weights, fan_in, seeds):
    kernel = keras.initializers.RandomNormal(stddev=weights.std, seed=seeds["kernel"])
    return kernel, keras.initializers.Constant(weights.bias)


def _fan_in_uniform(weights, fan_in, seeds):
    bound = 1 / math.sqrt(fan_in)
    return tuple(
        keras.initializers.RandomUniform(-bound, bound, seed=seeds[part])
        for part in ("kernel", "bias")
    )


def _he_fan_out(weights, fan_in, seeds):
    kernel = keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal", seed=seeds["kernel"]
    )
    return kernel, keras.initializers.Zeros()


_INITIAL_WEIGHTS = {
    spec.NormalWeights: _normal,
    spec.FanInUniform: _fan_in_uniform,
    spec.HeFanOut: _he_fan_out,
}


def initializers(row, fan_in, seed):
    """Returns the initializer arguments of a Keras layer with a kernel and a bias."""
    seeds = {part: seed_of(seed, row.name, part) for part in ("kernel", "bias")}
    kernel, bias = _INITIAL_WEIGHTS[type(row.initial)](row.initial, fan_in, seeds)
    return {"kernel_initializer": kernel, "bias_initializer": bias}


def seed_of(seed, layer, part):
    """Returns a seed for one part of one layer, None (a random one) when none is asked for."""
    return None if seed is None else zlib.crc32(f"{seed}/{layer}/{part}".encode()) >> 1


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
    network: spec.NetworkSpec,
    layer_rows: tuple[spec.LayerSpec, ...],
    choices: Choices,
) -> keras.KerasTensor:
    """Puts a network's standardization and the given layers on `image`; returns the last output.

    Raises:
        UsageError: the image is too small.
    """
    _check_size(network.name, layer_rows, image.shape[1:3])
    pixels = network.standardization
    outputs = layers.Standardize(pixels.mean, pixels.std, reverse=pixels.bgr, name="standardize")(
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
