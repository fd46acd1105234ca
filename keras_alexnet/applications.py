"""The networks in the form of `keras.applications`, for code written for that form."""

import functools
import importlib.resources
import os
from collections.abc import Callable, Sequence

import keras
import numpy as np

from keras_alexnet import rows, variants
from keras_alexnet.customise import image_shape, whole_number
from keras_alexnet.errors import UsageError
from keras_alexnet.models import Choices, classified, connect
from keras_alexnet.weights import load

_POOLINGS = {
    "avg": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
}


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
        weights: None for random weights, or a file as `keras_alexnet.weights.load` takes it.
        input_tensor: output of `keras.Input` (or of layers before this network) to build on.
        input_shape: (height, width, 3); by default the network's own. Without the top, height and
            width may be None, and are by default.
        pooling: without the top, what to make of the last map: None leaves it
            `[batch, height, width, channels]`, "avg" or "max" pools it to `[batch, channels]`.
        classes: number of classes; without the top it has no meaning.
        classifier_activation: activation on the logits; None returns the logits.
        name: the model's name; by default the variant's.
        variant: a name from `keras_alexnet.list_variants()`.

    Returns:
        A functional model that takes RGB pixels 0-255, uint8 or float, and standardises inside.

    Raises:
        UsageError: an argument that cannot be used, `weights="imagenet"` among them.
        UserError: the weights file cannot be read, or is another network's.

    Weights trained on ImageNet do not come with this package. torchvision's, once downloaded, are
    taken as they are, and so are Caffe's (variant "alexnet_caffe"):

    ```python
    model = keras_alexnet.AlexNet(variant="alexnet_owt", weights="alexnet-owt-7be5be79.pth")
    ```

    Example:
        >>> model = keras_alexnet.AlexNet(include_top=False, pooling="avg")
        >>> model(np.zeros([1, 300, 200, 3], "uint8")).shape
        TensorShape([1, 256])
    """
    network = variants.get(variant)
    choices = Choices.checked(network, whole_number("classes", classes, least=1))
    image = _image(network, include_top, input_tensor, input_shape)
    if include_top:
        outputs = connect(image, network, network.layers, choices)
        outputs = classified(outputs, classifier_activation)
    else:
        outputs = _pooled(connect(image, network, network.features, choices), pooling)
    inputs = image if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    model = keras.Model(inputs, outputs, name=name or network.name)
    if weights is not None:
        if weights == "imagenet":
            raise UsageError(
                "There are no ImageNet weights to be had here: none come with keras_alexnet, and "
                "none are downloaded. Give the path of torchvision's file with "
                "variant='alexnet_owt', or of Caffe's with variant='alexnet_caffe'. "
                "Received: weights='imagenet'."
            )
        load(model, weights, variant=network.name)
    return model


def preprocess_input(x, data_format=None):
    """Returns `x` as it is: the networks take pixels 0-255 and standardise them inside.

    Example:
        >>> preprocess_input(np.full([1], 255)).item()
        255
    """
    return x


def decode_predictions(preds, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """Names the highest scores of predictions over the 1000 ImageNet classes.

    Args:
        preds: `[batch, 1000]`, probabilities or logits, in the order of ILSVRC-2012's sorted
            WordNet ids (that of Keras and PyTorch).
        top: how many to name.

    Returns:
        For each image the `top` tuples (WordNet id, name, score), highest score first.

    Raises:
        UsageError: `preds` has another shape.

    Example:
        >>> decode_predictions(np.eye(1000)[[1]], top=1)
        [[('n01443537', 'goldfish', 1.0)]]
    """
    scores = keras.ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise UsageError(
            "decode_predictions names the 1000 ImageNet classes and wants scores of shape "
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
    """Returns (WordNet id, name) of each class."""
    text = importlib.resources.files("keras_alexnet").joinpath("imagenet_labels.txt").read_text()
    return [tuple(line.split()) for line in text.splitlines()]


def _image(network: rows.Variant, include_top, input_tensor, input_shape):
    """Returns the tensor to build on."""
    if input_tensor is not None:
        if not keras.backend.is_keras_tensor(input_tensor):
            raise UsageError(
                "input_tensor must be a Keras tensor, such as keras.Input(...) returns. Received: "
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
        side = network.input_size if include_top else None
        input_shape = (side, side, 3)
    shape = image_shape(input_shape, sizes_known=include_top)
    return keras.Input(shape, name="image", dtype="float32")


def _pooled(feature_map, pooling):
    if pooling is None:
        return feature_map
    if pooling not in _POOLINGS:
        raise UsageError(f"pooling must be None, 'avg' or 'max'. Received: {pooling!r}.")
    return _POOLINGS[pooling](name=f"{pooling}_pool")(feature_map)
