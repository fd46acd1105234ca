"""ONNX files: what they hold, and what ONNX Runtime computes with them."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.exporting import onnx
from keras_alexnet.networks import variants
from keras_alexnet.runtimes.onnx_runtime import OnnxModel
from support.exports import noise, trained


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


@pytest.fixture(scope="module")
def path(written):
    return written[1]


def check(network, path, images):
    wanted = network.model(images.astype("float32"), training=False).numpy()
    outputs = OnnxModel(path).run(images)
    assert set(outputs) == {"logits", "probabilities"}
    np.testing.assert_allclose(outputs["logits"], wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    softmax = tf.nn.softmax(wanted).numpy()
    np.testing.assert_allclose(outputs["probabilities"], softmax, atol=1e-4)
    assert outputs["logits"].dtype == outputs["probabilities"].dtype == np.float32


@pytest.mark.parametrize("name", variants.list_variants())
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


@pytest.mark.parametrize("count", [1, 5])
def test_batch_size_and_number_type(written, count):
    network, path, dtype = written
    images = noise(count, network)
    check(network, path, images)
    check(network, path, images.astype(dtype))
    model = OnnxModel(path)
    assert model.input_dtype == dtype and model.input_shape == (32, 32, 3)


def test_fractions_of_a_gray_level_count(written):
    network, path, dtype = written
    between = noise(2, network) + np.float32(0.4)
    if dtype == "float32":
        check(network, path, between)
    else:
        with pytest.raises(UsageError, match="type uint8. Received: .*float32"):
            OnnxModel(path).run(between)


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
    assert {each.domain for each in model.graph.node} == {""}  # standard operations alone
    [entry] = model.metadata_props
    assert entry.key == "signature.json" and json.loads(entry.value) == network.description()
    assert OnnxModel(path).description == network.description()


def test_threads_and_seconds(path):
    one = OnnxModel(path, num_threads=1)
    assert one._session.get_session_options().intra_op_num_threads == 1
    seconds = one.seconds_per_call(4)
    assert len(seconds) == 4 and min(seconds) > 0
    assert one.runtime.startswith("onnxruntime ")
    for wrong in (0, -1, 1.5, "two"):
        with pytest.raises(UsageError, match="num_threads"):
            OnnxModel(path, num_threads=wrong)


@pytest.mark.parametrize("shape", [(2, 31, 32, 3), (2, 32, 32, 1), (32, 32, 3), (0,)])
def test_wrong_image_size(path, shape):
    with pytest.raises(UsageError) as caught:
        OnnxModel(path).run(np.zeros(shape, np.uint8))
    assert "[N, 32, 32, 3]" in str(caught.value) and str(list(shape)) in str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_damaged_files(path, tmp_path, kept):
    contents = path.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(contents[: int(kept * len(contents))])
    with pytest.raises(UserError, match=r"cut.onnx (cannot be read as|is not a network)"):
        OnnxModel(tmp_path / "cut.onnx")


def test_other_files(packages, tmp_path):
    (tmp_path / "text.onnx").write_text("<html>no network</html>")
    with pytest.raises(UserError, match="text.onnx cannot be read as an ONNX file"):
        OnnxModel(tmp_path / "text.onnx")
    for missing in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(UserError, match="There is no ONNX file at"):
            OnnxModel(missing)


def rename(model, old):
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["foreign" if name == old else name for name in names]
    for value in (*model.graph.input, *model.graph.output):
        value.name = "foreign" if value.name == old else value.name


def set_size(model, axis, **size):
    dimension = model.graph.input[0].type.tensor_type.shape.dim[axis]
    dimension.CopyFrom(type(dimension)(**size))


FOREIGN = {
    "name of the input": lambda model: rename(model, "image"),
    "name of an output": lambda model: rename(model, "probabilities"),
    "free height": lambda model: set_size(model, 1, dim_param="H"),
    "free channels": lambda model: set_size(model, 3, dim_param="C"),
}


@pytest.mark.parametrize("changed", FOREIGN)
def test_a_foreign_network(path, packages, tmp_path, changed):
    model = packages[0].load(path)
    FOREIGN[changed](model)
    del model.graph.value_info[:]
    packages[0].save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match="not a network that was exported here.*It takes"):
        OnnxModel(tmp_path / "foreign.onnx")


def test_a_file_without_description(path, packages, tmp_path):
    model = packages[0].load(path)
    del model.metadata_props[:]
    packages[0].save(model, tmp_path / "bare.onnx")
    assert OnnxModel(tmp_path / "bare.onnx").description is None


def test_what_cannot_be_converted(packages, tmp_path):
    network = trained(tmp_path / "run", "cifar_v2")
    model = keras_alexnet.build("cifar_v2", activation=tf.math.lgamma)
    with pytest.raises(UserError, match="cannot convert .* to ONNX: .*Lgamma"):
        onnx.write(dataclasses.replace(network, model=model), tmp_path / "network.onnx")
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize("name", ["onnx", "tf2onnx", "onnxruntime"])
def test_without_the_packages(name, tmp_path, monkeypatch):
    network = trained(tmp_path / "run", "cifar_v2")
    for other in {"onnx", "tf2onnx", "tf2onnx.convert", "onnxruntime"} - {name}:
        monkeypatch.setitem(sys.modules, other, sys)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=f"package {name}, .* pip install onnx"):
        if name == "onnxruntime":
            OnnxModel(tmp_path / "network.onnx")
        else:
            onnx.write(network, tmp_path / "network.onnx")
