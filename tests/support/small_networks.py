"""A network with the layers of cifar_v1, but few weights."""

from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import NetworkSpec
from support.networks import shrunk


def small_row() -> NetworkSpec:
    """Returns the network "cifar_small", for `support.networks.registered`."""
    return shrunk(variants.get("cifar_v1"), filters=8, units=16, name="cifar_small")
