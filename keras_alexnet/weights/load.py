"""Loads weights from files of PyTorch, Caffe and Keras into a network."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.networks import variants
from keras_alexnet.networks.build import standardize_layer
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.utils import finite
from keras_alexnet.weights import caffe, compatibility
from keras_alexnet.weights.layout import fitting_tensors, weighted_layers
from keras_alexnet.weights.source import (
    MODELS,
    OF_CAFFE,
    Source,
    read_source,
    variables_of,
)

_Tensors = dict[str, list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What `load` loaded into a model.

    Attributes:
        path: the file.
        kind: "pytorch", "caffe", "tensorflow", "keras", "hdf5", or "named" for weights that have a
            name.
        sha256: the SHA-256 of the file.
        layers: names of the layers that were filled.
        new_layers: names of the layers that were not, because their classes differ.
        pixel_mean: the R, G, B means 0-255 from the file, or None if it has none.
        pixel_std: the standard deviations from the file, likewise.
    """

    path: pathlib.Path
    kind: str
    sha256: str
    layers: tuple[str, ...]
    new_layers: tuple[str, ...] = ()
    pixel_mean: tuple[float, ...] | None = None
    pixel_std: tuple[float, ...] | None = None


def load(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    variant: str | None = None,
    mean: str | os.PathLike | None = None,
    sha256: str | None = None,
    new_head: bool = False,
    keep_pixels: bool = False,
) -> Loaded:
    """Loads weights into a network of `build()`: all of them, or none if they do not fit.

    Args:
        model: the network, before it is trained or called in a `tf.function` of your own.
        path: a state dict of PyTorch (`.safetensors`, `.pth` or `.pt`) of torchvision's or a
            document's network; a `.caffemodel`, or Caffe's weights as `bvlc_alexnet.npy`; a
            `.keras` file, the folder of a run, or a `.weights.h5` file; or the name of weights:
            "cifar10-jpeg", which come with the package, or "imagenet", which are downloaded once.
        variant: the network, if the model has a different name.
        mean: for Caffe's weights, a `.binaryproto` or `.npy` with one number for each of B, G, R,
            or with a mean image. The model then subtracts the channels' means.
        sha256: the expected SHA-256 of the file, or its first 8 digits or more. Without it, the
            digits in a name such as `alexnet-owt-7be5be79.pth` are compared.
        new_head: whether to leave the layer "logits" as it is if its classes differ from the
            file's.
        keep_pixels: whether to leave the mean and deviation of the pixels as they are. By default
            those of a Keras file are loaded, because its weights were trained with them.

    Returns:
        What was loaded.

    Raises:
        UsageError: an argument that cannot be used.
        UserError: the file is missing or damaged, would run code, or holds a different network;
            the message names tensors that are missing, unknown or misshapen, or NaN or infinite.
            The model is unchanged.

    Example:
        >>> trained = keras_alexnet.build("cifar_v2", seed=1)
        >>> _ = keras_alexnet.weights.save(trained, "trained.safetensors")
        >>> model = keras_alexnet.build("cifar_v2")
        >>> load(model, "trained.safetensors").layers
        ('conv1', 'conv2', 'fc3', 'fc4', 'logits')
    """
    spec = variants.get(variant or model.name)
    source = read_source(path, spec, mean=mean, sha256=sha256)
    return fill(model, source, spec, new_head=new_head, keep_pixels=keep_pixels)


def fill(
    model: keras.Model,
    source: Source,
    spec: NetworkSpec,
    *,
    new_head: bool = False,
    keep_pixels: bool = False,
) -> Loaded:
    """Loads the weights of a `Source` into a network; the arguments are those of `load`.

    Raises:
        UserError: as in `load`.
    """
    if source.kind == "hdf5":
        _load_hdf5(model, source.file)
        return Loaded(source.file, source.kind, source.sha256, _weighted(model))
    title = f"The weights of {source.file} and {spec.name}"
    found = _TENSORS[source.kind](model, source, spec, title=title, new_head=new_head)
    finite.check_weights(
        source.file,
        (pair for layer in found for pair in zip(source.names[layer], found[layer], strict=True)),
    )
    # Everything fits: from here on the model is changed.
    for layer, values in found.items():
        model.get_layer(layer).set_weights(values)
    pixels = None if keep_pixels else source.pixels
    if pixels is not None:
        set_pixels(model, *pixels)
    elif source.kind in OF_CAFFE and not keep_pixels:
        logging.info(
            "No mean file was given with %s. R %.3f, G %.3f, B %.3f is subtracted from each pixel.",
            *(source.file, *standardize_layer(model).mean),
        )
    new_layers = tuple(name for name in _weighted(model) if name not in found)
    if new_layers:
        logging.info(
            "Not loaded, because %s has different classes: %s.", source.file, ", ".join(new_layers)
        )
    return Loaded(
        source.file, source.kind, source.sha256, tuple(found), new_layers, *(pixels or ())
    )


def set_pixels(model: keras.Model, mean: Sequence[float], std: Sequence[float]) -> None:
    """Sets the mean and deviation that a network standardizes with, R, G, B on the scale 0-255."""
    layer = standardize_layer(model)
    layer.mean, layer.std = list(mean), list(std)
    # Functions that Keras has compiled hold the old numbers.
    model.train_function = model.test_function = model.predict_function = None


def _from_pytorch(
    model: keras.Model, source: Source, spec: NetworkSpec, **options: Any
) -> _Tensors:
    wanted = weighted_layers(model, spec)
    _warn_of_changes(model, source, spec)
    shapes = {name: layer.shapes for name, layer in wanted.items()}
    found = fitting_tensors(shapes, source.names, source.tensors, **options)
    return {name: [wanted[name].to_keras(kernel), bias] for name, (kernel, bias) in found.items()}


def _from_caffe(model: keras.Model, source: Source, spec: NetworkSpec, **options: Any) -> _Tensors:
    found = _from_pytorch(model, source, spec, **options)
    caffe.check_structure(spec, source.layers, source.file)
    return _from_bgr(found, spec)


def _from_tensorflow(
    model: keras.Model, source: Source, spec: NetworkSpec, **options: Any
) -> _Tensors:
    wanted = weighted_layers(model, spec)
    caffe.check_structure(spec, (), source.file)
    _warn_of_changes(model, source, spec)
    shapes = {
        name: [tuple(variable.shape) for variable in model.get_layer(name).weights]
        for name in wanted
    }
    return _from_bgr(fitting_tensors(shapes, source.names, source.tensors, **options), spec)


def _from_bgr(found: _Tensors, spec: NetworkSpec) -> _Tensors:
    """Lets a network of R, G, B use the first kernel of Caffe, whose channels are B, G, R."""
    first = spec.features[0].name
    if first in found and not spec.standardization.bgr:
        found[first][0] = found[first][0][:, :, ::-1]
    return found


def _warn_of_changes(model: keras.Model, source: Source, spec: NetworkSpec) -> None:
    if changed := compatibility.changes(model, spec):
        logging.warning(
            "The weights of %s were trained without these changes to %s: %s.",
            *(source.file, spec.name, ", ".join(changed)),
        )


def _from_keras(model: keras.Model, source: Source, spec: NetworkSpec, **options: Any) -> _Tensors:
    _, wanted = variables_of(model)
    # A network without its top loads its part of a whole one.
    of_network = {each.name for each in spec.layers}
    names = {layer: found for layer, found in source.names.items() if layer in of_network} | wanted
    shapes = {
        layer: [tuple(variable.shape) for variable in model.get_layer(layer).weights]
        for layer in wanted
    }
    found = fitting_tensors(shapes, names, source.tensors, **options)
    if other := compatibility.differences(compatibility.chain(model), source.chain):
        raise UserError(
            f"The network in {source.file} is different from this {spec.name}, although its "
            f"weights have the same shapes, and nothing was loaded. Differences: "
            f"{'; '.join(other)}. Build the network with the options that the file was written "
            "with."
        )
    return found


_TENSORS: dict[str, Callable[..., _Tensors]] = {
    "pytorch": _from_pytorch,
    "caffe": _from_caffe,
    "tensorflow": _from_tensorflow,
    **dict.fromkeys(MODELS, _from_keras),
}


def _load_hdf5(model: keras.Model, path: pathlib.Path) -> None:
    before = model.get_weights()
    try:
        with warnings.catch_warnings():
            # Keras warns about each layer that it does not find, and then raises.
            warnings.filterwarnings("ignore", "Skipping nested container")
            model.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        model.set_weights(before)  # Keras may have filled the first layers
        raise UserError(
            f"{path} does not hold the weights of this {model.name}, or is damaged. Name the "
            "network that wrote it, with the same number of classes."
        ) from error
    try:
        finite.check_weights(path, finite.weights_of(model))
    except UserError:
        model.set_weights(before)
        raise


def _weighted(model: keras.Model) -> tuple[str, ...]:
    return tuple(layer.name for layer in model.layers if layer.weights)
