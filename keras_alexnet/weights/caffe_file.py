"""Reads weight files and mean files of Caffe."""

import functools
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import message

from keras_alexnet.errors import UserError
from keras_alexnet.utils import files, protobufs
from keras_alexnet.utils.text import printable

# Message → (field, number, type), with * for repeated fields.
_MESSAGES = {
    "Shape": [("*dim", 1, "int64")],
    "Blob": [
        *[("num", 1, "int64"), ("channels", 2, "int64")],
        *[("height", 3, "int64"), ("width", 4, "int64")],
        *[("*data", 5, "float"), ("*double_data", 8, "double"), ("shape", 7, "Shape")],
    ],
    "LRN": [
        *[("local_size", 1, "uint32"), ("alpha", 2, "float")],
        *[("beta", 3, "float"), ("k", 5, "float")],
    ],
    # Names are bytes here, because a damaged file may hold names that are not text.
    "Layer": [
        *[("name", 1, "bytes"), ("type", 2, "bytes")],
        *[("*blobs", 7, "Blob"), ("lrn", 118, "LRN")],
    ],
    "OldLayer": [
        *[("name", 4, "bytes"), ("type", 5, "int32")],
        *[("*blobs", 6, "Blob"), ("lrn", 18, "LRN")],
    ],
    "Net": [("name", 1, "bytes"), ("*layers", 2, "OldLayer"), ("*layer", 100, "Layer")],
}

# Files from before the end of 2014 have numbers as types.
_OLD_TYPES = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling"}

_LRN_DEFAULTS = {"local_size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0}

_NAME_LENGTH = 100

_MOST_AXES = 32  # of a blob, in Caffe


class CaffeLayer(NamedTuple):
    """A layer of a `.caffemodel`.

    Attributes:
        name: its name.
        type: "Convolution", "InnerProduct", "LRN", "Pooling" or another type of Caffe.
        blobs: kernel and bias, float32, with the shapes that the file gives them.
        lrn: local_size, alpha, beta and k of an LRN.
    """

    name: str
    type: str
    blobs: list[np.ndarray]
    lrn: dict[str, float] | None


def read(path: str | os.PathLike) -> list[CaffeLayer]:
    """Reads the layers of a `.caffemodel`, in order.

    Raises:
        UserError: the file is damaged, cut off or not a `.caffemodel`.
    """
    net: Any = _parsed("Net", path, ".caffemodel")
    layers = [_layer(layer, _text(layer.type), path) for layer in net.layer]
    layers += [_layer(layer, _OLD_TYPES.get(layer.type, "other"), path) for layer in net.layers]
    if not any(layer.blobs for layer in layers):
        raise UserError(
            f"{path} is not a .caffemodel, because it has no layer with weights. It may have a "
            "different format, or hold a network from Caffe's first year, which Caffe's "
            "upgrade_net_proto_binary updates."
        )
    return layers


def read_mean(path: str | os.PathLike) -> np.ndarray:
    """Reads a mean: float32 [3] or [3, height, width], channels B, G, R, pixels 0-255.

    Args:
        path: a `.binaryproto` of Caffe, or a `.npy` as its Python tools write it.

    Raises:
        UserError: the file is missing, damaged, in a different format, or does not hold a mean.
    """
    if pathlib.Path(path).suffix == ".npy":
        mean = _numpy_array(path)
    else:
        mean = _array(_parsed("Blob", path, ".binaryproto"), f"{path}: the mean")
    mean = mean.reshape(mean.shape[1:]) if mean.ndim == 4 and len(mean) == 1 else mean
    if mean.ndim == 3 and mean.shape[1:] == (1, 1):
        mean = mean.reshape(-1)
    if mean.ndim not in (1, 3) or len(mean) != 3 or not mean.size:
        raise UserError(
            f"{path} must hold the mean of 3 channels, or a mean image, channels first. Received: "
            f"{'x'.join(map(str, mean.shape)) or 'single'} numbers."
        )
    if not (np.all(np.isfinite(mean)) and mean.min() >= 0 and mean.max() <= 255):
        raise UserError(
            f"{path} must hold pixels 0-255. Received: {mean.min():g} to {mean.max():g}."
        )
    return mean


def message_class(name: str) -> type[message.Message]:
    """Returns the class of one of the messages of a Caffe file: "Net", "Blob", …

    Example:
        >>> message_class("Blob")(num=1, channels=3).channels
        3
    """
    return _message_classes()[name]


@functools.cache
def _message_classes() -> dict[str, type[message.Message]]:
    return protobufs.message_classes("keras_alexnet_caffe", _MESSAGES)


def _parsed(name: str, path: str | os.PathLike, ending: str) -> message.Message:
    parsed = message_class(name)()
    try:
        parsed.ParseFromString(pathlib.Path(path).read_bytes())
    except (message.DecodeError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as a {ending}: it is missing, cut off, damaged or in a "
            "different format. Download or write it again."
        ) from error
    return parsed


def _text(name: bytes) -> str:
    """A name, safe to print; names that are cut off are none that is looked for."""
    return printable(name.decode("utf-8", "backslashreplace"), _NAME_LENGTH)


def _layer(layer: Any, kind: str, path: str | os.PathLike) -> CaffeLayer:
    name = _text(layer.name)
    blobs = [
        _array(blob, f"{path}: blob {number} of layer {name}")
        for number, blob in enumerate(layer.blobs)
    ]
    lrn = None
    if kind == "LRN":
        lrn = {
            constant: getattr(layer.lrn, constant) if layer.lrn.HasField(constant) else default
            for constant, default in _LRN_DEFAULTS.items()
        }
    return CaffeLayer(name, kind, blobs, lrn)


def _array(blob: Any, title: str) -> np.ndarray:
    shape = tuple(blob.shape.dim)
    if not blob.HasField("shape"):
        shape = (blob.num, blob.channels, blob.height, blob.width)
    data = blob.data or blob.double_data
    usable = len(shape) <= _MOST_AXES and min(shape, default=1) >= 1
    if not usable or np.prod(shape, dtype=object) != len(data):
        raise UserError(
            f"{title} should hold {'x'.join(map(str, shape[:_MOST_AXES]))} numbers but holds "
            f"{len(data)}: the file is damaged or in a different format."
        )
    with np.errstate(over="ignore"):  # Numbers beyond float32 become infinite and are refused.
        return np.fromiter(data, np.float32, len(data)).reshape(shape)


def _numpy_array(path: str | os.PathLike) -> np.ndarray:
    try:
        with files.open_regular(path) as file:
            # The header of a later version may claim to be longer than the file.
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("numpy does not write this version for arrays of numbers")
        # Mapped, so that no more memory is used than the file has bytes, whatever its header says.
        with np.errstate(over="ignore"):
            array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # numpy raises many kinds of errors for damaged files.
        raise UserError(f"{path} cannot be read as a .npy array: {error}.") from error
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path} does not hold numbers. Received: a .npy array of {array.dtype}.")
    with np.errstate(over="ignore"):
        return np.array(array, np.float32)
