"""Caffe's weight files: reading, and names of layers."""

import functools
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from absl import logging
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from keras_alexnet.errors import UserError
from keras_alexnet.networks import spec
from keras_alexnet.networks.spec import NetworkSpec
from keras_alexnet.weights.layout import WEIGHTED

_PACKAGE = "keras_alexnet_caffe"


_KINDS = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling"}  # before 2014's end


# Message → (field, number, type), with * for repeated fields.
_MESSAGES = {
    "Shape": [("*dim", 1, "int64")],
    "Blob": [
        *[("num", 1, "int64"), ("channels", 2, "int64")],
        *[("height", 3, "int64"), ("width", 4, "int64")],
        *[("*data", 5, "float"), ("*double_data", 8, "double"), ("shape", 7, "Shape")],
    ],
    "LRN": [("local_size", 1, "uint32"), ("alpha", 2, "float"), ("beta", 3, "float")]
    + [("k", 5, "float")],
    "Layer": [("name", 1, "string"), ("type", 2, "string"), ("*blobs", 7, "Blob")]
    + [("lrn", 118, "LRN")],
    "OldLayer": [("name", 4, "string"), ("type", 5, "int32"), ("*blobs", 6, "Blob")]
    + [("lrn", 18, "LRN")],
    "Net": [("name", 1, "string"), ("*layers", 2, "OldLayer"), ("*layer", 100, "Layer")],
}


_LRN_DEFAULTS = {"local_size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0}


class LayerOfFile(NamedTuple):
    """A layer of a `.caffemodel`.

    Attributes:
        name: its name.
        kind: "Convolution", "InnerProduct", "LRN", "Pooling" or another of Caffe's words.
        blobs: kernel and bias, float32, with the shapes that the file gives them.
        lrn: local_size, alpha, beta and k, where it is an LRN.
    """

    name: str
    kind: str
    blobs: list[np.ndarray]
    lrn: dict[str, float] | None


def read(path: str | os.PathLike) -> list[LayerOfFile]:
    """Returns the layers of a `.caffemodel` in their order.

    Raises:
        UserError: the file is damaged, cut off or no `.caffemodel`.
    """
    net = _parsed("Net", path, ".caffemodel")
    layers = [_layer(layer, layer.type, path) for layer in net.layer]
    layers += [_layer(layer, _KINDS.get(layer.type, "other"), path) for layer in net.layers]
    if not any(layer.blobs for layer in layers):
        raise UserError(
            f"{path} is no .caffemodel: no layer with weights is in it. It may be of another "
            "format, or hold a network of Caffe's first year; upgrade_net_proto_binary of Caffe "
            "brings such a file up to date."
        )
    return layers


def read_mean(path: str | os.PathLike) -> np.ndarray:
    """Reads a mean: float32 [3] or [3, height, width], channels B, G, R, pixels 0-255.

    Args:
        path: a `.binaryproto` of Caffe, or a `.npy` as its Python tools write it.

    Raises:
        UserError: the file is damaged, of another format, or of other numbers.
    """
    if pathlib.Path(path).suffix == ".npy":
        mean = _numpy_array(path)
    else:
        mean = _array(_parsed("Blob", path, ".binaryproto"), f"{path}: the mean")
    mean = mean.reshape(mean.shape[1:]) if mean.ndim == 4 and len(mean) == 1 else mean
    if mean.ndim == 3 and mean.shape[1:] == (1, 1):
        mean = mean.reshape(-1)
    if mean.ndim not in (1, 3) or len(mean) != 3:
        raise UserError(
            f"{path} must hold the mean of 3 channels, or a mean image, channels first. Received: "
            f"{'x'.join(map(str, mean.shape))} numbers."
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
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_alexnet_caffe.proto", package=_PACKAGE, syntax="proto2"
    )
    field_type = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            repeated = field.startswith("*")
            new = described.field.add(name=field.lstrip("*"), number=number)
            new.label = field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL
            if kind in _MESSAGES:
                new.type, new.type_name = field_type.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                new.type = field_type.Type.Value(f"TYPE_{kind.upper()}")
                if repeated:
                    new.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _parsed(name: str, path: str | os.PathLike, kind: str) -> message.Message:
    parsed = message_class(name)()
    try:
        parsed.ParseFromString(pathlib.Path(path).read_bytes())
    except (message.DecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as a {kind}: it is cut off, damaged or of another format. "
            "Download or write it again."
        ) from error
    return parsed


def _layer(layer: message.Message, kind: str, path) -> LayerOfFile:
    blobs = [
        _array(blob, f"{path}: blob {number} of layer {layer.name}")
        for number, blob in enumerate(layer.blobs)
    ]
    lrn = None
    if kind == "LRN":
        lrn = {
            name: getattr(layer.lrn, name) if layer.lrn.HasField(name) else default
            for name, default in _LRN_DEFAULTS.items()
        }
    return LayerOfFile(layer.name, kind, blobs, lrn)


def _array(blob: message.Message, what: str) -> np.ndarray:
    shape = tuple(blob.shape.dim)
    if not blob.HasField("shape"):
        shape = (blob.num, blob.channels, blob.height, blob.width)
    data = blob.data or blob.double_data
    if min(shape, default=1) < 1 or np.prod(shape, dtype=object) != len(data):
        raise UserError(
            f"{what} should hold {'x'.join(map(str, shape))} numbers and holds {len(data)}: the "
            "file is damaged or of another format."
        )
    return np.fromiter(data, np.float32, len(data)).reshape(shape)


def _numpy_array(path) -> np.ndarray:
    try:
        # Without pickles, which could run code.
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read as a .npy array: {error}.") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise UserError(f"{path} is no .npy array of numbers.")
    return array.astype(np.float32)


_LAYER_KINDS = {
    spec.ConvolutionSpec: "Convolution",
    spec.LocalResponseNormSpec: "LRN",
    spec.MaxPoolSpec: "Pooling",
    spec.DenseSpec: "InnerProduct",
    spec.ClassifierSpec: "InnerProduct",
}


# What Caffe's AlexNet has, and what neither it nor its file knows to be otherwise.
_COMPUTED = {*_LAYER_KINDS, spec.FlattenSpec, spec.DropoutSpec}


def layer_names(network: NetworkSpec, layers: Sequence[LayerOfFile]) -> dict[str, str]:
    """Returns, for each layer with weights, its name in the file.

    They are called alike, except for the layer to the logits: it is the file's last dense layer,
    which everyone who trains on other classes calls otherwise.
    """
    weighted = [row for row in network.layers if isinstance(row, WEIGHTED)]
    found = {row.name: row.name for row in weighted}
    dense = [layer.name for layer in layers if layer.kind == "InnerProduct"]
    dense = [name for name in dense if name not in found]
    for row in weighted:
        if isinstance(row, spec.ClassifierSpec) and dense:
            found[row.name] = dense[-1]
    return found


def tensor_names(network: NetworkSpec, layers: Sequence[LayerOfFile]) -> dict[str, tuple[str, str]]:
    """Returns, for each layer with weights, the names of its kernel and its bias in `tensors`."""
    names = layer_names(network, layers)
    return {layer: (_blob(name, 0), _blob(name, 1)) for layer, name in names.items()}


def tensors(network: NetworkSpec, layers: Iterable[LayerOfFile]) -> dict[str, np.ndarray]:
    """Returns all blobs by their names, such as "conv1 blob 0".

    Old files give every blob four dimensions; the first are dropped where the layer has fewer and
    they are 1.
    """
    kinds = {row.name: type(row) for row in network.layers}
    dimensions = {}
    for layer, (kernel, bias) in tensor_names(network, layers).items():
        dimensions |= {kernel: 4 if kinds[layer] is spec.ConvolutionSpec else 2, bias: 1}
    found = {}
    for layer in layers:
        for number, blob in enumerate(layer.blobs):
            name = _blob(layer.name, number)
            while blob.ndim > dimensions.get(name, blob.ndim) and blob.shape[0] == 1:
                blob = blob[0]
            found[name] = blob
    return found


def check_structure(network: NetworkSpec, layers: Sequence[LayerOfFile], path) -> None:
    """Compares the order of layers, and warns of other constants of the normalization.

    Raises:
        UserError: the file's network has its layers in another order, as CaffeNet has, whose
            weights have the same shapes; or the network has layers that Caffe's lacks.
    """
    lacking = [row.name for row in network.layers if type(row) not in _COMPUTED]
    if lacking:
        raise UserError(
            f"{path} cannot be loaded into {network.name}, which has layers that Caffe's AlexNet "
            f"lacks: {', '.join(lacking)}. Name alexnet_caffe."
        )
    known = set(_LAYER_KINDS.values())
    found = [(layer.name, layer.kind) for layer in layers if layer.kind in known]
    wanted = [
        (row.name, _LAYER_KINDS[type(row)]) for row in network.layers if type(row) in _LAYER_KINDS
    ]
    kinds = [kind for _, kind in found]
    # A file of weights alone does not say how its layers are put together.
    if {"LRN", "Pooling"} & set(kinds) and kinds != [kind for _, kind in wanted]:
        raise UserError(
            f"{path} holds another network than {network.name}. Its layers: "
            f"{', '.join(name for name, _ in found)}; wanted: "
            f"{', '.join(name for name, _ in wanted)}."
        )
    norms = [row for row in network.layers if isinstance(row, spec.LocalResponseNormSpec)]
    in_file = [layer.lrn for layer in layers if layer.kind == "LRN"]
    for row, lrn in zip(norms, in_file, strict=False):
        # Caffe divides alpha by the channels in the sum; rows hold it divided.
        theirs = (lrn["local_size"], lrn["k"], lrn["alpha"] / lrn["local_size"], lrn["beta"])
        ours = (2 * row.depth_radius + 1, row.bias, row.alpha, row.beta)
        if not np.allclose(theirs, ours, rtol=1e-5, atol=0):
            logging.warning(
                "%s of %s has other constants than the file (channels, bias, alpha, beta): %s "
                "here, %s there. The network's answers will differ from Caffe's.",
                *(row.name, network.name),
                *(", ".join(f"{value:g}" for value in values) for values in (ours, theirs)),
            )


def _blob(layer, number):
    return f"{layer} blob {number}"
