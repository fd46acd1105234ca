"""PyTorch's weight files: reading, writing, names of modules."""

import importlib.util
import os
import pickle
import pickletools
import re
import warnings
from collections.abc import Iterable, Mapping

import numpy as np
from absl import logging

from keras_alexnet.errors import UserError
from keras_alexnet.networks import spec
from keras_alexnet.networks.spec import NetworkSpec, PyTorchNames
from keras_alexnet.utils import files

PICKLED = (".pth", ".pt")


SAFE = ".safetensors"


_WRAPPERS = ("state_dict", "model_state_dict")


def read_tensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dict by their names, float32 as PyTorch lays them out.

    A state dict inside a checkpoint's "state_dict" is found, and the "module." that DataParallel
    puts before all names is left out.

    Raises:
        UserError: the file is damaged or cut off, is no state dict, or would run code; torch is
            needed for it and not installed.
    """
    path = os.fspath(path)
    tensors = _safe(path) if path.endswith(SAFE) else _pickled(path)
    return {new: tensors[old] for old, new in without_wrapper(tensors).items()}


def write(path: str | os.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors, float32, to a `.safetensors` file, whole or not at all."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with files.atomic_write(path) as temporary:
        # As torch writes it, so that its loaders know where the tensors come from.
        save_file(contiguous, temporary, metadata={"format": "pt"})


def _safe(path: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: _as_float32(name, file.get_tensor(name), path) for name in file.keys()}
    except (SafetensorError, TypeError) as error:  # TypeError: a number type that numpy lacks
        raise UserError(
            f"{path} is no whole .safetensors file of float numbers: {error}. Download or write "
            "it again."
        ) from error


def _pickled(path: str) -> dict[str, np.ndarray]:
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            f"{path} is a pickle, which only torch reads without running what may be in it, and "
            "torch is not installed. pip install torch, or have the weights as .safetensors."
        )
    import torch

    try:
        with warnings.catch_warnings():
            # Of pickles that are none of torch's, before it refuses them.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads it to.
        raise UserError(_why_not(path, error)) from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            loaded = loaded[wrapper]
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(f"{path} holds a {type(loaded).__name__} and no state dict of tensors.")
    others = [
        str(name)
        for name, value in loaded.items()
        if not isinstance(name, str)
        or not isinstance(value, torch.Tensor)
        or value.layout != torch.strided
    ]
    if others:
        raise UserError(
            f"{path} holds no state dict: these are no dense tensors with names: "
            f"{', '.join(others[:10])}. Write one by torch.save(network.state_dict(), …)."
        )
    return {name: _as_float32(name, _array(value), path) for name, value in loaded.items()}


def _array(tensor) -> np.ndarray:
    """A tensor as numpy has it; bfloat16, which numpy lacks, as float32."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _as_float32(name: str, array: np.ndarray, path: str) -> np.ndarray:
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise UserError(
            f"{path} is not a file of float weights: {name} is {array.dtype}. Quantized networks "
            "and files of other things cannot be loaded."
        )
    return array.astype(np.float32, copy=False)


def _why_not(path: str, error: Exception) -> str:
    text = str(error)
    if "legacy .tar format" in text:
        return (
            f"{path} is in PyTorch's oldest format, a tar archive, which cannot be read without "
            "running what is in it. Where you trust it, load it in torch once and write it again "
            "by torch.save(state_dict, …)."
        )
    code = re.search(r"(?:Unsupported (?:global: GLOBAL|class) |GLOBAL )([\w.]+)", text)
    called = code[1] if code else _called_by(path)
    if isinstance(error, pickle.UnpicklingError) and called:
        return (
            f"{path} was not loaded: it is a pickle that calls {called}, that is, it would run "
            "code. A state dict holds tensors alone; write one by "
            "torch.save(network.state_dict(), …)."
        )
    # Without torch's advice to load it all the same.
    cause = re.search(r"WeightsUnpickler error:\s*(\S.*)", text)
    cause = cause[1] if cause else re.split(r"\. |\n", text or type(error).__name__)[0]
    return (
        f"{path} cannot be read as a PyTorch state dict: {cause}. It may be cut off, damaged or of "
        "another format: download or write it again."
    )


def _called_by(path: str) -> str | None:
    """The first function that a plain pickle, not one of torch's, would call."""
    strings = []
    try:
        with open(path, "rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    return argument.replace(" ", ".")
                if opcode.name == "STACK_GLOBAL":
                    return ".".join(strings[-2:])
                if isinstance(argument, str):
                    strings.append(argument)
    except (ValueError, OSError):  # no pickle
        pass
    return None


# How many modules of an nn.Sequential a layer is, its activation among them.
_MODULES = {spec.ConvolutionSpec: 2, spec.DenseSpec: 2, spec.AdaptiveAveragePoolSpec: 0}


PARTS = (".weight", ".bias")


def modules(network: NetworkSpec, names: PyTorchNames) -> dict[str, str]:
    """Returns, for each layer with weights, what a source calls its module.

    Example:
        >>> owt = keras_alexnet.variants.get("alexnet_owt")
        >>> modules(owt, owt.pytorch_names[0])["fc6"]
        'classifier.1'
    """
    last = names.head if names.last is None else names.last
    return {
        **_counted(network.features, names, {spec.ConvolutionSpec: names.features}),
        **_counted(network.head, names, {spec.DenseSpec: names.head, spec.ClassifierSpec: last}),
    }


def tensor_names(network: NetworkSpec, found: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Returns, for each layer with weights, the names of its kernel and its bias in a file.

    Args:
        network: whose weights the file should hold.
        found: the names in the file.

    The names are those of the network's own sources, whichever fit best. Where none fits, but the
    file has as many modules with a weight and a bias as the network has layers with them, they are
    taken in their order, `net.2` before `net.10`.

    Raises:
        UserError: as `check_known`.
    """
    found = set(found)
    check_known(network)
    candidates = [modules(network, names) for names in network.pytorch_names]
    best = max(candidates, key=lambda known: len(found & _tensors(known)))
    if found != _tensors(best):
        prefixes = sorted({name.rpartition(".")[0] for name in found}, key=_natural)
        in_order = dict(zip(best, prefixes, strict=False)) if len(best) == len(prefixes) else {}
        # Nothing in common: else a tensor is missing or too many, and is to be named.
        if in_order and not found & _tensors(best) and found == _tensors(in_order):
            pairs = ", ".join(f"{layer} from {prefix}" for layer, prefix in in_order.items())
            logging.info("The file has names of its own, taken in their order: %s.", pairs)
            best = in_order
    return {layer: tuple(prefix + part for part in PARTS) for layer, prefix in best.items()}


def check_known(network: NetworkSpec) -> None:
    """Raises a UserError if no PyTorch network computes what this one does."""
    if not network.pytorch_names:
        raise UserError(
            f"{network.name} has no form in PyTorch: it has layers that PyTorch lacks or does "
            "otherwise. Name another network."
        )


def without_wrapper(names: Iterable[str]) -> dict[str, str]:
    """Returns name → name without the "module." that PyTorch's DataParallel puts before all."""
    names = list(names)
    wrapped = names and all(name.startswith("module.") for name in names)
    return {name: name.removeprefix("module.") if wrapped else name for name in names}


def _counted(layer_rows, names, patterns):
    """Returns layer → module, given the pattern of the names of each type of row."""
    found, index = {}, 0
    for row in layer_rows:
        if type(row) in patterns:
            number = len(found) + 1
            found[row.name] = patterns[type(row)].format(index=index, number=number)
        is_flatten = isinstance(row, spec.FlattenSpec)
        index += names.flatten_counts if is_flatten else _MODULES.get(type(row), 1)
    return found


def _tensors(prefixes):
    return {prefix + part for prefix in prefixes.values() for part in PARTS}


def _natural(name):
    """Sorts numbers inside names by their value."""
    return [
        (part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)
    ]
