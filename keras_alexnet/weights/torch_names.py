"""Which tensor of a PyTorch state dict belongs to which layer."""

import re
from collections.abc import Iterable

from absl import logging

from keras_alexnet import rows
from keras_alexnet.errors import UserError
from keras_alexnet.rows import PyTorchNames, Variant

# How many modules of an nn.Sequential a layer is, its activation among them.
_MODULES = {rows.Convolution: 2, rows.Dense: 2, rows.AdaptiveAveragePool: 0}
PARTS = (".weight", ".bias")


def modules(network: Variant, names: PyTorchNames) -> dict[str, str]:
    """Returns, for each layer with weights, what a source calls its module.

    Example:
        >>> owt = keras_alexnet.variants.get("alexnet_owt")
        >>> modules(owt, owt.pytorch_names[0])["fc6"]
        'classifier.1'
    """
    last = names.head if names.last is None else names.last
    return {
        **_counted(network.features, names, {rows.Convolution: names.features}),
        **_counted(network.head, names, {rows.Dense: names.head, rows.Classifier: last}),
    }


def tensor_names(network: Variant, found: Iterable[str]) -> dict[str, tuple[str, str]]:
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


def check_known(network: Variant) -> None:
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
        is_flatten = isinstance(row, rows.Flatten)
        index += names.flatten_counts if is_flatten else _MODULES.get(type(row), 1)
    return found


def _tensors(prefixes):
    return {prefix + part for prefix in prefixes.values() for part in PARTS}


def _natural(name):
    """Sorts numbers inside names by their value."""
    return [
        (part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)
    ]
