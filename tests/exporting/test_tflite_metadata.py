"""The metadata, labels and description inside a TFLite file."""

import io
import json
import zipfile

import flatbuffers
import flatbuffers.table
import numpy as np
import pytest
from flatbuffers import number_types
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_alexnet.exporting import tflite_metadata
from keras_alexnet.exporting.formats import tflite
from keras_alexnet.runtimes.litert import LiteModel
from keras_alexnet.utils import tensorflow_private
from support.exports import noise, trained
from support.mutations import SEARCH

schema = tensorflow_private.tflite_schema()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(
        tmp_path_factory.mktemp("run"), "cifar_v2", ["cat", "dog", "owl", "élan"], num_classes=4
    )


@pytest.fixture(scope="module")
def contents(network):
    return tflite.convert(network, "int8", calibration=noise(2, network))


def metadata_of(contents) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(contents)
    [entry] = [entry for entry in model.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(model.buffers[entry.buffer].data)


class Table:
    """A table of any flatbuffer, its fields by their numbers in the schema."""

    def __init__(self, data: bytes, place: int | None = None):
        if place is None:
            place = flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
        self._table = flatbuffers.table.Table(data, place)

    def _place(self, number):
        return self._table.Offset(4 + 2 * number) + self._table.Pos

    def has(self, number):
        return bool(self._table.Offset(4 + 2 * number))

    def text(self, number):
        return self._table.String(self._place(number)).decode()

    def number(self, number, flags=number_types.Uint8Flags):
        return self._table.Get(flags, self._place(number))

    def wide(self, number):
        return self.number(number, number_types.Uint32Flags)

    def child(self, number):
        return Table(self._table.Bytes, self._table.Indirect(self._place(number)))

    def children(self, number):
        start, length = self._vector(number)
        places = [self._table.Indirect(start + 4 * index) for index in range(length)]
        return [Table(self._table.Bytes, place) for place in places]

    def floats(self, number):
        start, length = self._vector(number)
        return list(np.frombuffer(self._table.Bytes, "<f4", length, start))

    def _vector(self, number):
        offset = self._table.Offset(4 + 2 * number)
        return self._table.Vector(offset), self._table.VectorLen(offset)


def test_standard_metadata(contents):
    data = metadata_of(contents)
    assert data[4:8] == b"M001"
    model = Table(data)
    assert model.text(0) == "cifar_v2" and "4 classes, computed in int8" in model.text(1)
    assert "Apache-2.0" in model.text(5)
    [described] = model.children(6)
    assert described.text(0) == "signature.json"
    [graph] = model.children(3)
    [image] = graph.children(2)
    assert image.text(0) == "image" and "uint8 [N, 32, 32, 3]" in image.text(1)
    content = image.child(3)
    properties = content.child(1)
    assert content.number(0) == 2 and properties.number(0) == 1  # an image, RGB
    size = properties.child(1)
    assert [size.wide(each) for each in (0, 1)] == [32, 32]
    [unit] = image.children(4)
    assert unit.number(0) == 1  # normalization
    assert unit.child(1).floats(0) == [0] and unit.child(1).floats(1) == [1]
    assert image.child(5).floats(0) == [255] and image.child(5).floats(1) == [0]
    outputs = graph.children(3)
    converted = schema.ModelT.InitFromPackedBuf(contents)
    names = {each.tensorIndex: each.name.decode() for each in converted.signatureDefs[0].outputs}
    assert [each.text(0) for each in outputs] == [
        names[index] for index in converted.subgraphs[0].outputs
    ]
    for output in outputs:
        [labels] = output.children(6)
        assert labels.text(0) == "labels.txt" and labels.number(2) == 2


def test_associated_files(network, contents):
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        assert archive.testzip() is None
        files = {info.filename: info.compress_type for info in archive.infolist()}
        assert files == {"labels.txt": zipfile.ZIP_STORED, "signature.json": zipfile.ZIP_STORED}
        assert archive.read("labels.txt").decode() == "cat\ndog\nowl\nélan\n"
        assert json.loads(archive.read("signature.json")) == network.description()


def test_mediapipe_displays_the_metadata(contents):
    metadata = pytest.importorskip(
        "mediapipe.tasks.python.metadata.metadata",
        reason="no mediapipe with its metadata library (0.10 has it)",
        exc_type=ImportError,
    )
    shown = metadata.MetadataDisplayer.with_model_buffer(contents)
    values = json.loads(shown.get_metadata_json())
    [graph] = values["subgraph_metadata"]
    [image] = graph["input_tensor_metadata"]
    assert image["content"]["content_properties"]["color_space"] == "RGB"
    assert image["process_units"][0]["options"] == {"mean": [0.0], "std": [1.0]}
    assert graph["output_tensor_metadata"][0]["associated_files"][0]["name"] == "labels.txt"
    assert shown.get_packed_associated_file_list() == ["labels.txt", "signature.json"]
    assert shown.get_associated_file_buffer("labels.txt").decode() == "cat\ndog\nowl\nélan\n"


def test_mediapipe_classifies(network, contents):
    mediapipe = pytest.importorskip("mediapipe", exc_type=ImportError)
    from mediapipe.tasks import python as tasks

    images = noise(2, network)
    options = tasks.vision.ImageClassifierOptions(
        base_options=tasks.BaseOptions(model_asset_buffer=contents)
    )
    with tasks.vision.ImageClassifier.create_from_options(options) as classifier:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=images[0])
        heads = {head.head_name: head for head in classifier.classify(image).classifications}
    wanted = LiteModel(contents).run(images[:1])["probabilities"][0]
    found = {each.category_name: each.score for each in heads["probabilities"].categories}
    assert found == pytest.approx(dict(zip(network.labels, wanted, strict=True)), abs=1e-5)


# Written tables ----------------------------------------------------------------------------------
TEXT = st.text(max_size=20)
FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=5)
FILE = st.fixed_dictionaries(
    {}, optional={"name": TEXT, "description": TEXT, "type": st.integers(1, 127)}
)
SIZE = st.fixed_dictionaries(
    {}, optional={"width": st.integers(1, 2**32 - 1), "height": st.integers(1, 2**32 - 1)}
)
IMAGE = st.fixed_dictionaries(
    {}, optional={"color_space": st.integers(1, 127), "default_size": SIZE}
)
UNION = st.one_of(
    st.tuples(st.just("ImageProperties"), IMAGE),
    st.tuples(st.just("FeatureProperties"), st.just({})),
)
NORMALIZATION = st.tuples(
    st.just("NormalizationOptions"), st.fixed_dictionaries({"mean": FLOATS, "std": FLOATS})
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT,
        "description": TEXT,
        "content": st.fixed_dictionaries({"content_properties": UNION}),
        "process_units": st.lists(st.fixed_dictionaries({"options": NORMALIZATION}), max_size=3),
        "stats": st.fixed_dictionaries({"max": FLOATS, "min": FLOATS}),
        "associated_files": st.lists(FILE, max_size=3),
    },
)
GRAPH = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT,
        "input_tensor_metadata": st.lists(TENSOR, max_size=2),
        "output_tensor_metadata": st.lists(TENSOR, max_size=2),
    },
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXT,
        "description": TEXT,
        "version": TEXT,
        "subgraph_metadata": st.lists(GRAPH, max_size=2),
        "author": TEXT,
        "license": TEXT,
        "associated_files": st.lists(FILE, max_size=3),
        "min_parser_version": TEXT,
    },
)

# How each table is read: name of a field → its number in metadata_schema.fbs, and how.
FILES = ("children", {"name": (0, "text"), "description": (1, "text"), "type": (2, "number")})
SIZES = ("child", {"width": (0, "wide"), "height": (1, "wide")})
PROPERTIES = {
    1: ("FeatureProperties", {}),
    2: ("ImageProperties", {"color_space": (0, "number"), "default_size": (1, SIZES)}),
}
OPTIONS = {1: ("NormalizationOptions", {"mean": (0, "floats"), "std": (1, "floats")})}
TENSORS = (
    "children",
    {
        "name": (0, "text"),
        "description": (1, "text"),
        "content": (3, ("child", {"content_properties": (1, ("union", PROPERTIES))})),
        "process_units": (4, ("children", {"options": (1, ("union", OPTIONS))})),
        "stats": (5, ("child", {"max": (0, "floats"), "min": (1, "floats")})),
        "associated_files": (6, FILES),
    },
)
GRAPHS = {
    "name": (0, "text"),
    "input_tensor_metadata": (2, TENSORS),
    "output_tensor_metadata": (3, TENSORS),
}
MODEL = {
    "name": (0, "text"),
    "description": (1, "text"),
    "version": (2, "text"),
    "subgraph_metadata": (3, ("children", GRAPHS)),
    "author": (4, "text"),
    "license": (5, "text"),
    "associated_files": (6, FILES),
    "min_parser_version": (7, "text"),
}


def read(table: Table, fields: dict) -> dict:
    """Everything that a table holds, in the form that `flatbuffer` takes."""
    return {
        name: _value(table, number, how)
        for name, (number, how) in fields.items()
        if table.has(number)
    }


def _value(table: Table, number: int, how):
    if isinstance(how, str):
        return getattr(table, how)(number)
    how, fields = how
    if how == "children":
        return [read(each, fields) for each in table.children(number)]
    if how == "child":
        return read(table.child(number), fields)
    kind, fields = fields[table.number(number - 1)]
    return kind, read(table.child(number), fields)


@settings(SEARCH, max_examples=150)
@given(METADATA)
def test_what_is_written_is_read_back(values):
    data = tflite_metadata.flatbuffer(values)
    assert data[4:8] == b"M001"
    assert read(Table(data), MODEL) == values


def test_unknown_fields_are_errors():
    with pytest.raises(KeyError, match="colour"):
        tflite_metadata.flatbuffer({"colour": "red"})
