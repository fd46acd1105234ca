"""A weights file, read: its tensors, and to which layers of a network they belong."""

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
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.utils import files
from keras_alexnet.weights import caffe, compatibility, pytorch
from keras_alexnet.weights.layout import CLASSIFIER

CAFFE, HDF5, KERAS = ".caffemodel", ".weights.h5", ".keras"


KINDS = {
    **dict.fromkeys([*pytorch.PICKLED, pytorch.SAFE], "pytorch"),
    CAFFE: "caffe",
    KERAS: "keras",
    HDF5: "hdf5",
}


STANDARDIZE = "standardize"


@dataclasses.dataclass(frozen=True)
class Source:
    """What a weights file holds.

    Attributes:
        kind: "pytorch", "caffe", "keras" or "hdf5", whose tensors Keras itself reads.
        file: where it is.
        sha256: of the file.
        tensors: name → array, laid out as in the file.
        names: layer → names of its kernel and its bias, whether or not the file has them.
        pixels: the R, G, B means 0-255 that belong to the weights, and what is divided by then;
            None if nothing is known of them.
        layers: of a Caffe file.
        chain: what the layers of a Keras file compute, as `structure.chain` has it.
    """

    kind: str
    file: pathlib.Path
    sha256: str
    tensors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    pixels: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    layers: Sequence[caffe.LayerOfFile] = ()
    chain: Mapping[str, dict] = dataclasses.field(default_factory=dict)

    def classes(self) -> int | None:
        """Returns how many classes the weights are for; None if they do not say."""
        bias = self.tensors.get(self.names[CLASSIFIER][1])
        return bias.size or None if bias is not None else None


def read_source(
    path: str | os.PathLike,
    network: NetworkSpec,
    *,
    mean: str | os.PathLike | None = None,
    sha256: str | None = None,
) -> Source:
    """Reads a weights file that should be a network's; the arguments are those of `load`.

    Raises:
        UsageError, UserError: as `load`, as far as the file alone shows it.
    """
    kind, file = kind_of(path)
    if mean is not None and kind != "caffe":
        raise UsageError(f"A mean file belongs to a {CAFFE} file. Received: {path}, {mean}.")
    source = Source(kind, file, checked(file, sha256))
    if kind == "pytorch":
        tensors = pytorch.read_tensors(file)
        names = pytorch.tensor_names(network, tensors)
        return dataclasses.replace(source, tensors=tensors, names=names)
    if kind == "caffe":
        layers = caffe.read(file)
        return dataclasses.replace(
            source,
            tensors=caffe.tensors(network, layers),
            names=caffe.tensor_names(network, layers),
            layers=layers,
            pixels=None if mean is None else _caffe_pixels(network, mean),
        )
    if kind == "keras":
        model = run_folder.read_model(file)
        tensors, names = variables_of(model)
        pixels = _pixels(model, file)
        chain = compatibility.chain(model, STANDARDIZE)
        found = {"tensors": tensors, "names": names, "pixels": pixels, "chain": chain}
        return dataclasses.replace(source, **found)
    return source


def kind_of(path: str | os.PathLike) -> tuple[str, pathlib.Path]:
    """Returns what kind of weights a file holds, by its name, and the file itself.

    Raises:
        UsageError: its name tells no known kind.
        UserError: there is no such file.
    """
    if not os.fspath(path):
        raise UsageError("weights is empty. Name a file or a run's folder, or leave it out.")
    path = pathlib.Path(path)
    if path.is_dir():
        return "keras", run_folder.keras_file(path)
    for ending, kind in KINDS.items():
        if path.name.endswith(ending):
            if not path.is_file():
                raise UserError(f"There are no weights at {path}: no such file.")
            return kind, path
    raise UsageError(
        f"weights must be the folder of a run or a file that ends in {', '.join(KINDS)}. "
        f"Received: {path}."
    )


def variables_of(model: keras.Model) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Returns all weights by names such as "conv1/kernel", and those names by layer."""
    tensors, names = {}, {}
    for layer in model.layers:
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            tensors[name] = keras.ops.convert_to_numpy(variable)
            names.setdefault(layer.name, []).append(name)
    return tensors, names


def pixels_of(path: str | os.PathLike) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the mean and the deviation that the network in a `.keras` file uses.

    Raises:
        UserError: it cannot be read, or is no network of `build()`.
    """
    return _pixels(run_folder.read_model(path), path)


def _pixels(model, path):
    try:
        layer = model.get_layer(STANDARDIZE)
    except ValueError as error:
        raise UserError(
            f"{path} is no network of build(): it has no layer {STANDARDIZE}."
        ) from error
    return tuple(layer.mean), tuple(layer.std)


def _caffe_pixels(network: NetworkSpec, path):
    mean = caffe.read_mean(path)
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
        f"; the mean image is up to {far:.1f} gray levels away from them" if far else "",
    )
    return rgb, network.standardization.std


# As PyTorch's hub names its files: alexnet-owt-7be5be79.pth. All digits would rather be a date.
_IN_NAME = re.compile(r"-(?!\d+\.)([0-9a-f]{8,64})\.(?:pth|pt)$")


def checked(path: str | os.PathLike, sha256: str | None = None) -> str:
    """Returns a file's SHA-256 in hexadecimal.

    Args:
        path: the file.
        sha256: what it must be, or its first 8 digits or more. Without it, the digits that the
            names of PyTorch's published files end in.

    Raises:
        UsageError: `sha256` is no such number.
        UserError: the file has another.
    """
    named = _IN_NAME.search(pathlib.Path(path).name)
    source = "as its name says"
    if sha256 is not None:
        if not re.fullmatch(r"[0-9a-fA-F]{8,64}", sha256):
            raise UsageError(
                "sha256 must be 64 hexadecimal digits, or the first of them, at least 8. "
                f"Received: {sha256!r}."
            )
        wanted, source = sha256.lower(), "as asked for"
    else:
        wanted = named[1] if named else ""
    found = files.sha256_of(path)
    if not found.startswith(wanted):
        raise UserError(
            f"{path} is not the file that it should be: its SHA-256 should begin with {wanted}, "
            f"{source}. Received: {found}. Download it again; a file of your own needs another "
            "name, or its own sha256."
        )
    return found
