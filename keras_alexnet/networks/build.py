"""Builds Keras models from network specs."""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import keras

from keras_alexnet.errors import UserError
from keras_alexnet.networks import customize, layers, options, pooling, variants
from keras_alexnet.networks import spec as specs
from keras_alexnet.networks.locally_connected import LocallyConnected
from keras_alexnet.networks.memory import check_memory
from keras_alexnet.networks.options import Choices


def build(
    variant: str,
    *,
    num_classes: int | None = None,
    input_shape: Sequence[int] | None = None,
    activation: str | Callable | None = "relu",
    classifier_activation: str | Callable | None = None,
    lrn: bool | None = None,
    dropout: float | None = None,
    seed: int | None = None,
    overlapping_pooling: bool | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: float | Sequence[float] | None = None,
    initial_weights: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a network with initial weights: RGB pixels 0-255 in, logits out.

    The arguments, the model and the errors are those of `keras_alexnet.build`, which also loads
    weights from files.

    Example:
        >>> model = build("cifar_v2", seed=1)
        >>> model(np.zeros([1, 32, 32, 3], "uint8")).shape
        TensorShape([1, 10])
    """
    spec = customize.customized(
        variants.get(variant),
        lrn=lrn,
        dropout=dropout,
        overlapping_pooling=overlapping_pooling,
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        initial_weights=initial_weights,
    )
    default_shape = (spec.input_size, spec.input_size, 3)
    shape = options.image_shape(default_shape if input_shape is None else input_shape)
    choices = Choices.checked(spec, num_classes, activation, seed)
    image = keras.Input(shape, name="image", dtype="float32")
    logits = connect(image, spec, spec.layers, choices)
    outputs = classified(logits, classifier_activation)
    return keras.Model(image, outputs, name=name or spec.name)


def connect(
    image: keras.KerasTensor,
    spec: specs.NetworkSpec,
    layer_specs: Sequence[specs.LayerSpec],
    choices: Choices,
) -> keras.KerasTensor:
    """Applies a network's standardization and the given layers to an image.

    Args:
        image: `[batch, height, width, 3]`, RGB pixels 0-255.
        spec: the network that the layers are from.
        layer_specs: the layers, in order.
        choices: the caller's choices for all layers.

    Returns:
        The output of the last layer.

    Raises:
        UsageError: the image is too small, or so large that there is no memory for the weights.
    """
    options.check_data_format()
    options.check_image_size(spec.name, layer_specs, image.shape[1:3])
    check_memory(spec.name, layer_specs, image.shape[1:3], choices.num_classes)
    pixels = spec.standardization
    standardize = layers.Standardize(pixels.mean, pixels.std, pixels.bgr, name="standardize")
    outputs = standardize(image)
    for layer_spec in layer_specs:
        outputs = keras_layer(layer_spec, outputs, choices)(outputs)
    return outputs


def classified(logits: keras.KerasTensor, activation: str | Callable | None) -> keras.KerasTensor:
    """Applies the layer "predictions", in float32, to the logits if there is an activation.

    Raises:
        UsageError: Keras has no such activation.
    """
    function = options.known_activation("classifier_activation", activation)
    if function is keras.activations.linear:
        return logits
    return keras.layers.Activation(function, dtype="float32", name="predictions")(logits)


def logits_of(model: keras.Model) -> keras.KerasTensor:
    """Returns a network's logits, with or without a softmax after them.

    Raises:
        UserError: `build` did not make the model.
    """
    try:
        return model.get_layer("logits").output
    except ValueError as error:
        raise UserError(_not_built(model, 'layer named "logits"')) from error


def standardize_layer(model: keras.Model) -> layers.Standardize:
    """Returns the layer that standardizes a network's pixels, whatever its name.

    Raises:
        UserError: `build` did not make the model.

    Example:
        >>> standardize_layer(build("cifar_v2")).mean
        [127.5, 127.5, 127.5]
    """
    for layer in model.layers:
        if isinstance(layer, layers.Standardize):
            return layer
    raise UserError(_not_built(model, "layer that standardizes pixels"))


def _not_built(model: keras.Model, lacking: str) -> str:
    names = ", ".join(layer.name for layer in model.layers)
    return f"The model has no {lacking}: build() did not make it. Its layers: {names}."


# Layers -------------------------------------------------------------------------------------------
def keras_layer(layer_spec: Any, inputs: keras.KerasTensor, choices: Choices) -> keras.layers.Layer:
    """Returns the Keras layer that a spec describes.

    Args:
        layer_spec: a subclass of `LayerSpec`.
        inputs: the tensor that the layer will be applied to.
        choices: the caller's choices for all layers.

    Example:
        >>> pool = specs.MaxPoolSpec("pool1", size=3, stride=2)
        >>> choices = Choices.checked(variants.get("cifar_v2"))
        >>> keras_layer(pool, keras.Input([8, 8, 4]), choices).name
        'pool1'
    """
    return _LAYERS[type(layer_spec)](layer_spec, inputs, choices)


def _convolution(
    layer_spec: specs.ConvolutionSpec, inputs: keras.KerasTensor, choices: Choices
) -> keras.layers.Layer:
    fan_in = layer_spec.kernel**2 * inputs.shape[-1] // layer_spec.groups
    return layers.Convolution(
        layer_spec.filters,
        layer_spec.kernel,
        strides=layer_spec.stride,
        padding=layer_spec.padding,
        groups=layer_spec.groups,
        activation=None if layer_spec.linear else choices.activation,
        name=layer_spec.name,
        **initializers(layer_spec, fan_in, choices.seed),
    )


def _locally_connected(
    layer_spec: specs.LocallyConnectedSpec, inputs: keras.KerasTensor, choices: Choices
) -> keras.layers.Layer:
    return LocallyConnected(
        layer_spec.filters,
        layer_spec.kernel,
        padding=layer_spec.padding,
        activation=choices.activation,
        name=layer_spec.name,
        **initializers(layer_spec, layer_spec.kernel**2 * inputs.shape[-1], choices.seed),
    )


def _max_pool(
    layer_spec: specs.MaxPoolSpec, inputs: keras.KerasTensor, choices: Choices
) -> keras.layers.Layer:
    layer = pooling.CeilMaxPooling2D if layer_spec.ceil else keras.layers.MaxPooling2D
    return layer(layer_spec.size, layer_spec.stride, name=layer_spec.name)


def _dropout(
    layer_spec: specs.DropoutSpec, inputs: keras.KerasTensor, choices: Choices
) -> keras.layers.Layer:
    unscaled = isinstance(layer_spec, specs.UnscaledDropoutSpec)
    layer = layers.UnscaledDropout if unscaled else layers.Dropout
    seed = seed_of(choices.seed, layer_spec.name, "masks")
    return layer(layer_spec.rate, seed=seed, name=layer_spec.name)


def _dense(
    layer_spec: specs.DenseSpec, inputs: keras.KerasTensor, choices: Choices
) -> keras.layers.Layer:
    return keras.layers.Dense(
        layer_spec.units,
        activation=choices.activation,
        name=layer_spec.name,
        **initializers(layer_spec, inputs.shape[-1], choices.seed),
    )


def _classifier(
    layer_spec: specs.ClassifierSpec, inputs: keras.KerasTensor, choices: Choices
) -> keras.layers.Layer:
    # float32: the loss of a thousand classes needs more than the 8 bits of bfloat16.
    return keras.layers.Dense(
        choices.num_classes,
        dtype="float32",
        name=layer_spec.name,
        **initializers(layer_spec, inputs.shape[-1], choices.seed),
    )


_LAYERS: dict[type[specs.LayerSpec], Callable[..., keras.layers.Layer]] = {
    specs.ConvolutionSpec: _convolution,
    specs.LocallyConnectedSpec: _locally_connected,
    specs.ActivationSpec: lambda each, _, choices: keras.layers.Activation(
        choices.activation, name=each.name
    ),
    specs.LocalResponseNormSpec: lambda each, *_: layers.LocalResponseNormalization(**asdict(each)),
    specs.SameMapNormSpec: lambda each, *_: layers.SameMapNormalization(**asdict(each)),
    specs.MaxPoolSpec: _max_pool,
    specs.CeilAveragePoolSpec: lambda each, *_: pooling.CeilAveragePooling2D(
        each.size, each.stride, name=each.name
    ),
    specs.AdaptiveAveragePoolSpec: lambda each, *_: pooling.AdaptiveAveragePooling2D(
        each.size, name=each.name
    ),
    specs.FlattenSpec: lambda each, *_: keras.layers.Flatten(name=each.name),
    specs.DropoutSpec: _dropout,
    specs.UnscaledDropoutSpec: _dropout,
    specs.DenseSpec: _dense,
    specs.ClassifierSpec: _classifier,
}


# Initial weights ----------------------------------------------------------------------------------
def initializers(layer_spec: Any, fan_in: int, seed: int | None) -> dict[str, Any]:
    """Returns the initializer arguments of a Keras layer with a kernel and a bias."""
    seeds = {part: seed_of(seed, layer_spec.name, part) for part in ("kernel", "bias")}
    kernel, bias = _INITIAL_WEIGHTS[type(layer_spec.initial)](layer_spec.initial, fan_in, seeds)
    return {"kernel_initializer": kernel, "bias_initializer": bias}


def seed_of(seed: int | None, layer: str, part: str) -> int | None:
    """Returns the seed of one part of one layer, or None without a seed."""
    return None if seed is None else zlib.crc32(f"{seed}/{layer}/{part}".encode()) >> 1


def _normal(weights: specs.NormalWeights, fan_in: int, seeds: dict) -> tuple:
    kernel = keras.initializers.RandomNormal(stddev=weights.std, seed=seeds["kernel"])
    return kernel, keras.initializers.Constant(weights.bias)


def _fan_in_uniform(weights: specs.FanInUniform, fan_in: int, seeds: dict) -> tuple:
    bound = 1 / math.sqrt(fan_in)
    return tuple(
        keras.initializers.RandomUniform(-bound, bound, seed=seeds[part])
        for part in ("kernel", "bias")
    )


def _he_fan_out(weights: specs.HeFanOut, fan_in: int, seeds: dict) -> tuple:
    kernel = keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal", seed=seeds["kernel"]
    )
    return kernel, keras.initializers.Zeros()


_INITIAL_WEIGHTS: dict[type, Callable[..., tuple]] = {
    specs.NormalWeights: _normal,
    specs.FanInUniform: _fan_in_uniform,
    specs.HeFanOut: _he_fan_out,
}
