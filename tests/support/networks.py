"""Registration of networks during a test, and small networks."""

import contextlib
import dataclasses
from collections.abc import Iterator

from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import ConvolutionSpec, DenseSpec, NetworkSpec


@contextlib.contextmanager
def registered(*specs: NetworkSpec) -> Iterator[None]:
    """Registers networks while the body runs, in place of known ones with the same names.

    Afterward the registry is as before, in the same order.
    """
    before = [variants.get(name) for name in variants.list_variants()]
    _register_only({spec.name: spec for spec in (*before, *specs)}.values())
    try:
        yield
    finally:
        _register_only(before)


def shrunk(spec: NetworkSpec, *, filters: int, units: int, **changes) -> NetworkSpec:
    """Returns a network with the same layers, but few filters and units, and `changes`."""
    small = {ConvolutionSpec: {"filters": filters}, DenseSpec: {"units": units}}
    parts = {
        part: tuple(
            dataclasses.replace(layer, **small.get(type(layer), {}))
            for layer in getattr(spec, part)
        )
        for part in ("features", "head")
    }
    return dataclasses.replace(spec, **parts, **changes)


def _register_only(specs):
    for name in variants.list_variants():
        variants.unregister(name)
    for spec in specs:
        variants.register(spec)
