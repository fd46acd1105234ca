"""Initial weights of a row → the initialisers of a Keras layer, each with a seed of its own."""

import math
import zlib

import keras

from keras_alexnet import rows


def _normal(weights, fan_in, seeds):
    kernel = keras.initializers.RandomNormal(stddev=weights.std, seed=seeds["kernel"])
    return kernel, keras.initializers.Constant(weights.bias)


def _fan_in_uniform(weights, fan_in, seeds):
    bound = 1 / math.sqrt(fan_in)
    return tuple(
        keras.initializers.RandomUniform(-bound, bound, seed=seeds[part])
        for part in ("kernel", "bias")
    )


def _he_fan_out(weights, fan_in, seeds):
    kernel = keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal", seed=seeds["kernel"]
    )
    return kernel, keras.initializers.Zeros()


_INITIAL_WEIGHTS = {
    rows.NormalWeights: _normal,
    rows.FanInUniform: _fan_in_uniform,
    rows.HeFanOut: _he_fan_out,
}


def initializers(row, fan_in, seed):
    """Returns the initialiser arguments of a Keras layer with a kernel and a bias."""
    seeds = {part: seed_of(seed, row.name, part) for part in ("kernel", "bias")}
    kernel, bias = _INITIAL_WEIGHTS[type(row.initial)](row.initial, fan_in, seeds)
    return {"kernel_initializer": kernel, "bias_initializer": bias}


def seed_of(seed, layer, part):
    """Returns a seed for one part of one layer, None (a random one) when none is asked for."""
    return None if seed is None else zlib.crc32(f"{seed}/{layer}/{part}".encode()) >> 1
