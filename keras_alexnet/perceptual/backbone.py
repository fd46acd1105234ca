"""The five convolutions of alexnet_owt, whose activations LPIPS compares."""

import os
from typing import Any

import keras

from keras_alexnet.distributed.precision import precision
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.models.alexnet import AlexNet
from keras_alexnet.networks import options, variants
from keras_alexnet.networks.build import connect, standardize_layer
from keras_alexnet.networks.options import Choices
from keras_alexnet.weights import compatibility

VARIANT = "alexnet_owt"
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
SMALLEST = 31  # pixels on each side, of which these layers leave something


def build_backbone(
    weights: str | os.PathLike | keras.Model | None, seed: int | None = None
) -> keras.Model:
    """Builds the network up to its last convolution, in float32, frozen, for images of any size.

    It standardizes pixels 0–255 with torchvision's constants. These are LPIPS's own, which are for
    pixels from −1 to 1: 0.485 · 255 / 127.5 − 1 = −0.030, and 0.229 · 255 / 127.5 = 0.458.

    Args:
        weights: what `keras_alexnet.AlexNet` takes: a file or a name. Or a model of alexnet_owt
            that `keras_alexnet.build` made. None for random weights.
        seed: fixes random weights.

    Returns:
        A functional model: pixels `[batch, height, width, 3]`, 0–255 → the activations of conv1 to
        conv5 after their ReLU.

    Raises:
        UsageError: `weights` is none of these.
        UserError: the weights cannot be read, or are of a different network.

    Example:
        >>> [maps.shape[-1] for maps in build_backbone(None).outputs]
        [64, 192, 384, 256, 256]
    """
    spec = variants.get(VARIANT)
    with precision("float32"):
        image = keras.Input((None, None, 3), name="image", dtype="float32")
        last = connect(image, spec, _compared_layers(), Choices.checked(spec, seed=seed))
        whole = keras.Model(image, last)
        if weights is not None:
            _copy(_source(weights), whole)
    maps = [whole.get_layer(name).output for name in LAYERS]
    found = keras.Model(image, maps, name="backbone")
    found.trainable = False
    return found


def check_image_size(height: int | None, width: int | None) -> None:
    """Checks that images are large enough; None is a side that is not known.

    Raises:
        UsageError: they are smaller than 31 x 31.
    """
    options.check_image_size("The perceptual distance", _compared_layers(), (height, width))


def _compared_layers() -> tuple:
    layers = variants.get(VARIANT).features
    return layers[: 1 + [each.name for each in layers].index(LAYERS[-1])]


def _source(weights: Any) -> keras.Model:
    if isinstance(weights, keras.Model):
        return weights
    if not isinstance(weights, (str, os.PathLike)):
        raise UsageError(
            "weights must be a file, a name such as 'imagenet', a model that build() returned, or "
            f"None. Received: {type(weights).__name__}."
        )
    return AlexNet(include_top=False, weights=weights, variant=VARIANT)


def _copy(source: keras.Model, target: keras.Model) -> None:
    title = f"LPIPS compares the activations of {VARIANT}"
    ours, theirs = compatibility.chain(target), compatibility.chain(source)
    found = compatibility.differences(ours, theirs)
    for name in set(LAYERS) & set(theirs):
        here, there = (
            [tuple(each.shape) for each in model.get_layer(name).weights]
            for model in (target, source)
        )
        if here != there:
            found.append(f"{name} has weights of the shapes {here} here and {there} there")
    pixels = [(layer.mean, layer.std) for layer in map(standardize_layer, (target, source))]
    if pixels[0] != pixels[1]:
        found.append(f"pixels have (mean, deviation) {pixels[0]} here and {pixels[1]} there")
    if found:
        raise UserError(f"{title}. The network {source.name} is different: {'; '.join(found)}.")
    for name in LAYERS:
        target.get_layer(name).set_weights(source.get_layer(name).get_weights())
