"""Writing ONNX files: what they compute, what they hold, and what cannot be written."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet import UserError
from keras_alexnet.exporting.formats import onnx
from keras_alexnet.networks import variants
from keras_alexnet.runtimes.onnx_runtime import OnnxModel
from support.exports import VARIANTS, keras_logits, noise, trained


@pytest.fixture(scope="module")
def packages():
    return [pytest.importorskip(name) for name in ("onnx", "tf2onnx", "onnxruntime")]


@pytest.fixture(scope="module", params=["uint8", "float32"])
def written(request, packages, tmp_path_factory):
    """(network, path of its ONNX file, dtype of the pixels it takes)."""
    folder = tmp_path_factory.mktemp(request.param)
    network = trained(folder / "run", "cifar_v1")
    onnx.write(network, folder / "deeper" / "network.onnx", request.param)
    return network, folder / "deeper" / "network.onnx", request.param


def check(network, path, images):
    wanted = keras_logits(network, images)
    outputs = OnnxModel(path).run(images)
    np.testing.assert_allclose(outputs["logits"], wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    softmax = tf.nn.softmax(wanted).numpy()
    np.testing.assert_allclose(outputs["probabilities"], softmax, atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_same_logits_as_keras(name, packages, tmp_path):
    network = trained(tmp_path / "run", name)
    onnx.write(network, tmp_path / "network.onnx")
    check(network, tmp_path / "network.onnx", noise(3, network))


@pytest.mark.slow
@pytest.mark.parametrize("name", variants.list_variants())
def test_whole_networks(name, packages, tmp_path):
    network = trained(tmp_path / "run", name, full_size=True)
    onnx.write(network, tmp_path / "network.onnx")
    check(network, tmp_path / "network.onnx", noise(3, network))


def test_fractions_of_a_gray_level_count(written):
    network, path, dtype = written
    check(network, path, noise(1, network).astype(dtype))
    if dtype == "float32":
        check(network, path, noise(2, network) + np.float32(0.4))


def test_file_says_what_it_takes_and_is(written, packages):
    network, path, dtype = written
    model = packages[0].load(path)
    [image] = model.graph.input
    sizes = [dim.dim_param or dim.dim_value for dim in image.type.tensor_type.shape.dim]
    types = packages[0].TensorProto
    kind = {"uint8": types.UINT8, "float32": types.FLOAT}[dtype]
    assert (image.name, image.type.tensor_type.elem_type) == ("image", kind)
    assert sizes == ["N", 32, 32, 3]
    outputs = {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in model.graph.output
    }
    assert outputs == {"logits": ["N", 10], "probabilities": ["N", 10]}
    assert {each.domain for each in model.graph.node} == {""}  # only standard operations
    [entry] = model.metadata_props
    assert entry.key == "signature.json" and json.loads(entry.value) == network.description()


def test_what_cannot_be_converted(packages, tmp_path):
    network = trained(tmp_path / "run", "cifar_v2")
    model = keras_alexnet.build("cifar_v2", activation=tf.math.lgamma)
    with pytest.raises(UserError, match="cannot convert .* to ONNX: .*Lgamma"):
        onnx.write(dataclasses.replace(network, model=model), tmp_path / "network.onnx")
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize("name", ["onnx", "tf2onnx", "onnxruntime"])
def test_without_the_packages(name, monkeypatch):
    for other in {"onnx", "tf2onnx", "tf2onnx.convert", "onnxruntime"} - {name}:
        monkeypatch.setitem(sys.modules, other, sys)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"{name}.convert", raising=False)
    with pytest.raises(UserError, match=rf"package {name}, .* pip install -e ..\[onnx\]"):
        onnx.OnnxFormat().check_installed()
