import json

import keras
import pytest

import keras_alexnet
from keras_alexnet.errors import UsageError
from keras_alexnet.networks.summary import layer_table


def test_locally_connected_layers_have_weights_for_each_position():
    """At the 24 x 24 crops of the program; 6 x 6 positions are left of them."""
    table = layer_table(keras_alexnet.build("cuda_convnet_11pct", input_shape=(24, 24, 3)))
    assert table.totals["parameters"] == 2_112_970
    [local4] = [layer for layer in table.layers if layer.name == "local4"]
    assert (local4.kernel, local4.padding, local4.output_shape) == ((3, 3), (1, 1), (1, 6, 6, 32))
    assert local4.macs == 36 * 9 * 64 * 32 and local4.parameters == local4.macs + 36 * 32


def test_layers_of_the_two_tower_network():
    """The figures that document 003 and the paper print by hand."""
    small_head = keras_alexnet.build("alexnet_two_tower", num_classes=10)
    table = {layer.name: layer for layer in layer_table(small_head, batch_size=2).layers}
    assert "image" not in table
    conv1 = table["conv1"]
    assert (conv1.type, conv1.kernel, conv1.stride) == ("Convolution", (11, 11), (4, 4))
    assert (conv1.padding, conv1.groups, conv1.output_shape) == ((0, 3), 1, (2, 55, 55, 96))
    assert (conv1.parameters, conv1.macs) == (34_944, 105_415_200)
    assert conv1.activation_bytes == 2 * 55 * 55 * 96 * 4
    conv2 = table["conv2"]
    assert (conv2.padding, conv2.groups, conv2.output_shape) == ((2, 2), 2, (2, 27, 27, 256))
    assert (conv2.parameters, conv2.macs) == (307_456, 223_948_800)
    pool1 = table["pool1"]
    assert (pool1.kernel, pool1.stride, pool1.padding) == ((3, 3), (2, 2), None)
    assert (pool1.parameters, pool1.macs, pool1.groups) == (0, 0, None)
    assert table["flatten"].activation_bytes == 0
    assert table["logits"].parameters == 4097 * 10
    assert table["logits"].macs == 4096 * 10


def test_activation_memory_grows_with_the_batch_and_nothing_else_does():
    model = keras_alexnet.build("cifar_v2")
    one, many = (layer_table(model, batch_size=size).totals for size in (1, 64))
    assert many.pop("activation_bytes") == 64 * one.pop("activation_bytes")
    assert one == many


def test_text_and_json_hold_the_same_figures():
    table = layer_table("cifar_v2", batch_size=64)
    lines = table.as_text().splitlines()
    assert lines[0].startswith("cifar_v2, batch of 64")
    conv1 = next(line for line in lines if line.startswith("conv1")).split()
    assert conv1[1:7] == ["Convolution", "5x5", "1x1", "0", "1", "64x28x28x64"]
    assert conv1[7:] == ["4,864", "3,763,200", "12.845", "MB"]
    total = next(line for line in lines if line.startswith("total")).split()
    assert total[1:3] == ["576,778", "12,526,464"]
    assert lines[-1] == "weights: 2.307 MB"
    as_json = json.loads(json.dumps(table.as_dict()))
    assert as_json["totals"] == table.totals
    assert as_json["layers"][1]["output_shape"] == [64, 28, 28, 64]


def test_a_table_needs_a_fixed_input_and_a_batch():
    with pytest.raises(UsageError, match="fixed input size"):
        layer_table(keras.Sequential([keras.Input([None, None, 3]), keras.layers.Conv2D(1, 1)]))
    with pytest.raises(UsageError, match="batch_size must be a whole number of at least 1"):
        layer_table("cifar_v2", batch_size=0)
