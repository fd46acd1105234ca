"""Reads weights files: their kind, SHA-256 and tensors, and the layers these belong to."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks.build import standardize_layer
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.utils import files
from keras_alexnet.utils.values import path_text
from keras_alexnet.weights import (
    caffe,
    caffe_file,
    caffe_tensorflow,
    compatibility,
    hub,
    named,
    pytorch,
    shipped_file,
)
from keras_alexnet.weights.layout import CLASSIFIER

CAFFE, HDF5, KERAS = ".caffemodel", ".weights.h5", ".keras"

# Ending of a file's name → kind of weights.
KINDS = {
    **dict.fromkeys([*pytorch.PICKLED, pytorch.SAFE], "pytorch"),
    CAFFE: "caffe",
    caffe_tensorflow.ENDING: "tensorflow",
    KERAS: "keras",
    HDF5: "hdf5",
}

OF_CAFFE = ("caffe", "tensorflow")  # kinds of weights for pixels in the order B, G, R

# PyTorch's hub names its files like alexnet-owt-7be5be79.pth; digits without letters are a date.
_HASH_IN_NAME = re.compile(r"-(?!\d+\.)([0-9a-f]{8,64})\.(?:pth|pt)$")

# Kind of weights that are inside of whole models → reader of the model.
MODELS = {"keras": run_folder.read_model, named.NAMED: shipped_file.read_model}

Pixels = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of R, G, B


@dataclasses.dataclass(frozen=True)
class Source:
    """A weights file that was read.

    Attributes:
        kind: "pytorch", "caffe", "tensorflow" for Caffe's weights as caffe-tensorflow writes them,
            "keras", "named" for weights that have a name, or "hdf5", whose tensors are read by
            Keras.
        file: its path.
        sha256: the SHA-256 of the file.
        tensors: name → array, laid out as in the file.
        names: layer → names of its kernel and its bias, whether or not the file has them.
        pixels: mean and standard deviation of R, G, B, on the scale 0-255, that belong to the
            weights; None if they are not known.
        layers: the layers of a Caffe file.
        chain: for a whole model, what its layers compute, from `compatibility.chain`.
    """

    kind: str
    file: pathlib.Path
    sha256: str
    tensors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    pixels: Pixels | None = None
    layers: Sequence[caffe_file.CaffeLayer] = ()
    chain: Mapping[str, dict] = dataclasses.field(default_factory=dict)

    def classes(self) -> int | None:
        """Returns the number of classes of the weights, or None if it is not known."""
        bias = self.tensors.get(self.names[CLASSIFIER][1])
        return bias.size or None if bias is not None else None


def read_source(
    path: str | os.PathLike,
    spec: NetworkSpec,
    *,
    mean: str | os.PathLike | None = None,
    sha256: str | None = None,
) -> Source:
    """Reads a weights file for a network; the arguments are those of `load`.

    Raises:
        UsageError, UserError: as in `load`, for problems of the file itself.
    """
    kind, file = kind_of(path, spec.name)
    if mean is not None and kind not in OF_CAFFE:
        raise UsageError(
            f"A mean file belongs to Caffe's weights, a {CAFFE} or {caffe_tensorflow.ENDING} file. "
            f"Received: {path}, {mean}."
        )
    source = Source(kind, file, check_sha256(file, sha256))
    if kind == "pytorch":
        tensors = pytorch.read_tensors(file)
        return dataclasses.replace(
            source, tensors=tensors, names=pytorch.tensor_names(spec, tensors)
        )
    if kind == "caffe":
        layers = caffe_file.read(file)
        return dataclasses.replace(
            source,
            tensors=caffe.tensors(spec, layers),
            names=caffe.tensor_names(spec, layers),
            layers=layers,
            pixels=None if mean is None else _caffe_pixels(spec, mean),
        )
    if kind == "tensorflow":
        tensors = caffe_tensorflow.read(file)
        return dataclasses.replace(
            source,
            tensors=tensors,
            names=caffe_tensorflow.tensor_names(spec, tensors),
            pixels=None if mean is None else _caffe_pixels(spec, mean),
        )
    if kind in MODELS:
        model = MODELS[kind](file)
        pixels, chain = _pixels(model, file), compatibility.chain(model)
        tensors, names = variables_of(model)
        return dataclasses.replace(source, tensors=tensors, names=names, pixels=pixels, chain=chain)
    return source


def kind_of(path: str | os.PathLike, variant: str | None = None) -> tuple[str, pathlib.Path]:
    """Returns the kind of weights in a file, by its name, and the path of the file.

    Args:
        path: the file, or the folder of a run; or the name of weights.
        variant: the network that they are for; without it, there are no such names.

    Raises:
        UsageError: the name has no known ending.
        UserError: there is no such file, or there are no weights of that name for the network.
    """
    text = path_text("weights", path)
    if variant is not None and (found := named.find_weights(text, variant)):
        return named.NAMED, found
    path = hub.download(text) if hub.is_address(text) else pathlib.Path(text)
    if path.is_dir():
        return "keras", run_folder.keras_file(path)
    for ending, kind in KINDS.items():
        if path.name.endswith(ending):
            if not path.is_file():
                raise UserError(f"There are no weights at {path}: no such file.")
            return kind, path
    names = "" if variant is None else f", or the name of weights: {named.in_words()}"
    raise UsageError(
        f"weights must be the folder of a run or a file that ends in {', '.join(KINDS)}{names}. "
        f"Received: {path}."
    )


def variables_of(model: keras.Model) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Returns all weights by names such as "conv1/kernel", and those names by layer."""
    tensors: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            tensors[name] = keras.ops.convert_to_numpy(variable)
            names.setdefault(layer.name, []).append(name)
    return tensors, names


def pixels_of(kind: str, path: pathlib.Path) -> Pixels | None:
    """Returns the mean and the deviation with which the network of a whole model was trained.

    Args:
        kind, path: what `kind_of` returned. For other weights, they are not known: None.

    Raises:
        UserError: the file cannot be read, or `build` did not make its network.
    """
    if kind == named.NAMED:
        card = shipped_file.read_card(path)
        return tuple(card["pixel_mean"]), tuple(card["pixel_std"])
    return _pixels(MODELS[kind](path), path) if kind in MODELS else None


def labels_of(kind: str, path: pathlib.Path) -> tuple[str, ...] | None:
    """Returns the names of the classes that weights are for, or None if they are not known.

    Args:
        kind, path: what `kind_of` returned.

    Raises:
        UserError: they cannot be read.
    """
    if kind == named.NAMED:
        return tuple(shipped_file.read_card(path)["labels"])
    beside = path.with_name(run_folder.LABELS)
    return run_folder.read_labels(beside) if kind == "keras" and beside.exists() else None


def _pixels(model: keras.Model, path: str | os.PathLike) -> Pixels:
    try:
        layer = standardize_layer(model)
    except UserError as error:
        raise UserError(f"{path} cannot be used as weights. {error}") from error
    return tuple(layer.mean), tuple(layer.std)


def _caffe_pixels(spec: NetworkSpec, path: str | os.PathLike) -> Pixels:
    mean = caffe_file.read_mean(path)
    plan = spec.image_plan
    known = sorted({plan.square_size, plan.crop_size}, reverse=True)
    if mean.ndim == 3 and mean.shape[1:] not in [(size, size) for size in known]:
        raise UserError(
            f"{path} is the mean image of a different network: {spec.name} needs one of "
            f"{' or '.join(f'{size}x{size}' for size in known)} pixels. "
            f"Received: {mean.shape[1]}x{mean.shape[2]}."
        )
    channels = mean if mean.ndim == 1 else mean.mean(axis=(1, 2), dtype=np.float64)
    rgb = tuple(round(float(value), 4) for value in channels[::-1])
    far = 0.0 if mean.ndim == 1 else float(np.abs(mean - channels[:, None, None]).max())
    logging.info(
        "The mean of %s is subtracted from each pixel: R %.3f, G %.3f, B %.3f%s.",
        *(path, *rgb),
        f"; the mean image differs from it by up to {far:.1f} gray levels" if far else "",
    )
    return rgb, spec.standardization.std


def check_sha256(path: str | os.PathLike, sha256: str | None = None) -> str:
    """Returns a file's SHA-256 in hexadecimal, after comparing it.

    Args:
        path: the file.
        sha256: the expected one, or its first 8 digits or more. Without it, the digits at the end
            of the names of PyTorch's published files are compared.

    Raises:
        UsageError: `sha256` is not such a number.
        UserError: the file has a different SHA-256.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
        raise UsageError(
            "sha256 must be 64 hexadecimal digits, or at least the first 8 of them. "
            f"Received: {sha256!r}."
        )
    named = _HASH_IN_NAME.search(pathlib.Path(path).name)
    reason = "as its name says" if sha256 is None else "as requested"
    expected = sha256.lower() if sha256 is not None else named[1] if named else ""
    found = files.sha256_of(path)
    if not found.startswith(expected):
        raise UserError(
            f"{path} is not the expected file: its SHA-256 should begin with {expected}, {reason}. "
            f"Received: {found}. Download it again. A file of your own needs a different name or "
            "its own sha256."
        )
    return found
