"""AlexNet: a network with the arguments of the constructors of keras.applications."""

import os
from collections.abc import Callable, Sequence

import keras

from keras_alexnet.errors import UsageError, whole_number
from keras_alexnet.models.with_weights import load_into
from keras_alexnet.networks import variants
from keras_alexnet.networks.build import classified, connect
from keras_alexnet.networks.options import Choices, fixed_size_layer, image_shape
from keras_alexnet.networks.spec import NetworkSpec

_POOLINGS = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


def AlexNet(
    include_top: bool = True,
    weights: str | os.PathLike | None = "imagenet",
    input_tensor: keras.KerasTensor | None = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | Callable | None = "softmax",
    name: str | None = None,
    variant: str = "alexnet_owt",
) -> keras.Model:
    """Builds a network as the constructors of `keras.applications` do.

    By default it is torchvision's AlexNet, because it is the only one whose weights, trained on
    ImageNet, are published in a form that this package can download. They are downloaded once
    (244 MB) and kept in the folder of the environment variable KERAS_ALEXNET_CACHE.

    Args:
        include_top: whether to include the dense layers.
        weights: "imagenet"; None for random weights; or a file or another name as for
            `keras_alexnet.weights.load`.
        input_tensor: output of `keras.Input` (or of layers before this network) to build on.
        input_shape: (height, width, 3); by default that of the network's spec. Without the top,
            height and width may be None, which is the default, except in networks with locally
            connected layers. alexnet_owt takes any size from 63 pixels up, also with the top and
            with weights.
        pooling: without the top, how to pool the last map: None leaves it
            `[batch, height, width, channels]`, "avg" or "max" pools it to `[batch, channels]`.
        classes: number of classes; ignored without the top. With the top and weights of a name, as
            many as they have: 1000 for "imagenet".
        classifier_activation: activation on the logits; None returns the logits. With weights of a
            name, "softmax" or None.
        name: the model's name; by default the variant.
        variant: a name from `keras_alexnet.list_variants()`, such as "alexnet" for the network of
            the 2012 paper.

    Returns:
        A functional model that takes RGB pixels 0-255, uint8 or float, and standardizes them. Its
        output is float32: `[batch, classes]` probabilities, or without the top the last map.

    Raises:
        UsageError: an argument that cannot be used, such as a network without weights "imagenet".
        UserError: the weights cannot be downloaded or read, or are for a different network.

    Example:
        >>> model = keras_alexnet.AlexNet(include_top=False, weights=None, pooling="avg")
        >>> model(np.zeros([1, 300, 200, 3], "uint8")).shape
        TensorShape([1, 256])
    """
    spec = variants.get(variant)
    choices = Choices.checked(spec, whole_number("classes", classes, least=1))
    if weights is not None:
        _check_weights(weights, spec, include_top, choices.num_classes, classifier_activation)
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
        load_into(model, weights, variant=spec.name)
    return model


def _check_weights(
    weights: str | os.PathLike,
    spec: NetworkSpec,
    include_top: bool,
    classes: int,
    classifier_activation: str | Callable | None,
) -> None:
    """Checks what the weights of a name ask for, before a large network is built for them."""
    from keras_alexnet.weights import named

    named.check_name(weights, spec.name)
    trained = named.classes_of(weights, spec.name) if include_top else None
    if trained is None:
        return
    if classes != trained:
        raise UsageError(
            f"With weights={weights!r} and the top, classes must be {trained}. Received: "
            f"{classes}. For classes of your own, pass include_top=False and add layers, or call "
            f"build({spec.name!r}, num_classes={classes}, weights={weights!r}), whose last layer "
            "starts from new weights."
        )
    allowed = ("softmax", None, keras.activations.softmax, keras.activations.linear)
    if classifier_activation not in allowed:
        raise UsageError(
            f"With weights={weights!r}, classifier_activation must be 'softmax', with which they "
            f"were trained, or None. Received: {classifier_activation!r}."
        )


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
        known = include_top or fixed_size_layer(spec.features)
        side = spec.input_size if known else None
        input_shape = (side, side, 3)
    shape = image_shape(input_shape, sizes_known=include_top)
    return keras.Input(shape, name="image", dtype="float32")


def _pooled(feature_map: keras.KerasTensor, pooling: str | None) -> keras.KerasTensor:
    if pooling is None:
        return feature_map
    if pooling not in _POOLINGS:
        raise UsageError(f"pooling must be None, 'avg' or 'max'. Received: {pooling!r}.")
    return _POOLINGS[pooling](name=f"{pooling}_pool")(feature_map)
