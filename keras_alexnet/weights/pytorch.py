"""Weight files of PyTorch: reading, writing, and names of modules."""

import os
from collections.abc import Iterable, Mapping

import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.networks.spec import (
    AdaptiveAveragePoolSpec,
    ClassifierSpec,
    ConvolutionSpec,
    DenseSpec,
    FlattenSpec,
    LayerSpec,
    NetworkSpec,
    PyTorchNames,
)
from keras_alexnet.utils import files
from keras_alexnet.utils.text import printable
from keras_alexnet.weights import torch_file
from keras_alexnet.weights.layout import natural

PICKLED = (".pth", ".pt")
SAFE = ".safetensors"

PARTS = (".weight", ".bias")

# How many modules of an nn.Sequential a layer takes up, with its activation; others take up one.
_MODULES: dict[type[LayerSpec], int] = {
    ConvolutionSpec: 2,
    DenseSpec: 2,
    AdaptiveAveragePoolSpec: 0,
}


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dict by name, float32 in PyTorch's layout.

    The state dict may be inside a checkpoint, under "state_dict" or "model_state_dict". The prefix
    "module." of DataParallel is removed.

    Raises:
        UserError: the file is damaged or cut off, is not a state dict, or would run code.
    """
    path = os.fspath(path)
    if path.endswith(SAFE):
        tensors = _safe(path)
    else:
        read = torch_file.read(path)
        tensors = {name: _as_float32(name, array, path) for name, array in read.items()}
    return {new: tensors[old] for old, new in without_wrapper(tensors).items()}


def write_tensors(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes float32 tensors to a `.safetensors` file, whole or not at all."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    # The metadata that torch writes and its loaders expect.
    contents = save(contiguous, metadata={"format": "pt"})
    with files.atomic_write(path) as temporary:
        temporary.write_bytes(contents)  # save_file would keep it from other users


def _safe(path: str) -> dict[str, np.ndarray]:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: _as_float32(name, file.get_tensor(name), path) for name in file.keys()}
    except UserError:
        raise
    except Exception as error:  # SafetensorError; or, from numpy, an error for a type it lacks.
        raise UserError(
            f"{path} cannot be read as a .safetensors file of float weights: "
            f"{printable(error, 500)}. It may be cut off or damaged: download or write it again."
        ) from error


def _as_float32(name: str, array: np.ndarray, path: str) -> np.ndarray:
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise UserError(
            f"{path} must hold float weights, and {printable(name, 100)} is {array.dtype}. "
            "Quantized networks cannot be loaded."
        )
    with np.errstate(over="ignore"):  # Numbers beyond float32 become infinite and are refused.
        return array.astype(np.float32, copy=False)


def modules(spec: NetworkSpec, names: PyTorchNames) -> dict[str, str]:
    """Returns, for each layer with weights, the name of its module in a source.

    Example:
        >>> owt = keras_alexnet.variants.get("alexnet_owt")
        >>> modules(owt, owt.pytorch_names[0])["fc6"]
        'classifier.1'
    """
    last = names.head if names.last is None else names.last
    return {
        **_named_modules(spec.features, names, {ConvolutionSpec: names.features}),
        **_named_modules(spec.head, names, {DenseSpec: names.head, ClassifierSpec: last}),
    }


def tensor_names(spec: NetworkSpec, found: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Returns, for each layer with weights, the names of its kernel and its bias in a file.

    Args:
        spec: the network whose weights the file should hold.
        found: the names in the file.

    The names are those of the network's sources that fit best. If none fits, but the file has as
    many modules with a weight and a bias as the network has layers with weights, its modules are
    taken in order, `net.2` before `net.10`.

    Raises:
        UserError: as in `check_known`.
    """
    found = set(found)
    check_known(spec)
    candidates = [modules(spec, names) for names in spec.pytorch_names]
    best = max(candidates, key=lambda known: len(found & _tensors(known)))
    if found != _tensors(best):
        prefixes = sorted({name.rpartition(".")[0] for name in found}, key=natural)
        in_order = dict(zip(best, prefixes, strict=False)) if len(best) == len(prefixes) else {}
        # If some names are known, a tensor is missing or extra, and the error should name it.
        if in_order and not found & _tensors(best) and found == _tensors(in_order):
            pairs = ", ".join(f"{layer} from {prefix}" for layer, prefix in in_order.items())
            logging.info("The names in the file are unknown and were taken in order: %s.", pairs)
            best = in_order
    return {layer: (prefix + PARTS[0], prefix + PARTS[1]) for layer, prefix in best.items()}


def check_known(spec: NetworkSpec) -> None:
    """Raises a UserError if PyTorch has no such network."""
    if not spec.pytorch_names:
        raise UserError(
            f"PyTorch has no network like {spec.name}, whose layers it lacks or computes "
            "differently. Use a different network."
        )


def without_wrapper(names: Iterable[str]) -> dict[str, str]:
    """Returns name → name without the prefix "module." of PyTorch's DataParallel."""
    names = list(names)
    wrapped = names and all(name.startswith("module.") for name in names)
    return {name: name.removeprefix("module.") if wrapped else name for name in names}


def _named_modules(
    layers: Iterable[LayerSpec], names: PyTorchNames, patterns: Mapping[type[LayerSpec], str]
) -> dict[str, str]:
    """Returns layer → module, given the pattern of the names for each type of layer."""
    found: dict[str, str] = {}
    index = 0
    for layer in layers:
        if type(layer) in patterns:
            pattern = patterns[type(layer)]
            found[layer.name] = pattern.format(index=index, number=len(found) + 1)
        is_flatten = isinstance(layer, FlattenSpec)
        index += names.flatten_counts if is_flatten else _MODULES.get(type(layer), 1)
    return found


def _tensors(prefixes: Mapping[str, str]) -> set[str]:
    return {prefix + part for prefix in prefixes.values() for part in PARTS}
