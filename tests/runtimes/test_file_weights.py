"""The float weights of TFLite and ONNX files are read in memory that the files' sizes bound."""

import functools
import importlib
import importlib.util
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_alexnet.exporting import tflite_file
from keras_alexnet.exporting.formats import tflite
from keras_alexnet.networks.image_plan import ImagePlan
from keras_alexnet.runtimes import onnx_weights, tflite_weights
from keras_alexnet.utils import tensorflow_private
from support.exports import transparent
from support.mutations import SEARCH, damaged

VALUES = np.float32([0.5, -np.inf, 2])


def read(floats, contents):
    """What is read of a file, or None if it is refused; memory is bounded either way."""
    tracemalloc.start()
    try:
        return {name: array.copy() for name, array in floats(contents)}
    except Exception:  # which the runtime's class explains
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000 + 100 * len(contents)


@pytest.fixture(scope="module")
def lite():
    return tflite.convert(transparent(ImagePlan(2, 2, 0, 2)), "float32")


@SEARCH
@given(st.data())
def test_damaged_tflite_files(lite, data):
    read(tflite_weights.floats, data.draw(damaged(lite)))


def lite_with(kind, contents, tensors=1):
    """A TFLite file of tensors that all have the same buffer."""
    schema = tensorflow_private.tflite_schema()
    model, graph, buffer = schema.ModelT(), schema.SubGraphT(), schema.BufferT()
    buffer.data = np.frombuffer(contents, np.uint8)
    graph.tensors = []
    for number in range(tensors):
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.buffer = f"w{number}", kind, 1
        graph.tensors.append(tensor)
    model.subgraphs, model.buffers = [graph], [schema.BufferT(), buffer]
    return tflite_file.serialized(model)


def bfloat16(values):
    return (values.view(np.uint32) >> 16).astype(np.uint16)


@pytest.mark.parametrize(
    ("kind", "contents"),
    [
        (0, VALUES.tobytes()),
        (1, VALUES.astype(np.float16).tobytes()),
        (10, VALUES.astype(np.float64).tobytes()),
        (18, bfloat16(VALUES).tobytes()),
    ],
)
def test_every_float_type_of_tflite(kind, contents):
    [(name, found)] = tflite_weights.floats(lite_with(kind, contents))
    assert name == "w0" and found.tolist() == VALUES.tolist()


def test_bytes_that_many_tensors_share_are_not_read_for_each():
    contents = lite_with(0, bytes(2**20), tensors=20_000)
    started = time.monotonic()
    with pytest.raises(ValueError, match="claim more bytes than it has"):
        for _ in tflite_weights.floats(contents):
            pass
    assert time.monotonic() - started < 2


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="the package onnx writes them")
class TestOnnx:
    @functools.cached_property
    def onnx(self):
        return importlib.import_module("onnx")

    def model(self, *tensors, node=None):
        helper = self.onnx.helper
        graph = helper.make_graph([node] if node else [], "g", [], [], tensors)
        return helper.make_model(graph)

    @pytest.mark.parametrize("kind", ["FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16"])
    @pytest.mark.parametrize("raw", [True, False])
    def test_every_float_type(self, kind, raw):
        number = getattr(self.onnx.TensorProto, kind)
        values = VALUES
        if raw:
            dtype = {"FLOAT": "f4", "FLOAT16": "f2", "DOUBLE": "f8", "BFLOAT16": None}[kind]
            array = bfloat16(VALUES) if dtype is None else VALUES.astype(dtype)
            values = array.tobytes()
        tensor = self.onnx.helper.make_tensor("w", number, [3], values, raw=raw)
        [(name, found)] = onnx_weights.floats(self.model(tensor).SerializeToString())
        assert name == "w" and found.tolist() == VALUES.tolist()

    def test_constants_inside_loops(self):
        helper = self.onnx.helper
        tensor = helper.make_tensor("deep", 1, [3], VALUES)
        constant = helper.make_node("Constant", [], ["c"], value=tensor)
        inner = helper.make_graph([constant], "inner", [], [])
        branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
        found = dict(onnx_weights.floats(self.model(node=branch).SerializeToString()))
        assert found["deep"].tolist() == VALUES.tolist()

    def test_weights_in_other_files_are_refused(self):
        tensor = self.onnx.helper.make_tensor("w", 1, [3], VALUES)
        self.onnx.external_data_helper.set_external_data(
            _raw(tensor), location="../../etc/passwd", length=12
        )
        contents = self.model(tensor).SerializeToString()
        with pytest.raises(ValueError, match="w is in a different file, which exports never need"):
            list(onnx_weights.floats(contents))

    @SEARCH
    @given(st.data())
    def test_damaged_files(self, data):
        whole = self.model(
            self.onnx.helper.make_tensor("w", 1, [3], VALUES),
            self.onnx.helper.make_tensor("h", 10, [3], VALUES),
        )
        read(onnx_weights.floats, data.draw(damaged(whole.SerializeToString())))


def _raw(tensor):
    tensor.raw_data = np.array(tensor.float_data, np.float32).tobytes()
    del tensor.float_data[:]
    return tensor
