"""The weights that come with the package, found by the name of a network or of the weights.

Every function that takes a model or weights finds them here, so a new set of weights is known
everywhere once `list_named` lists it.
"""

import dataclasses
import functools
import os
import pathlib

from absl import logging

from keras_alexnet import run_folder
from keras_alexnet.errors import UserError
from keras_alexnet.networks import variants
from keras_alexnet.utils.values import path_text
from keras_alexnet.weights import hub

SHIPPED = "shipped"  # the kind of these models, beside those of `run_folder`
FOLDER = pathlib.Path(__file__).parent / "shipped"
WEIGHTS, CARD = ".safetensors", ".json"  # endings of the two files of a set of weights


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
    for file in sorted(FOLDER.glob(f"*{WEIGHTS}")):
        variant, _, name = file.stem.partition("-")
        found.append(NamedWeights(variant, name, file))
    return found


def locate(model: str | os.PathLike, places: str = run_folder.MODELS) -> tuple[str, pathlib.Path]:
    """Finds the model at a path, or the one that comes with the package, by its network's name.

    A file or folder of that name in the current folder is taken first, which is logged. With a
    folder before it, as in `./cifar_v2`, text is always a path.

    Args:
        model: as for `run_folder.locate`; or the name of a network; or a `.safetensors` file that
            `exporting.shipping.ship` wrote.
        places: what error messages say that a model can be.

    Returns:
        Its kind, one of those of `run_folder` or `SHIPPED`, and its file or folder.

    Raises:
        UserError: there is no model, or no weights of that network come with the package.

    Example:
        >>> kind, file = locate("cifar_v2")
        >>> kind, file.name
        ('shipped', 'cifar_v2-cifar10-jpeg.safetensors')
    """
    text = path_text("model", model)
    if text in variants.list_variants() and (found := _of_network(text)):
        return SHIPPED, found.file
    text = str(hub.download(text)) if hub.is_address(text) else text
    path = pathlib.Path(text)
    if path.suffix == WEIGHTS and path.is_file() and path.with_suffix(CARD).is_file():
        return SHIPPED, path
    return run_folder.locate(
        text,
        f"{places}; or the name of a network with weights in the package: {_networks()}; "
        "or hf://user/name",
    )


def find_weights(weights: str, variant: str) -> pathlib.Path | None:
    """Returns the file of weights that come with the package; None for what is no name of some.

    Args:
        weights: the name of the weights, or of the network; `locate` says what comes first.
        variant: the network to load them into.

    Raises:
        UserError: there are weights of that name, but not for this network.

    Example:
        >>> find_weights("cifar10-jpeg", "cifar_v2").name
        'cifar_v2-cifar10-jpeg.safetensors'
        >>> find_weights("mine.safetensors", "cifar_v2")
    """
    if weights in variants.list_variants():
        found = _of_network(weights)
        return None if found is None else found.file
    variants_of = {each.variant: each for each in list_named() if each.name == weights}
    if not variants_of or _is_in_folder(weights):
        return None
    if variant not in variants_of:
        raise UserError(
            f"No weights {weights} of {variant} come with the package. They come for "
            f"{', '.join(variants_of)}."
        )
    return variants_of[variant].file


def in_words() -> str:
    """Returns the names of all weights, each with its networks.

    Example:
        >>> in_words().startswith("cifar10-jpeg (for c")
        True
    """
    networks: dict[str, list[str]] = {}
    for each in list_named():
        networks.setdefault(each.name, []).append(each.variant)
    return ", ".join(f"{name} (for {', '.join(those)})" for name, those in networks.items())


def _of_network(variant: str) -> NamedWeights | None:
    """Returns the weights of a network, or None if a file or folder has its name.

    Raises:
        UserError: there are neither.
    """
    found = [each for each in list_named() if each.variant == variant]
    if found and not _is_in_folder(variant):
        return found[0]
    if not found and not os.path.lexists(variant):
        raise UserError(
            f"No weights of {variant} come with the package, and there is no file or folder "
            f"{variant}. Weights come for {_networks()}. Train {variant} with train --variant "
            f"{variant}, or give the path of a model."
        )
    return None


def _networks() -> str:
    return ", ".join(dict.fromkeys(each.variant for each in list_named()))


def _is_in_folder(name: str) -> bool:
    if not os.path.lexists(name):
        return False
    _say_that_it_is_taken(name)
    return True


@functools.cache  # once for each name
def _say_that_it_is_taken(name: str) -> None:
    logging.info(
        "%s in the current folder is taken, and not the weights of that name that come with the "
        "package. Rename it, or run in a different folder, to use those.",
        name,
    )
