"""Whole networks of the programs against numpy, layer after layer as their layer files have them.

Nothing here is taken from the networks' specs: the order, the constants and the padding are written
down again. The weights are random and large, so that the effect of every layer shows.
"""

import keras
import numpy as np
import pytest

import keras_alexnet
from keras_alexnet.networks import variants
from support.fixed_weights import relative_error
from support.networks import registered, shrunk
from support.plain_layers import plain_local, plain_lrn, plain_pool, plain_same_map_norm

CIFAR_MEAN = (125.307, 122.950, 113.865)
IMAGENET_MEAN = (123.68, 116.779, 103.939)


class Plain:
    """Runs layers written as functions of maps, with weights by the layers' names."""

    def __init__(self, model, images, mean):
        self.weights = {layer.name: layer.get_weights() for layer in model.layers}
        self.maps = images.astype("float64") - mean

    def convolution(self, name, zeros, stride=1, groups=1):
        kernel, bias = self.weights[name]
        maps = np.pad(self.maps, [(0, 0), zeros, zeros, (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(maps, kernel.shape[:2], axis=(1, 2))
        windows = windows[:, ::stride, ::stride]
        parts = zip(
            np.split(windows, groups, axis=3), np.split(kernel, groups, axis=3), strict=True
        )
        outputs = [np.tensordot(part, k, [[3, 4, 5], [2, 0, 1]]) for part, k in parts]
        self.maps = np.concatenate(outputs, -1) + bias

    def local(self, name):
        self.maps = plain_local(self.maps, *self.weights[name], zeros=(1, 1))

    def relu(self):
        self.maps = np.maximum(self.maps, 0)

    def pool(self, reduce):
        self.maps = plain_pool(self.maps, 3, 2, reduce)

    def across_maps(self, size, scale, least, groups=1):
        self.maps = plain_lrn(self.maps, groups, size // 2, least, scale / size, 0.75)

    def in_a_map(self, size, scale):
        self.maps = plain_same_map_norm(self.maps, size, 1.0, scale / size**2, 0.75)

    def dense(self, name):
        kernel, bias = self.weights[name]
        self.maps = self.maps.reshape(len(self.maps), -1) @ kernel + bias


def eleven_percent(plain):
    """layers-conv-local-11pct.cfg"""
    plain.convolution("conv1", zeros=(2, 2))
    plain.relu()
    plain.pool(np.max)
    plain.across_maps(size=9, scale=0.001, least=1)
    plain.convolution("conv2", zeros=(2, 2))
    plain.relu()
    plain.across_maps(size=9, scale=0.001, least=1)
    plain.pool(np.max)
    for name in ("local3", "local4"):
        plain.local(name)
        plain.relu()
    plain.dense("logits")


def thirteen_percent(plain):
    """layers-conv-local-13pct.cfg"""
    for name in ("conv1", "conv2"):
        plain.convolution(name, zeros=(2, 2))
        plain.relu()
        plain.pool(np.max)
    for name in ("local3", "local4"):
        plain.local(name)
        plain.relu()
    plain.dense("logits")


def eighteen_percent(plain):
    """layers-18pct.cfg"""
    plain.convolution("conv1", zeros=(2, 2))
    plain.pool(np.max)
    plain.relu()
    plain.in_a_map(size=3, scale=0.00005)
    plain.convolution("conv2", zeros=(2, 2))
    plain.relu()
    plain.pool(np.mean)
    plain.in_a_map(size=3, scale=0.00005)
    plain.convolution("conv3", zeros=(2, 2))
    plain.relu()
    plain.pool(np.mean)
    plain.dense("logits")


def eighty_seconds(plain):
    """layers-80sec.cfg"""
    plain.convolution("conv1", zeros=(2, 2))
    plain.pool(np.max)
    plain.relu()
    for name in ("conv2", "conv3"):
        plain.convolution(name, zeros=(2, 2))
        plain.relu()
        plain.pool(np.mean)
    plain.dense("fc64")
    plain.relu()
    plain.dense("logits")


def two_blocks_of_2012(plain):
    """layers-145.cfg, as far as pool2; windows are counted up, so all zeros are at the end."""
    plain.convolution("conv1", zeros=(0, 3), stride=4)
    plain.across_maps(size=5, scale=0.0001, least=2, groups=2)
    plain.pool(np.max)
    plain.relu()
    plain.convolution("conv2", zeros=(2, 2), groups=2)
    plain.relu()
    plain.across_maps(size=5, scale=0.0001, least=2, groups=2)
    plain.in_a_map(size=5, scale=0.001)
    plain.pool(np.max)


# The side of the images: small, where the network allows it, for numpy's sake.
NETWORKS = {
    "cuda_convnet_11pct": (eleven_percent, 24, CIFAR_MEAN, "logits"),
    "cuda_convnet_13pct": (thirteen_percent, 24, CIFAR_MEAN, "logits"),
    "cuda_convnet_18pct": (eighteen_percent, 24, CIFAR_MEAN, "logits"),
    "cuda_convnet_80sec": (eighty_seconds, 24, CIFAR_MEAN, "logits"),
    "alexnet_2012": (two_blocks_of_2012, 128, IMAGENET_MEAN, "pool2"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_computes_what_its_layer_file_says(name):
    formulas, side, mean, last = NETWORKS[name]
    model = keras_alexnet.build(name, input_shape=(side, side, 3), seed=0)
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            kernel, bias = (weight.shape for weight in layer.weights)
            spread = np.sqrt(2 / np.prod(kernel[-4:-1]))
            values = (generator.normal(0, spread, kernel), generator.normal(0, 5, bias))
            layer.set_weights([value.astype("float32") for value in values])
    images = generator.integers(0, 256, (2, side, side, 3)).astype("uint8")
    model = keras.Model(model.input, model.get_layer(last).output)
    plain = Plain(model, images, mean)
    formulas(plain)
    assert relative_error(plain.maps, model(images).numpy()) < 1e-5


@pytest.mark.parametrize("name", ["alexnet_caffe", "alexnet_2012"])
@pytest.mark.parametrize("size", [224, 227])
def test_programs_that_round_up_pool_to_27_13_and_6_at_either_size(name, size):
    with registered(shrunk(variants.get(name), filters=8, units=16)):
        model = keras_alexnet.build(name, num_classes=2, input_shape=(size, size, 3))
        own = keras_alexnet.build(name, num_classes=2)
    pools = [model.get_layer(f"pool{block}") for block in (1, 2, 5)]
    assert [pool.output.shape[1:3] for pool in pools] == [(27, 27), (13, 13), (6, 6)]
    assert [each.shape for each in model.weights] == [each.shape for each in own.weights]
