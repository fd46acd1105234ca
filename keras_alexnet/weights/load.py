"""load(model, path): weights from elsewhere into a network."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence

import keras
import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.weights import caffe, compatibility, source
from keras_alexnet.weights.layout import fitted, places
from keras_alexnet.weights.source import STANDARDIZE, Source, read_source, variables_of


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What `load` put into a model.

    Attributes:
        path: the file.
        kind: "pytorch", "caffe", "keras" or "hdf5".
        sha256: of the file.
        layers: names of the layers that were filled.
        new_layers: names of those that were left as they were, since their classes differ.
        pixel_mean: the R, G, B means 0-255 that the file brought; None if it brought none.
        pixel_std: as `pixel_mean`, what the pixels are then divided by.
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
    """Loads weights into a network of `build()`: all of them, or none with the reason.

    Args:
        model: the network, before it is trained or called by a `tf.function` of your own.
        path: a state dict of PyTorch, `.safetensors` or, with torch installed, `.pth`, of
            torchvision's or a document's network; a `.caffemodel`; a `.keras` file, the folder of
            a run, or a `.weights.h5` file.
        variant: the network, if the model's name does not tell it.
        mean: with a `.caffemodel`, its mean: a `.binaryproto` or `.npy`, one number for each of
            B, G, R or an image. The model then subtracts the channels' means.
        sha256: what the file's must be, or its first 8 digits or more. Without it the digits in
            a name such as `alexnet-owt-7be5be79.pth` count.
        new_head: leave the layer "logits" as it is, if it has other classes than the file's.
        keep_pixels: leave the pixels' mean and deviation as they are. By default a Keras file's
            are taken, since its weights were trained with them.

    Returns:
        What was loaded.

    Raises:
        UsageError: an argument that cannot be used.
        UserError: there is no such file, it is damaged, would run code, or holds another network;
            tensors that are missing, unknown or misshapen are named. The model is then as it was.

    Example:
        >>> trained = keras_alexnet.build("cifar_v2", seed=1)
        >>> _ = keras_alexnet.weights.save(trained, "trained.safetensors")
        >>> model = keras_alexnet.build("cifar_v2")
        >>> load(model, "trained.safetensors").layers
        ('conv1', 'conv2', 'fc3', 'fc4', 'logits')
    """
    network = variants.get(variant or model.name)
    source = read_source(path, network, mean=mean, sha256=sha256)
    return fill(model, source, network, new_head=new_head, keep_pixels=keep_pixels)


def fill(
    model: keras.Model,
    source: Source,
    network: NetworkSpec,
    *,
    new_head: bool = False,
    keep_pixels: bool = False,
) -> Loaded:
    """Loads what was read of a file into a network; the arguments are those of `load`.

    Raises:
        UserError: as `load`.
    """
    if source.kind == "hdf5":
        _load_hdf5(model, source.file)
        return Loaded(source.file, source.kind, source.sha256, _weighted(model))
    what = f"The weights of {source.file} and {network.name}"
    found = _FOUND[source.kind](model, source, network, what=what, new_head=new_head)
    # Everything is known to fit by now.
    for layer, values in found.items():
        model.get_layer(layer).set_weights(values)
    pixels = None if keep_pixels else source.pixels
    if pixels is not None:
        set_pixels(model, *pixels)
    elif source.kind == "caffe" and not keep_pixels:
        kept = model.get_layer(STANDARDIZE).mean
        logging.info(
            "No mean file came with %s: each pixel loses R %.3f, G %.3f, B %.3f.",
            *(source.file, *kept),
        )
    new_layers = tuple(name for name in _weighted(model) if name not in found)
    if new_layers:
        logging.info("New, since %s has other classes: %s.", source.file, ", ".join(new_layers))
    return Loaded(
        source.file, source.kind, source.sha256, tuple(found), new_layers, *(pixels or ())
    )


def set_pixels(model: keras.Model, mean: Sequence[float], std: Sequence[float]) -> None:
    """Gives a network's first layer other constants, R, G, B on the scale 0-255."""
    layer = model.get_layer(STANDARDIZE)
    layer.mean, layer.std = list(mean), list(std)
    # What Keras has compiled holds the old ones.
    model.train_function = model.test_function = model.predict_function = None


def _from_pytorch(model, source: Source, network: NetworkSpec, **options):
    wanted = places(model, network)
    if changed := compatibility.changes(model, network):
        logging.warning(
            "The weights of %s were trained without what was changed of %s here: %s.",
            *(source.file, network.name, ", ".join(changed)),
        )
    shapes = {layer: place.shapes for layer, place in wanted.items()}
    found = fitted(shapes, source.names, source.tensors, **options)
    return {
        layer: [wanted[layer].to_keras(kernel), bias] for layer, (kernel, bias) in found.items()
    }


def _from_caffe(model, source: Source, network: NetworkSpec, **options):
    found = _from_pytorch(model, source, network, **options)
    caffe.check_structure(network, source.layers, source.file)
    first = network.features[0].name
    if not network.standardization.bgr:
        found[first][0] = found[first][0][:, :, ::-1]  # Caffe's channels are B, G, R
    return found


def _from_keras(model, source: Source, network: NetworkSpec, **options):
    _, wanted = variables_of(model)
    # A network without its top takes what it has of a whole one.
    in_row = {row.name for row in network.layers}
    names = {layer: found for layer, found in source.names.items() if layer in in_row} | wanted
    shapes = {
        layer: [tuple(variable.shape) for variable in model.get_layer(layer).weights]
        for layer in wanted
    }
    found = fitted(shapes, names, source.tensors, **options)
    if other := compatibility.differences(compatibility.chain(model, STANDARDIZE), source.chain):
        raise UserError(
            f"{source.file} holds another network than this {network.name}, though its weights "
            f"have the same shapes, and nothing was loaded. Differing: {'; '.join(other)}. Build "
            "the network, and with the options, that the file was written with."
        )
    return found


_FOUND = {"pytorch": _from_pytorch, "caffe": _from_caffe, "keras": _from_keras}


def _load_hdf5(model, path) -> None:
    before = model.get_weights()
    try:
        with warnings.catch_warnings():
            # Keras warns of each layer it does not find before it raises; the error says it once.
            warnings.filterwarnings("ignore", "Skipping nested container")
            model.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        model.set_weights(before)  # Keras may have filled the first layers
        raise UserError(
            f"{path} does not hold the weights of this {model.name}, or is damaged: name the "
            "network, and as many classes, that it was written with."
        ) from error
    broken = [variable.path for variable in model.weights if not _finite(variable)]
    if broken:
        model.set_weights(before)
        raise UserError(f"{path}: not finite, and nothing was loaded: {', '.join(broken)}.")


def _finite(variable) -> bool:
    return bool(np.all(np.isfinite(keras.ops.convert_to_numpy(variable))))


def _weighted(model) -> tuple[str, ...]:
    return tuple(layer.name for layer in model.layers if layer.weights)


@dataclasses.dataclass(frozen=True)
class PretrainedWeights:
    """A weights file that a run starts from.

    Attributes:
        file: its path, as it was given.
        sha256: of the file, or of the model in a run's folder.
        pixel_mean: R, G, B means 0-255 that came with a Keras file, else None.
        pixel_std: likewise what the pixels are divided by.
    """

    file: str
    sha256: str
    pixel_mean: tuple[float, ...] | None = None
    pixel_std: tuple[float, ...] | None = None

    @classmethod
    def of(cls, path: str | os.PathLike) -> "PretrainedWeights":
        """Looks at a weights file.

        Raises:
            UsageError, UserError: as `load`, if the file cannot be read at all.
        """
        kind, file = source.kind_of(path)
        digest = source.checked(file)
        pixels = source.pixels_of(file) if kind == "keras" else ()
        return cls(os.fspath(path), digest, *pixels)

    def prepare(self, model: keras.Model) -> None:
        """Gives a network the pixel constants that belong to the weights."""
        if self.pixel_mean is not None:
            set_pixels(model, self.pixel_mean, self.pixel_std)

    def fill(self, model: keras.Model, variant: str) -> None:
        """Loads the weights into a network; its layer "logits" stays if its classes differ.

        Raises:
            UserError: as `load`; the file has changed since it was looked at.
        """
        options = {"sha256": self.sha256, "new_head": True, "keep_pixels": True}
        load(model, self.file, variant=variant, **options)
