"""Reads the `.npy` files of caffe-tensorflow, such as `bvlc_alexnet.npy`.

Source: ethereon/caffe-tensorflow, `kaffe/transformers.py` and `convert.py`, which write the files;
kratzert/finetune_alexnet_with_tensorflow, `alexnet.py`, which reads them.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.networks.spec import ClassifierSpec, NetworkSpec
from keras_alexnet.utils import files
from keras_alexnet.utils.pickled_arrays import Array, ArrayMachine, Dtype, as_text, to_numpy
from keras_alexnet.utils.pickles import BoundedReader, UnknownCall
from keras_alexnet.utils.text import printable
from keras_alexnet.weights.layout import NAME_LENGTH, WEIGHTED, natural
from keras_alexnet.weights.torch_file import SHARED

ENDING = ".npy"

_PARTS = ("weights", "biases")


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the kernels and biases.

    The file is an array of one object, a dictionary: name of a layer → [kernel, bias], or → a
    dictionary of both. Numpy pickles it. No code is run, because neither numpy nor Python's
    unpickler reads it: `utils.pickles` says how.

    Returns:
        "conv1 weights", "conv1 biases", … → float32 array, in Keras's layout: `[height, width,
        channels of a group, filters]`, or `[inputs, units]` with the inputs pixel by pixel.

    Raises:
        UserError: the file is damaged or cut off, in a different format, or would run code.
    """
    path = os.fspath(path)
    try:
        with files.open_regular(path) as file:
            layers = _layers(_unpickled(BoundedReader(file)))
            tensors = {
                f"{name} {part}": to_numpy(array)
                for name, arrays in layers.items()
                for part, array in zip(_PARTS, arrays, strict=False)
            }
            if sum(array.nbytes for array in tensors.values()) > SHARED * os.path.getsize(path):
                raise ValueError("its layers share their numbers")
        with np.errstate(over="ignore"):  # Numbers beyond float32 become infinite and are refused.
            return {name: array.astype(np.float32, copy=False) for name, array in tensors.items()}
    except UnknownCall as error:
        raise UserError(
            f"{path} was not loaded, because it is a pickle that calls {error.called}: it would "
            "run code. Weights are only arrays. Download the file again."
        ) from error
    except Exception as error:  # numpy and pickletools raise many kinds for damaged files.
        raise UserError(
            f"{path} cannot be read as weights in the form of bvlc_alexnet.npy, a dictionary of "
            f"layers: {printable(first_line(error), 500)}. It may be cut off, damaged or in a "
            "different format: download it again."
        ) from error


def tensor_names(spec: NetworkSpec, found: Mapping[str, np.ndarray]) -> dict[str, tuple[str, str]]:
    """Returns, for each layer with weights, the names of its kernel and its bias in `found`.

    They are those of the layers, but the layer to the logits is the last of the dense layers that
    the network does not name, such as fc8.
    """
    weighted = {each.name: type(each) for each in spec.layers if isinstance(each, WEIGHTED)}
    layers = (name.removesuffix(" weights") for name, array in found.items() if array.ndim == 2)
    last = sorted((name for name in layers if name not in weighted), key=natural)[-1:]
    return {
        name: (f"{layer} weights", f"{layer} biases")
        for name, kind in weighted.items()
        for layer in (last if last and kind is ClassifierSpec else [name])
    }


def _unpickled(reader: BoundedReader) -> Any:
    """Returns the only object of an array of objects, without its arrays being made."""
    if np.lib.format.read_magic(reader) != (1, 0):
        raise ValueError("numpy does not write this version for such arrays")
    shape, _, dtype = np.lib.format.read_array_header_1_0(reader)
    if not dtype.hasobject or shape:
        raise ValueError(f"it is an array of {dtype}, without names of layers")
    match ArrayMachine().load(reader):
        case Array(state=(int(), (), Dtype(), _, [layers])):
            return layers
    raise ValueError("it is not a dictionary")


def _layers(loaded: Any) -> dict[str, list[Any]]:
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError("it is not a dictionary of layers")
    layers = {}
    for key, arrays in loaded.items():
        if not isinstance(key, (str, bytes)):
            raise ValueError(f"the layer {printable(key, NAME_LENGTH)} has no name")
        if isinstance(arrays, dict):
            named = {as_text(part): each for part, each in arrays.items()}
            arrays = [named[part] for part in _PARTS if part in named]
        if not isinstance(arrays, list) or not 1 <= len(arrays) <= len(_PARTS):
            raise ValueError(f"the layer {printable(as_text(key), NAME_LENGTH)} has no weights")
        layers[as_text(key)] = arrays
    return layers
