"""Weights from a fixed formula, the same on every machine."""

import functools
import zlib

import numpy as np


@functools.lru_cache(32)  # large networks share the names and shapes of their dense layers
def uniform(name, shape):
    """Numbers in [-1, 1) that depend only on the name; Philox is the same everywhere."""
    bits = np.random.Philox(zlib.crc32(name.encode())).random_raw(int(np.prod(shape)))
    bits >>= 40  # in place, as what follows: the largest kernels have 38 million weights
    numbers = bits.astype("float32").reshape(shape)
    numbers /= 2**23
    numbers -= 1
    numbers.flags.writeable = False  # all callers get the same array
    return numbers


def set_fixed_weights(model):
    """Sets weights from a deterministic formula that preserves the size of activations."""
    for layer in model.layers:
        if layer.weights:
            kernel, bias = (weight.shape for weight in layer.weights)
            # Of one position, if it has many.
            bound = np.float32(np.sqrt(6 / np.prod(kernel[-4:-1])))
            layer.set_weights(
                [
                    uniform(f"{layer.name}/kernel", kernel) * bound,
                    uniform(f"{layer.name}/bias", bias) * 0.5,
                ]
            )


def relative_error(wanted, got):
    return np.max(np.abs(wanted - got)) / np.max(np.abs(wanted))
