"""The profile of a training step: which layer an operation is of, shared time, the table."""

import pytest

from keras_alexnet.benchmarks import layer_profile
from keras_alexnet.benchmarks.catalog import Settings
from keras_alexnet.benchmarks.layer_profile import Interval, Part
from keras_alexnet.networks.summary import layer_table
from keras_alexnet.utils import tensorflow_private

LAYERS = ["conv1", "norm_1", "fc3"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cifar_v2_1/conv1_1/Relu", Part("conv1")),
        ("cifar_v2/norm_1/LRN", Part("norm_1")),
        ("gradient_tape/cifar_v2_1/fc3_1/MatMul/MatMul_1", Part("fc3", backward=True)),
        ("ConstantFolding/gradient_tape/cifar_v2_1/conv1_1/sub", Part("conv1", backward=True)),
        ("update/optimizer/ResourceApplyKerasMomentum_3", Part("optimizer update")),
        ("update_1/add", Part("optimizer update")),
        ("softmax_cross_entropy_with_logits/LogSoftmax", Part("loss and metrics")),
        ("conv1/Relu", Part("loss and metrics")),
    ],
)
def test_an_operation_belongs_to_the_layer_in_its_name(name, expected):
    assert layer_profile.part_of(name, "cifar_v2", LAYERS) == expected


def test_operations_at_the_same_time_share_it():
    a, b, c = Part("a"), Part("b"), Part("c")
    intervals = [Interval(0, 4, a), Interval(1, 2, a), Interval(1, 2, b), Interval(6, 7, c)]
    times = layer_profile.shared_times(intervals)
    assert times == pytest.approx({a: 3 + 2 / 3, b: 1 / 3, c: 1})


def test_the_rows_add_up_to_the_step_and_the_first_layer_has_no_gradient_of_its_input():
    layers = layer_table("cifar_v2").layers
    parts = {Part("conv1"): 0.1, Part("conv1", True): 0.2, Part("optimizer update"): 0.1}
    rows = {row["layer"]: row for row in layer_profile.table(layers, 2, parts, 0.5, peak=1e9)}
    macs = {layer.name: layer.macs for layer in layers}
    assert rows["conv1"]["ms at peak"] == pytest.approx(2 * 2 * macs["conv1"] / 1e6)
    assert rows["conv2"]["ms at peak"] == pytest.approx(2 * 3 * macs["conv2"] / 1e6)
    assert rows["conv1"]["% of the step"] == 60
    whole = rows.pop("whole step")
    assert whole["ms"] == pytest.approx(sum(row["ms"] for row in rows.values())) == 500
    assert whole["ms at peak"] == pytest.approx(
        sum(row["ms at peak"] or 0 for row in rows.values())
    )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "graph_bfloat16"])
def test_a_profile_finds_each_layer_of_a_network_in_training(precision):
    if precision == "graph_bfloat16" and not tensorflow_private.onednn_is_on():
        pytest.skip("needs oneDNN")
    settings = Settings(
        variants=("cuda_convnet_11pct",), batch_sizes=(4,), steps=2, precision=precision
    )
    rows = {row["layer"]: row for row in layer_profile.measure(settings).rows}
    for layer in layer_table("cuda_convnet_11pct").layers[1:]:
        if layer.type != "Flatten":
            assert rows[layer.name]["forward ms"] > 0, layer
            assert rows[layer.name]["backward ms"] > 0, layer
    assert rows["conv1"]["precision"] == precision
    assert rows["optimizer update"]["ms"] > 0
    assert rows["loss and metrics"]["% of the step"] < 20
