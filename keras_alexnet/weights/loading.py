"""load(model, path): weights from elsewhere into a network."""

import dataclasses
import os
import pathlib
import warnings

import keras
import numpy as np
from absl import logging

from keras_alexnet import runs, variants
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.rows import Variant
from keras_alexnet.weights import caffe_files, caffe_names, hashes, torch_files, torch_names
from keras_alexnet.weights.matching import fitted, places

CAFFE, HDF5, KERAS = ".caffemodel", ".weights.h5", ".keras"
STANDARDISE = "standardise"
KINDS = {
    **dict.fromkeys([*torch_files.PICKLED, torch_files.SAFE], "pytorch"),
    CAFFE: "caffe",
    KERAS: "keras",
    HDF5: "hdf5",
}


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
        >>> _ = save(trained, "trained.safetensors")
        >>> model = keras_alexnet.build("cifar_v2")
        >>> load(model, "trained.safetensors").layers
        ('conv1', 'conv2', 'fc3', 'fc4', 'logits')
    """
    kind, file = kind_of(path)
    if mean is not None and kind != "caffe":
        raise UsageError(f"A mean file belongs to a {CAFFE} file. Received: {path}, {mean}.")
    network = variants.get(variant or model.name)
    digest = hashes.checked(file, sha256)
    what = f"The weights of {path} and {network.name}"
    if kind == "hdf5":
        _load_hdf5(model, file)
        return Loaded(file, kind, digest, _weighted(model))
    pixels = None
    if kind == "keras":
        found, pixels = _from_keras(model, network, file, what, new_head)
    elif kind == "pytorch":
        found = _from_pytorch(model, network, file, what, new_head)
    else:
        pixels = None if mean is None else _caffe_pixels(network, mean)
        found = _from_caffe(model, network, file, what, new_head)
    # Everything is known to fit by now.
    for layer, values in found.items():
        model.get_layer(layer).set_weights(values)
    if pixels is not None and not keep_pixels:
        _set_pixels(model, *pixels)
    new_layers = tuple(name for name in _weighted(model) if name not in found)
    if new_layers:
        logging.info("New, since %s has other classes: %s.", path, ", ".join(new_layers))
    return Loaded(file, kind, digest, tuple(found), new_layers, *(pixels or ()))


def kind_of(path: str | os.PathLike) -> tuple[str, pathlib.Path]:
    """Returns what kind of weights a file holds, by its name, and the file itself.

    Raises:
        UsageError: its name tells no known kind.
        UserError: there is no such file.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return "keras", runs.model_file(path)
    for ending, kind in KINDS.items():
        if path.name.endswith(ending):
            if not path.is_file():
                raise UserError(f"There are no weights at {path}: no such file.")
            return kind, path
    raise UsageError(
        f"weights must be the folder of a run or a file that ends in {', '.join(KINDS)}. "
        f"Received: {path}."
    )


def _from_pytorch(model, network: Variant, path, what, new_head):
    wanted = places(model, network)
    tensors = torch_files.read(path)
    names = torch_names.tensor_names(network, tensors)
    return _as_keras(wanted, names, tensors, what, new_head)


def _from_caffe(model, network: Variant, path, what, new_head):
    wanted = places(model, network)
    layers = caffe_files.read(path)
    names = caffe_names.tensor_names(network, layers)
    tensors = caffe_names.tensors(layers, wanted.values(), names)
    found = _as_keras(wanted, names, tensors, what, new_head)
    caffe_names.check_structure(network, layers, path)
    first = network.features[0].name
    if not getattr(network.standardisation, "bgr", False):
        found[first][0] = found[first][0][:, :, ::-1]  # Caffe's channels are B, G, R
    return found


def _as_keras(wanted, names, tensors, what, new_head):
    shapes = {layer: place.shapes for layer, place in wanted.items()}
    found = fitted(shapes, names, tensors, what=what, new_head=new_head)
    return {
        layer: [wanted[layer].to_keras(kernel), bias] for layer, (kernel, bias) in found.items()
    }


def _from_keras(model, network: Variant, path, what, new_head):
    source = runs.load(path).model
    try:
        pixels = source.get_layer(STANDARDISE)
    except ValueError as error:
        raise UserError(
            f"{path} is no network of build(): it has no layer {STANDARDISE}."
        ) from error
    tensors, in_file = _variables(source)
    _, wanted = _variables(model)
    # A network without its top takes what it has of a whole one.
    rows_of_network = {row.name for row in network.layers}
    names = {layer: found for layer, found in in_file.items() if layer in rows_of_network} | wanted
    shapes = {
        layer: [tuple(variable.shape) for variable in model.get_layer(layer).weights]
        for layer in wanted
    }
    found = fitted(shapes, names, tensors, what=what, new_head=new_head)
    return found, (tuple(pixels.mean), tuple(pixels.std))


def _variables(model) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Returns all weights by names such as "conv1/kernel", and those names by layer."""
    tensors, names = {}, {}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            tensors[name] = keras.ops.convert_to_numpy(variable)
            names.setdefault(layer.name, []).append(name)
    return tensors, names


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


def _caffe_pixels(network: Variant, path):
    mean = caffe_files.read_mean(path)
    plan = network.image_plan
    known = sorted({plan.square_size, plan.crop_size}, reverse=True)
    if mean.ndim == 3 and mean.shape[1:] not in [(size, size) for size in known]:
        raise UserError(
            f"{path} is the mean image of another network: {network.name} takes one of "
            f"{' or '.join(f'{size}x{size}' for size in known)} pixels. "
            f"Received: {mean.shape[1]}x{mean.shape[2]}."
        )
    channels = mean if mean.ndim == 1 else mean.mean(axis=(1, 2), dtype=np.float64)
    rgb = tuple(round(float(value), 4) for value in channels[::-1])
    far = 0.0 if mean.ndim == 1 else float(np.abs(mean - channels[:, None, None]).max())
    logging.info(
        "Each pixel loses its channel's mean of %s: R %.3f, G %.3f, B %.3f%s.",
        *(path, *rgb),
        f"; the mean image is up to {far:.1f} grey levels away from them" if far else "",
    )
    return rgb, network.standardisation.std


def _set_pixels(model, mean, std) -> None:
    layer = model.get_layer(STANDARDISE)
    layer.mean, layer.std = list(mean), list(std)
    # What Keras has compiled holds the old ones.
    model.train_function = model.test_function = model.predict_function = None


def _weighted(model) -> tuple[str, ...]:
    return tuple(layer.name for layer in model.layers if layer.weights)
