"""PyTorch's networks made from specs compute what Keras's do."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet.benchmarks.peers import torch_inference, torch_networks
from keras_alexnet.networks import spec as specs
from keras_alexnet.networks import variants
from keras_alexnet.utils import machine
from support.fixed_weights import relative_error, set_fixed_weights
from support.networks import registered

torch = pytest.importorskip("torch", reason="compares with PyTorch, which users never need")


def narrow(name):
    """A network with dense layers of 32 units, whose cost is in their weights, and 7 classes."""
    spec = variants.get(name)
    head = tuple(
        dataclasses.replace(layer, units=32) if isinstance(layer, specs.DenseSpec) else layer
        for layer in spec.head
    )
    return dataclasses.replace(spec, head=head, num_classes=7)


def pair(spec, **options):
    """A Keras network and PyTorch's, with the same weights."""
    with registered(spec):
        model = keras_alexnet.build(spec.name)
    set_fixed_weights(model)
    network = torch_networks.build(spec, **options).to(memory_format=torch.channels_last)
    torch_networks.load(network, torch_networks.tensors_of(model, spec))
    return model, network


def pixels(side, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype("float32")


def of_torch(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", variants.list_variants())
def test_outputs_equal_those_of_keras(name):
    spec = narrow(name)
    model, network = pair(spec)
    images = pixels(spec.input_size)
    with torch.no_grad():
        got = network.eval()(of_torch(images)).numpy()
    assert relative_error(model(images).numpy(), got) < 1e-4


@pytest.mark.parametrize("name", ["cuda_convnet_11pct", "cuda_convnet_18pct"])
def test_gradients_equal_those_of_keras(name):
    model, network = pair(narrow(name))
    images = pixels(32)
    loss_weights = np.random.default_rng(1).standard_normal((2, 7)).astype("float32")
    (network(of_torch(images)) * torch.from_numpy(loss_weights)).sum().backward()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images) * loss_weights)
    first = model.get_layer("conv1").kernel
    wanted = tape.gradient(loss, first.value).numpy().transpose(3, 2, 0, 1)
    assert relative_error(wanted, network.conv1.weight.grad.numpy()) < 1e-3


def test_sizes_classes_and_inputs_that_are_standardized_already():
    spec = dataclasses.replace(narrow("alexnet_owt"), name="small_owt", standardization=None)
    network = torch_networks.build(spec, num_classes=3, input_size=63, standardize=False)
    assert network(torch.zeros(2, 3, 63, 63)).shape == (2, 3)
    assert list(dict(network.named_children()))[0] == "conv1"


def test_dropout_of_the_2012_program_scales_outside_training():
    dropout = torch_networks.build(narrow("alexnet_2012")).dropout6
    ones = torch.ones(1000)
    assert set(dropout.train()(ones).tolist()) == {0.0, 1.0}
    assert set(dropout.eval()(ones).tolist()) == {0.5}


@pytest.mark.parametrize("name", ["cifar_v2", "cuda_convnet_11pct"])
def test_all_ways_to_run_a_network_compute_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: True)
    model = keras_alexnet.build(name)
    set_fixed_weights(model)
    tensors = torch_networks.tensors_of(model, variants.get(name))
    np.savez(tmp_path / "weights.npz", **tensors)
    images = pixels(32).astype("uint8")
    expected = model(images).numpy()
    found = torch_inference.ways(name, str(tmp_path / "weights.npz"), threads=1)
    assert sum("bfloat16" in way for way in found) == 3 and len(found) == 6
    for way, (prepare, logits) in found.items():
        got = logits(prepare(images))
        assert got.dtype == np.float32
        assert relative_error(expected, got) < (0.05 if "bfloat16" in way else 1e-4), way


@pytest.mark.parametrize("name", variants.list_variants())
def test_every_network_can_be_converted_to_bfloat16(name):
    torch.manual_seed(0)
    network = torch_networks.build(narrow(name)).eval()
    images = 255 * torch.rand(1, 3, *[variants.get(name).input_size] * 2)
    with torch.inference_mode():
        expected = network(images)
        half = torch_inference._in_bfloat16(network)
        got = half(images.to(torch.bfloat16))
    assert got.dtype == torch.bfloat16
    assert relative_error(expected.numpy(), got.float().numpy()) < 0.05
