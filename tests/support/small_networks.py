"""A network with all that cifar_v1 has, and few weights."""

import dataclasses

from keras_alexnet.networks import spec, variants

_SHRUNK = {spec.ConvolutionSpec: {"filters": 8}, spec.DenseSpec: {"units": 16}}


def small_row() -> spec.NetworkSpec:
    """The row of "cifar_small", to be put into the table of variants."""

    def small(layers):
        return tuple(dataclasses.replace(row, **_SHRUNK.get(type(row), {})) for row in layers)

    full = variants.get("cifar_v1")
    return dataclasses.replace(
        full, name="cifar_small", features=small(full.features), head=small(full.head)
    )
