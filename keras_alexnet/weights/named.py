"""Weights that have a name: those that come with the package, and published ones.

Every function that takes a model or weights finds them here, so a new set of weights is known
everywhere once `list_named` or a network's spec lists it.
"""

import dataclasses
import difflib
import functools
import os
import pathlib

from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.networks import variants
from keras_alexnet.utils.values import path_text
from keras_alexnet.weights import hub, published, shipped_file

NAMED = "named"  # the kind of these models, beside those of `run_folder`

_NEAR = 0.7  # the share of a name that is typed as one of the known ones, to suggest that


@dataclasses.dataclass(frozen=True)
class NamedWeights:
    """Weights of a network that come with the package.

    Attributes:
        variant: the name of the network.
        name: the name of the weights, which is that of the data they were trained on.
        file: the `.safetensors` file; its card is beside it.
    """

    variant: str
    name: str
    file: pathlib.Path


def list_named() -> list[NamedWeights]:
    """Returns all weights that come with the package, sorted by network and name.

    Example:
        >>> [each.name for each in list_named() if each.variant == "cifar_v2"]
        ['cifar10-jpeg']
    """
    found = []
    for file in sorted(shipped_file.FOLDER.glob(f"*{shipped_file.WEIGHTS}")):
        variant, _, name = file.stem.partition("-")
        found.append(NamedWeights(variant, name, file))
    return found


def locate(
    model: str | os.PathLike, places: str = run_folder.MODELS, variant: str | None = None
) -> tuple[str, pathlib.Path]:
    """Finds the model at a path, or the one with named weights, by its network's name or theirs.

    A model of that name in the current folder is taken first, which is logged. With a folder before
    it, as in `./cifar_v2`, text is always a path. Published weights are downloaded if they are not
    in the cache.

    Args:
        model: as for `run_folder.locate`; or the name of a network, or of weights; or a
            `.safetensors` file with its card.
        places: what error messages say that a model can be.
        variant: the network, for weights whose name several networks have.

    Returns:
        Its kind, one of those of `run_folder` or `NAMED`, and its file or folder.

    Raises:
        UsageError: several networks have weights of that name.
        UserError: there is no model, or no weights of that network; or the published weights cannot
            be had.

    Example:
        >>> kind, file = locate("cifar_v2")
        >>> kind, file.name
        ('named', 'cifar_v2-cifar10-jpeg.safetensors')
    """
    text = path_text("model", model)
    if found := _of_network(text) or _of_name(text, variant):
        return NAMED, _file_of(*found)
    text = str(hub.download(text)) if hub.is_address(text) else text
    path = pathlib.Path(text)
    if path.suffix == shipped_file.WEIGHTS and path.is_file():
        if path.with_suffix(shipped_file.CARD).is_file():
            return NAMED, path
    places = f"{places}; or the name of weights: {in_words()}; or hf://user/name"
    names = {name for each in _all() for name in each}
    if nearest := difflib.get_close_matches(text.lower(), names, n=1, cutoff=_NEAR):
        places = f"{places} (did you mean {nearest[0]}?)"
    return run_folder.locate(text, places)


def find_weights(weights: str, variant: str) -> pathlib.Path | None:
    """Returns the file of named weights; None for what is no name of some.

    Args:
        weights: the name of the weights, or of the network; `locate` says what comes first.
        variant: the network to load them into.

    Raises:
        UsageError: there are weights of that name, but not for this network; or a network was
            named that has other layers.
        UserError: there are no weights of that network; or the published weights cannot be had.

    Example:
        >>> find_weights("cifar10-jpeg", "cifar_v2").name
        'cifar_v2-cifar10-jpeg.safetensors'
        >>> find_weights("mine.safetensors", "cifar_v2")
    """
    if found := _of_network(weights):
        if _layers(found[0]) != _layers(variant):
            raise UsageError(
                f"The weights {weights} are for that network, and {variant} has other layers. "
                f"Omit --variant (variant=), or pass the weights of {variant}."
            )
        return _file_of(*found)
    if not check_name(weights, variant):
        return None
    return _file_of(variant, weights)


def check_name(weights: str | os.PathLike, variant: str) -> bool:
    """Returns whether weights are named ones, which are for a network; nothing is downloaded.

    Raises:
        UsageError: there are weights of that name, but not for this network.
    """
    networks = [each for each, name in _all() if name == weights]
    if not networks or _is_taken(str(weights)):
        return False
    if variant not in networks:
        raise UsageError(
            f"No weights {weights} of {variant} are known, only of {', '.join(networks)}. Pass "
            f"that network with --variant (variant=), or the path of a file of {variant}, or no "
            "weights (weights=None) for random ones."
        )
    return True


def classes_of(weights: str | os.PathLike, variant: str) -> int | None:
    """Returns the number of classes of named weights of a network; None for other weights.

    Example:
        >>> classes_of("cifar10-jpeg", "cifar_v2"), classes_of("mine.keras", "cifar_v2")
        (10, None)
    """
    if _is_taken(str(weights)):
        return None
    for each in list_named():
        if each.variant == variant and weights in (each.variant, each.name):
            return len(shipped_file.read_card(each.file)["labels"])
    spec = variants.get(variant)
    if spec.published is not None and weights in (spec.name, spec.published.name):
        return spec.num_classes
    return None


def in_words() -> str:
    """Returns the names of all weights, each with its networks.

    Example:
        >>> in_words().endswith("imagenet (for alexnet_owt)")
        True
    """
    networks: dict[str, list[str]] = {}
    for variant, name in _all():
        networks.setdefault(name, []).append(variant)
    return ", ".join(f"{name} (for {', '.join(those)})" for name, those in networks.items())


def _all() -> list[tuple[str, str]]:
    """Returns (network, weights) of all named weights."""
    of_package = [(each.variant, each.name) for each in list_named()]
    specs = map(variants.get, variants.list_variants())
    return of_package + [(spec.name, spec.published.name) for spec in specs if spec.published]


def _file_of(variant: str, name: str) -> pathlib.Path:
    for each in list_named():
        if (each.variant, each.name) == (variant, name):
            return each.file
    return published.obtain(variants.get(variant))


def _of_network(variant: str) -> tuple[str, str] | None:
    """Returns the weights of a network; None for other names, and if a model has its name.

    Raises:
        UserError: it is the name of a network without weights.
    """
    if variant not in variants.list_variants():
        return None
    found = [each for each in _all() if each[0] == variant]
    if found and not _is_taken(variant):
        return found[0]
    if not found and not os.path.lexists(variant):
        raise UserError(
            f"No weights of {variant} are known, and there is no file or folder {variant}. Known: "
            f"{in_words()}. Train {variant} with train --variant {variant}, or give the path of a "
            "model."
        )
    return None


def _layers(variant: str) -> list[tuple[str, int | None, int | None]]:
    """The name and size of each layer: what weights depend on."""
    return [
        (layer.name, getattr(layer, "filters", None), getattr(layer, "units", None))
        for layer in variants.get(variant).layers
    ]


def _of_name(name: str, variant: str | None) -> tuple[str, str] | None:
    """Returns the weights of a name, if there are some and no model has it."""
    found = [each for each in _all() if each[1] == name]
    found = [each for each in found if each[0] == variant] or found
    if not found or _is_taken(name):
        return None
    if len(found) > 1:
        raise UsageError(
            f"The weights {name} are known for several networks. Name one of these in their place: "
            f"{', '.join(variant for variant, _ in found)}."
        )
    return found[0]


def _is_taken(name: str) -> bool:
    """Returns whether the current folder has a model of that name, not just data."""
    if not os.path.lexists(name):
        return False
    try:
        run_folder.locate(name)
    except UserError:
        return False
    _say_that_it_is_taken(name)
    return True


@functools.cache  # once for each name
def _say_that_it_is_taken(name: str) -> None:
    logging.info(
        "%s in the current folder is taken, and not the weights of that name. Rename it, or run in "
        "a different folder, to use those.",
        name,
    )
