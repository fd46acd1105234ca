"""build and AlexNet, with weights from files; preprocess_input and decode_predictions."""

import functools
import importlib.resources
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_alexnet.errors import UsageError, whole_number
from keras_alexnet.networks import variants
from keras_alexnet.networks.build import build as build_network
from keras_alexnet.networks.build import classified, connect
from keras_alexnet.networks.options import Choices, image_shape
from keras_alexnet.networks.spec import NetworkSpec

_POOLINGS = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


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
            weights that come with the package, such as "cifar10-jpeg". Their layer "logits" is not
            used if its classes differ. The pixel constants of a Keras file are used, unless
            `pixel_mean` or `pixel_std` is given.
        name: the model's name; by default the variant.

    Returns:
        A functional model. Its input "image" is `[batch, height, width, 3]`, uint8 or float pixels
        0-255. Its output is that of the layer "logits" (or of "predictions" after it), float32
        `[batch, num_classes]`. It follows the global precision policy, but always standardizes
        pixels and computes logits in float32.

    Raises:
        UsageError: an argument that this network cannot take. If the input is too small, the
            message names the layer at which nothing of it is left.
        UserError: the weights file cannot be read, or is for a different network.

    Example:
        >>> model = keras_alexnet.build("cifar_v2", weights="cifar10-jpeg")
        >>> model(np.zeros([1, 32, 32, 3], "uint8")).shape
        TensorShape([1, 10])
    """
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
        _load(model, weights, variant=variant, new_head=True, keep_pixels=keep_pixels)
    return model


def AlexNet(
    include_top: bool = True,
    weights: str | os.PathLike | None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str | None = None,
    variant: str = "alexnet",
) -> keras.Model:
    """Builds a network as the constructors of `keras.applications` do.

    Args:
        include_top: whether to include the dense layers.
        weights: None for random weights, or a file or name as for `keras_alexnet.weights.load`.
        input_tensor: output of `keras.Input` (or of layers before this network) to build on.
        input_shape: (height, width, 3); by default that of the network's spec. Without the top,
            height and width may be None, which is the default.
        pooling: without the top, how to pool the last map: None leaves it
            `[batch, height, width, channels]`, "avg" or "max" pools it to `[batch, channels]`.
        classes: number of classes; ignored without the top.
        classifier_activation: activation on the logits; None returns the logits.
        name: the model's name; by default the variant.
        variant: a name from `keras_alexnet.list_variants()`.

    Returns:
        A functional model that takes RGB pixels 0-255, uint8 or float, and standardizes them. Its
        output is float32: `[batch, classes]` probabilities, or without the top the last map.

    Raises:
        UsageError: an argument that cannot be used, such as `weights="imagenet"`.
        UserError: the weights file cannot be read, or is for a different network.

    This package contains no weights trained on ImageNet. It loads those of torchvision and, with
    the variant "alexnet_caffe", those of Caffe after you download them:

    ```python
    model = keras_alexnet.AlexNet(variant="alexnet_owt", weights="alexnet-owt-7be5be79.pth")
    ```

    Example:
        >>> model = keras_alexnet.AlexNet(include_top=False, pooling="avg")
        >>> model(np.zeros([1, 300, 200, 3], "uint8")).shape
        TensorShape([1, 256])
    """
    if weights == "imagenet":
        raise UsageError(
            "keras_alexnet contains no ImageNet weights and downloads none. Give the path of "
            "torchvision's file with variant='alexnet_owt', or of Caffe's with "
            "variant='alexnet_caffe'. Received: weights='imagenet'."
        )
    spec = variants.get(variant)
    choices = Choices.checked(spec, whole_number("classes", classes, least=1))
    image = _image(spec, include_top, input_tensor, input_shape)
    if include_top:
        outputs = connect(image, spec, spec.layers, choices)
        outputs = classified(outputs, classifier_activation)
    else:
        outputs = _pooled(connect(image, spec, spec.features, choices), pooling)
    sources = [image] if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    inputs = sources[0] if len(sources) == 1 else sources
    model = keras.Model(inputs, outputs, name=name or spec.name)
    if weights is not None:
        _load(model, weights, variant=spec.name)
    return model


def preprocess_input(x: Any, data_format: str | None = None) -> Any:
    """Returns `x` unchanged: the networks take pixels 0-255 and standardize them.

    It exists because `keras.applications` has one for each model. `data_format` is ignored.

    Example:
        >>> preprocess_input(np.full([1], 255)).item()
        255
    """
    return x


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Names the highest scores of predictions over the 1000 ImageNet classes.

    Args:
        preds: `[batch, 1000]`, probabilities or logits, sorted by the WordNet ids of ILSVRC-2012
            (as in Keras and PyTorch).
        top: number of classes to name.

    Returns:
        For each image `top` tuples (WordNet id, name, score), highest score first.

    Raises:
        UsageError: `preds` has a different shape, or `top` is not a positive whole number.

    Example:
        >>> decode_predictions(np.eye(1000)[[1]], top=1)
        [[('n01443537', 'goldfish', 1.0)]]
    """
    scores = keras.ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise UsageError(
            "decode_predictions names the 1000 ImageNet classes and needs scores of shape "
            f"(images, 1000). Received: {scores.shape}."
        )
    top = whole_number("top", top, least=1)
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    labels = imagenet_labels()
    return [
        [(*labels[index], image[index].item()) for index in indices]
        for image, indices in zip(scores, highest, strict=True)
    ]


@functools.cache
def imagenet_labels() -> list[tuple[str, str]]:
    """Returns (WordNet id, name) of each of the 1000 ImageNet classes.

    Example:
        >>> imagenet_labels()[1]
        ('n01443537', 'goldfish')
    """
    text = importlib.resources.files("keras_alexnet").joinpath("imagenet_labels.txt").read_text()
    pairs = (line.split() for line in text.splitlines())
    return [(wordnet_id, name) for wordnet_id, name in pairs]


def _load(model: keras.Model, path: str | os.PathLike, **options: Any) -> None:
    # Without weights, building needs none of the modules that read them.
    from keras_alexnet.weights.load import load

    load(model, path, **options)


def _image(
    spec: NetworkSpec,
    include_top: bool,
    input_tensor: keras.KerasTensor | None,
    input_shape: Sequence[int | None] | None,
) -> keras.KerasTensor:
    """Returns the tensor to build on."""
    if input_tensor is not None:
        if not keras.backend.is_keras_tensor(input_tensor):
            raise UsageError(
                "input_tensor must be a Keras tensor, as keras.Input(...) returns one. Received: "
                f"{type(input_tensor).__name__}."
            )
        if input_shape is not None and tuple(input_shape) != tuple(input_tensor.shape[1:]):
            raise UsageError(
                "input_shape must be left out or be that of input_tensor, "
                f"{tuple(input_tensor.shape[1:])}. Received: {tuple(input_shape)}."
            )
        image_shape(input_tensor.shape[1:], sizes_known=include_top)
        return input_tensor
    if input_shape is None:
        side = spec.input_size if include_top else None
        input_shape = (side, side, 3)
    shape = image_shape(input_shape, sizes_known=include_top)
    return keras.Input(shape, name="image", dtype="float32")


def _pooled(feature_map: keras.KerasTensor, pooling: str | None) -> keras.KerasTensor:
    if pooling is None:
        return feature_map
    if pooling not in _POOLINGS:
        raise UsageError(f"pooling must be None, 'avg' or 'max'. Received: {pooling!r}.")
    return _POOLINGS[pooling](name=f"{pooling}_pool")(feature_map)
