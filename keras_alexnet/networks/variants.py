"""The registry of networks: list_variants, get, register, unregister.

The networks themselves are in `networks.imagenet`, `networks.cifar` and `networks.cuda_convnet`.
"""

from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks import cifar, cuda_convnet, imagenet
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.networks.spec import NetworkSpec

_SPECS = {spec.name: spec for spec in (*imagenet.NETWORKS, *cifar.NETWORKS, *cuda_convnet.NETWORKS)}

# Sources that have no name of their own are known by a number.
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
    """Returns the spec of a network.

    Raises:
        UsageError: no network has that name.

    Example:
        >>> get("cifar_v2").num_classes
        10
    """
    if name not in list_variants():
        raise unknown_name("variant", name, _SPECS)
    return _SPECS[name]


def with_published(weights: str) -> list[str]:
    """Returns the names of the networks with published weights of a name.

    Example:
        >>> with_published("imagenet")
        ['alexnet_owt']
    """
    return [
        name for name, spec in _SPECS.items() if spec.published and spec.published.name == weights
    ]


def register(spec: NetworkSpec) -> None:
    """Adds a network, so that `build`, training and export find it by its name.

    Args:
        spec: the network. Registering the same spec again changes nothing.

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
            f"A network named {spec.name!r} already exists. Give yours a different name, or call "
            f"unregister({spec.name!r}) first."
        )
    _SPECS[spec.name] = spec


def unregister(name: str) -> None:
    """Removes a network from the registry.

    Raises:
        UsageError: no network has that name.
    """
    get(name)
    del _SPECS[name]


def image_plan(name: str, input_size: int) -> ImagePlan:
    """Returns how images become inputs of `input_size` pixels a side for a trained network.

    Raises:
        UsageError: no network has that name, which may be that of a user's own model.
    """
    if name not in list_variants():
        raise UsageError(
            f"No network is named {name!r}, so its image plan is unknown. Name the network's "
            f"variant with --variant, one of {', '.join(list_variants())}."
        )
    return get(name).image_plan_for(input_size)
