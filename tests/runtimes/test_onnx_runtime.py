"""ONNX files that are damaged, or not ours."""

import json

import pytest

from keras_alexnet import UserError
from keras_alexnet.exporting.formats import onnx as onnx_format
from keras_alexnet.runtimes.onnx_runtime import OnnxModel
from support.exports import trained

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    pytest.importorskip("tf2onnx")
    folder = tmp_path_factory.mktemp("onnx")
    onnx_format.write(trained(folder, "cifar_v2", num_classes=3), folder / "network.onnx")
    return folder / "network.onnx"


def test_threads_are_those_of_a_call(path, monkeypatch):
    opened, session = [], onnxruntime.InferenceSession

    def spy(file, options, **others):
        opened.append(options.intra_op_num_threads)
        return session(file, options, **others)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    OnnxModel(path, num_threads=1)
    OnnxModel(path)
    assert opened == [1, 0]


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_damaged_files(path, tmp_path, kept):
    contents = path.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(contents[: int(kept * len(contents))])
    with pytest.raises(UserError, match=r"cut.onnx (cannot be read as|was not exported by)"):
        OnnxModel(tmp_path / "cut.onnx")


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
def test_a_foreign_network(path, tmp_path, changed):
    model = onnx.load(path)
    FOREIGN[changed](model)
    del model.graph.value_info[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match="was not exported by keras_alexnet.* Received: the inputs"):
        OnnxModel(tmp_path / "foreign.onnx")


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_a_damaged_description(path, tmp_path, text):
    model = onnx.load(path)
    model.metadata_props[0].value = text
    onnx.save(model, tmp_path / "damaged.onnx")
    with pytest.raises(UserError, match="signature.json in .*damaged.onnx is damaged: "):
        OnnxModel(tmp_path / "damaged.onnx")


def test_a_file_without_description(path, tmp_path):
    model = onnx.load(path)
    assert json.loads(model.metadata_props[0].value)["variant"] == "cifar_v2"
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    assert OnnxModel(tmp_path / "bare.onnx").description is None
