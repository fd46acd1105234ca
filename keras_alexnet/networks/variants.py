"""The registry of networks: list_variants, get, register.

`keras_alexnet.networks.imagenet`, `cifar` and `cuda_convnet` hold the networks themselves.
"""

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks import cifar, cuda_convnet, imagenet
from keras_alexnet.networks.spec import ImagePlan, NetworkSpec

_SPECS = {spec.name: spec for spec in (*imagenet.NETWORKS, *cifar.NETWORKS, *cuda_convnet.NETWORKS)}

# What the sources are that have no name of their own, by their number.
DOCUMENTS = {
    "000": "notes of a CIFAR-10 reproduction, 2020",
    "001": "a PyTorch lesson on CIFAR-10 with its training log",
    "002": "a textbook chapter with CIFAR-10 code",
    "003": "a blog post with a layer table and half-width code, 2021",
    "004": "a walk through torchvision's code",
}


def list_variants() -> list[str]:
    """Returns the names of all networks.

    Example:
        >>> list_variants()[:2]
        ['alexnet', 'alexnet_two_tower']
    """
    return list(_SPECS)


def get(name: str) -> NetworkSpec:
    """Returns a network's row.

    Raises:
        UsageError: no network has that name.
    """
    if name not in list_variants():
        raise unknown_name("variant", name, _SPECS)
    return _SPECS[name]


def register(spec: NetworkSpec) -> None:
    """Adds a network, which `build`, training and export then know by its name.

    Raises:
        UsageError: another network has that name.

    Example:
        >>> import dataclasses
        >>> register(dataclasses.replace(get("cifar_v2"), name="cifar_v2_wide"))
        >>> "cifar_v2_wide" in list_variants()
        True
        >>> unregister("cifar_v2_wide")
    """
    if _SPECS.get(spec.name, spec) != spec:
        raise UsageError(
            f"A network named {spec.name!r} exists already. Give yours another name, or call "
            "unregister first."
        )
    _SPECS[spec.name] = spec


def unregister(name: str) -> None:
    """Removes a network that `register` added.

    Raises:
        UsageError: no network has that name.
    """
    get(name)
    del _SPECS[name]


def image_plan(name: str, input_size: int) -> ImagePlan:
    """Returns how images become the inputs, `input_size` pixels a side, of a trained network.

    Raises:
        UsageError: no network has that name, which then is that of a model and not of a row.
    """
    if name not in list_variants():
        raise UsageError(
            "It is not known how images become this network's inputs. Name its variant with "
            f"--variant, one of {', '.join(list_variants())}. Received: {name!r}."
        )
    return get(name).image_plan_for(input_size)
