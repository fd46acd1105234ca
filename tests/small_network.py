"""A network for tests that train, evaluate and save again and again."""

import dataclasses

from keras_alexnet import rows, variants


def small_row() -> rows.Variant:
    """A row with all that cifar_v1 has, dropout included, and few weights."""
    shrunk = {rows.Convolution: {"filters": 8}, rows.Dense: {"units": 16}}

    def small(layers):
        return tuple(dataclasses.replace(row, **shrunk.get(type(row), {})) for row in layers)

    full = variants.get("cifar_v1")
    return dataclasses.replace(
        full, name="cifar_small", features=small(full.features), head=small(full.head)
    )
