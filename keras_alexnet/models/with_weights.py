"""build: a network, with weights from a file or of a name."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_alexnet.networks.build import build as build_network


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
    weights: str | os.PathLike | None = None,
    name: str | None = None,
) -> keras.Model:
    """Builds a network: RGB pixels 0-255 in, logits out.

    Args:
        variant: a name from `keras_alexnet.list_variants()`.
        num_classes: number of logits; by default that of the network's spec.
        input_shape: (height, width, 3); by default that of the spec. It need not be square.
        activation: activation of the hidden layers, any Keras activation or a callable.
        classifier_activation: e.g. "softmax": added after the logits, in float32.
        lrn: False leaves response normalization out.
        dropout: rate that replaces the spec's; 0 leaves dropout out.
        seed: fixes initial weights and dropout masks bit for bit. A layer's initial weights depend
            only on the seed and its own name, so they stay the same when others are left out.
        overlapping_pooling: False makes pooling windows as large as their stride.
        pixel_mean: R, G, B means 0-255 to subtract instead of the spec's.
        pixel_std: number, or three for R, G, B, to divide by instead of the spec's.
        initial_weights: "fan_in_uniform", PyTorch's default; "normal(STD)", such as "normal(0.01)",
            with biases 0; or one that the spec offers besides its own ("he_fan_out" for
            `alexnet_half`).
        weights: what to start from, as for `keras_alexnet.weights.load`: a file, or the name of
            weights: "cifar10-jpeg", which come with the package, or "imagenet", which are
            downloaded once. Their layer "logits" is not used if its classes differ. The pixel
            constants of a Keras file are used, unless `pixel_mean` or `pixel_std` is given.
        name: the model's name; by default the variant.

    Returns:
        A functional model. Its input "image" is `[batch, height, width, 3]`, uint8 or float pixels
        0-255. Its output is that of the layer "logits" (or of "predictions" after it), float32
        `[batch, num_classes]`. It follows the global precision policy, but always standardizes
        pixels and computes logits in float32.

    Raises:
        UsageError: an argument that this network cannot take. If the input is too small, the
            message names the layer at which nothing of it is left.
        UserError: the weights file cannot be read or downloaded, or is for a different network.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", weights="cifar10-jpeg")
        >>> model(np.zeros([1, 32, 32, 3], "uint8")).shape
        TensorShape([1, 10])
    """
    if weights is not None:
        from keras_alexnet.weights import named

        named.check_name(weights, variant)  # before a large network is built for them
    model = build_network(
        variant,
        num_classes=num_classes,
        input_shape=input_shape,
        activation=activation,
        classifier_activation=classifier_activation,
        lrn=lrn,
        dropout=dropout,
        seed=seed,
        overlapping_pooling=overlapping_pooling,
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        initial_weights=initial_weights,
        name=name,
    )
    if weights is not None:
        keep_pixels = pixel_mean is not None or pixel_std is not None
        load_into(model, weights, variant=variant, new_head=True, keep_pixels=keep_pixels)
    return model


def load_into(model: keras.Model, path: str | os.PathLike, **options: Any) -> None:
    """Loads weights into a network; `options` are those of `weights.load`."""
    # Without weights, building needs none of the modules that read them.
    from keras_alexnet.weights.load import load

    load(model, path, **options)
