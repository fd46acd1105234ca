"""What a TFLite file says of itself: the standard TFLite metadata, and our own description.

The standard puts a flatbuffer of names, descriptions and units of the tensors into the model, and
the files that it names (labels.txt, signature.json) behind the model as an uncompressed zip. The
schema is `metadata_schema.fbs` in github.com/google-ai-edge/mediapipe, version 1.5.0.
"""

import io
import json
import mmap
import os
import zipfile

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from keras_alexnet import runs, variants
from keras_alexnet._version import __version__
from keras_alexnet.errors import UserError
from keras_alexnet.exporting.networks import Network
from keras_alexnet.exporting.saved_model import DESCRIPTION

_METADATA = "TFLITE_METADATA"
_MODEL_IDENTIFIER, _METADATA_IDENTIFIER = b"TFL3", b"M001"

# The fields of each table that is written, in the schema's order, which is what numbers them.
# A union takes two numbers: that of its type, and that of its table.
_STRING, _BYTE, _UINT, _FLOATS, _TABLE, _TABLES, _UNION = range(7)
_FIELDS = {
    "ModelMetadata": {
        "name": (0, _STRING),
        "description": (1, _STRING),
        "version": (2, _STRING),
        "subgraph_metadata": (3, _TABLES, "SubGraphMetadata"),
        "author": (4, _STRING),
        "license": (5, _STRING),
        "associated_files": (6, _TABLES, "AssociatedFile"),
        "min_parser_version": (7, _STRING),
    },
    "SubGraphMetadata": {
        "name": (0, _STRING),
        "input_tensor_metadata": (2, _TABLES, "TensorMetadata"),
        "output_tensor_metadata": (3, _TABLES, "TensorMetadata"),
    },
    "TensorMetadata": {
        "name": (0, _STRING),
        "description": (1, _STRING),
        "content": (3, _TABLE, "Content"),
        "process_units": (4, _TABLES, "ProcessUnit"),
        "stats": (5, _TABLE, "Stats"),
        "associated_files": (6, _TABLES, "AssociatedFile"),
    },
    "AssociatedFile": {"name": (0, _STRING), "description": (1, _STRING), "type": (2, _BYTE)},
    "Content": {"content_properties": (1, _UNION)},
    "ProcessUnit": {"options": (1, _UNION)},
    "FeatureProperties": {},
    "ImageProperties": {"color_space": (0, _BYTE), "default_size": (1, _TABLE, "ImageSize")},
    "ImageSize": {"width": (0, _UINT), "height": (1, _UINT)},
    "NormalizationOptions": {"mean": (0, _FLOATS), "std": (1, _FLOATS)},
    "Stats": {"max": (0, _FLOATS), "min": (1, _FLOATS)},
}
_UNION_TYPES = {"FeatureProperties": 1, "ImageProperties": 2, "NormalizationOptions": 1}
_RGB = 1
_DESCRIPTIONS, _TENSOR_AXIS_LABELS = 1, 2  # types of associated files

_OUTPUTS = {
    "logits": ("One number a class, in class order.", None),
    "probabilities": ("Softmax of the logits: one probability a class.", (0, 1)),
}
_ARITHMETIC = {
    "float32": "float32",
    "float16": "float32 on float16 weights",
    "dynamic": "int8 weights and activations quantised as they come",
    "int8": "int8",
}


def packed(contents: bytes, network: Network, quantization: str, input_dtype: str) -> bytes:
    """Adds metadata, labels and our description to a converted model.

    Args:
        contents: a TFLite file with the signature of `tflite.convert`.
        network: what was converted.
        quantization: how its numbers are held.
        input_dtype: of the pixels.

    Returns:
        The contents of the whole file.
    """
    model = schema.ModelT.InitFromPackedBuf(contents)
    values = _values(network, quantization, input_dtype, _output_names(model))
    _add(model, _flatbuffer(values))
    labels = "".join(f"{label}\n" for label in network.labels)
    description = json.dumps(network.description(), indent=2, ensure_ascii=False)
    return _with_files(_serialized(model), {runs.LABELS: labels, DESCRIPTION: description})


def description_of(file: str | os.PathLike | bytes) -> dict | None:
    """Our description inside a TFLite file, which an interpreter has found to be whole.

    Args:
        file: the file's path or its contents.

    Returns:
        What `Network.description()` gave, or None if the file is not one of ours.

    Raises:
        UserError: if the file names a description and does not hold it, as when its end is lost.
    """
    if isinstance(file, bytes):
        promised = _promises_description(file)
    else:
        with (
            open(file, "rb") as opened,
            mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole,
        ):
            promised = _promises_description(whole)
    if not promised:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file) as archive:
            return json.loads(archive.read(DESCRIPTION))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, NotImplementedError) as error:
        raise UserError(
            f"The TFLite file is damaged or cut off: {DESCRIPTION}, which it names, cannot be read "
            f"({error}). Copy or export it again."
        ) from error


def _promises_description(contents) -> bool:
    model = schema.Model.GetRootAs(contents)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == _METADATA.encode():
            return DESCRIPTION.encode() in model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    return False


def _output_names(model: schema.ModelT) -> list[str]:
    """The signature's names of the outputs, in the order in which the graph has them."""
    names = {output.tensorIndex: output.name.decode() for output in model.signatureDefs[0].outputs}
    return [names[index] for index in model.subgraphs[0].outputs]


def _values(network: Network, quantization: str, input_dtype: str, outputs: list[str]) -> dict:
    """The metadata as nested dicts, one a table."""
    height, width, channels = network.input_shape
    labels = {
        "name": runs.LABELS,
        "description": "The classes, one a line, in order.",
        "type": _TENSOR_AXIS_LABELS,
    }
    image = {
        "name": "image",
        "description": f"RGB pixels 0–255, {input_dtype} [N, {height}, {width}, {channels}], "
        "N free. The model standardises them itself.",
        "content": _content(
            "ImageProperties",
            {"color_space": _RGB, "default_size": {"width": width, "height": height}},
        ),
        # Readers that standardise before the model must leave pixels as they are.
        "process_units": [{"options": ("NormalizationOptions", {"mean": [0], "std": [1]})}],
        "stats": {"max": [255], "min": [0]},
    }
    return {
        "name": network.variant,
        "description": f"{variants.get(network.variant).title}. An image classifier with "
        f"{len(network.labels)} classes, computed in {_ARITHMETIC[quantization]}.",
        "version": __version__,
        "author": "keras_alexnet",
        "license": "Apache-2.0; the terms of the training data hold besides.",
        "min_parser_version": "1.0.0",
        "associated_files": [
            {
                "name": DESCRIPTION,
                "description": "Variant, labels and image plan, as JSON.",
                "type": _DESCRIPTIONS,
            }
        ],
        "subgraph_metadata": [
            {
                "name": "serving_default",
                "input_tensor_metadata": [image],
                "output_tensor_metadata": [_output(name, labels) for name in outputs],
            }
        ],
    }


def _output(name: str, labels: dict) -> dict:
    description, limits = _OUTPUTS[name]
    stats = {"stats": {"max": [limits[1]], "min": [limits[0]]}} if limits else {}
    return {
        "name": name,
        "description": description,
        "content": _content("FeatureProperties", {}),
        "associated_files": [labels],
        **stats,
    }


def _content(kind: str, properties: dict) -> dict:
    return {"content_properties": (kind, properties)}


def _flatbuffer(values: dict) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(_table(builder, "ModelMetadata", values), _METADATA_IDENTIFIER)
    return bytes(builder.Output())


def _table(builder: flatbuffers.Builder, kind: str, values: dict) -> int:
    """Writes one table and all below it; returns its place."""
    fields = {name: _FIELDS[kind][name] for name in values}
    # A flatbuffer is written from its end: what a table points at stands there before it.
    places = {name: _child(builder, fields[name], value) for name, value in values.items()}
    builder.StartObject(1 + max((number for number, *_ in fields.values()), default=-1))
    for name, (number, how, *_) in fields.items():
        if how == _BYTE:
            builder.PrependInt8Slot(number, values[name], 0)
        elif how == _UINT:
            builder.PrependUint32Slot(number, values[name], 0)
        else:
            if how == _UNION:
                builder.PrependUint8Slot(number - 1, _UNION_TYPES[values[name][0]], 0)
            builder.PrependUOffsetTRelativeSlot(number, places[name], 0)
    return builder.EndObject()


def _child(builder: flatbuffers.Builder, field: tuple, value) -> int | None:
    """Writes what a table only points at; returns its place, None for what stands in the table."""
    _, how, *kind = field
    if how == _STRING:
        return builder.CreateString(value)
    if how == _FLOATS:
        return builder.CreateNumpyVector(np.asarray(value, np.float32))
    if how == _TABLE:
        return _table(builder, *kind, value)
    if how == _UNION:
        return _table(builder, *value)
    if how == _TABLES:
        places = [_table(builder, *kind, each) for each in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    return None


class _Buffer:
    """A buffer of the model that starts at a multiple of 16 bytes, as TFLite's schema demands.

    The generated classes of Python leave the demand out, and with them the converter's own files.
    """

    def __init__(self, data: np.ndarray):
        self.data = data

    def Pack(self, builder: flatbuffers.Builder) -> int:
        builder.StartVector(1, len(self.data), 16)
        builder.head -= len(self.data)
        builder.Bytes[builder.head : builder.head + len(self.data)] = self.data.tobytes()
        data = builder.EndVector(len(self.data))
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def _add(model: schema.ModelT, metadata: bytes) -> None:
    entry = schema.MetadataT()
    entry.name, entry.buffer = _METADATA, len(model.buffers)
    model.metadata.append(entry)
    data = schema.BufferT()
    data.data = np.frombuffer(metadata, np.uint8)
    model.buffers.append(data)
    model.buffers = [
        buffer if buffer.data is None else _Buffer(np.asarray(buffer.data, np.uint8))
        for buffer in model.buffers
    ]


def _serialized(model: schema.ModelT) -> bytes:
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    # Large enough from the start: growing, it would copy hundreds of megabytes each time.
    builder = flatbuffers.Builder(size + 2**20)
    builder.Finish(model.Pack(builder), _MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _with_files(model: bytes, texts: dict[str, str]) -> bytes:
    whole = io.BytesIO(model)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            # ZipInfo's date is fixed: the same network gives the same file.
            archive.writestr(zipfile.ZipInfo(name), text.encode())
    return whole.getvalue()
