"""The metadata, labels and description inside a TFLite file."""

import io
import json
import zipfile
from typing import Any

import flatbuffers
import numpy as np

from keras_alexnet import __version__, run_folder
from keras_alexnet.exporting.tflite_file import forget_free_axes, serialized
from keras_alexnet.run_folder import DESCRIPTION
from keras_alexnet.runtimes.litert import METADATA
from keras_alexnet.trained import TrainedNetwork
from keras_alexnet.utils import tensorflow_private

schema = tensorflow_private.tflite_schema()

_RGB = 1

_DESCRIPTIONS, _TENSOR_AXIS_LABELS = 1, 2  # types of associated files

_OUTPUTS = {  # in the order of the file
    "probabilities": ("Softmax of the logits: one probability per class.", (0, 1)),
    "logits": ("One number per class, in class order.", None),
}

_ARITHMETIC = {
    "float32": "float32",
    "float16": "float32 on float16 weights",
    "dynamic": "int8 with activations quantized at run time",
    "int8": "int8",
}


def packed(contents: bytes, network: TrainedNetwork, quantization: str, input_dtype: str) -> bytes:
    """Adds the standard metadata, labels.txt and `signature.json` to a converted model.

    Args:
        contents: a TFLite file with the signature that `tflite.convert` describes.
        network: the network that was converted.
        quantization: as in `tflite.convert`.
        input_dtype: "uint8" or "float32", the type of the pixels.

    Returns:
        The contents of the whole file.
    """
    model = schema.ModelT.InitFromPackedBuf(contents)
    _sort_outputs(model)
    values = _values(network, quantization, input_dtype, _output_names(model))
    _add(model, flatbuffer(values))
    forget_free_axes(model)
    labels = "".join(f"{label}\n" for label in network.labels)
    description = json.dumps(network.description(), indent=2, ensure_ascii=False)
    return _with_files(serialized(model), {run_folder.LABELS: labels, DESCRIPTION: description})


def _sort_outputs(model: Any) -> None:
    """Puts the probabilities first: programs that know no names, as MediaPipe's, take that output.

    Maps of layers come last. The order of the signature must be that of the graph.
    """
    [signature], [graph] = model.signatureDefs, model.subgraphs
    order = {name: place for place, name in enumerate(_OUTPUTS)}
    signature.outputs = sorted(
        signature.outputs, key=lambda each: order.get(each.name.decode(), len(order))
    )
    graph.outputs = np.array([each.tensorIndex for each in signature.outputs], np.int32)


def _output_names(model: Any) -> list[str]:
    """Returns the names of the outputs, in order."""
    return [each.name.decode() for each in model.signatureDefs[0].outputs]


def _values(
    network: TrainedNetwork, quantization: str, input_dtype: str, outputs: list[str]
) -> dict[str, Any]:
    """Returns the metadata as nested dicts, one for each table."""
    height, width, channels = network.input_shape
    labels = {
        "name": run_folder.LABELS,
        "description": "The classes in order, one per line.",
        "type": _TENSOR_AXIS_LABELS,
    }
    image = {
        "name": "image",
        "description": f"RGB pixels 0–255, {input_dtype} [N, {height}, {width}, {channels}], "
        "N free. The model standardizes them itself.",
        "content": _content(
            "ImageProperties",
            {"color_space": _RGB, "default_size": {"width": width, "height": height}},
        ),
        # This tells readers that standardize images before the model to leave pixels unchanged.
        "process_units": [{"options": ("NormalizationOptions", {"mean": [0], "std": [1]})}],
        "stats": {"max": [255], "min": [0]},
    }
    return {
        "name": network.variant,
        "description": f"An image classifier of keras_alexnet with {len(network.labels)} classes, "
        f"computed in {_ARITHMETIC[quantization]}.",
        "version": __version__,
        "author": "keras_alexnet",
        "license": "Apache-2.0; the terms of the training data apply as well.",
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
                "output_tensor_metadata": [
                    _output(name, labels) if name in _OUTPUTS else _layer(name) for name in outputs
                ],
            }
        ],
    }


def _output(name: str, labels: dict[str, Any]) -> dict[str, Any]:
    description, limits = _OUTPUTS[name]
    stats = {"stats": {"max": [limits[1]], "min": [limits[0]]}} if limits else {}
    return {
        "name": name,
        "description": description,
        "content": _content("FeatureProperties", {}),
        "associated_files": [labels],
        **stats,
    }


def _layer(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"What the layer {name} puts out."}


def _content(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"content_properties": (kind, properties)}


def _add(model: Any, metadata: bytes) -> None:
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = METADATA, len(model.buffers)
    buffer.data = np.frombuffer(metadata, np.uint8)
    model.metadata.append(entry)
    model.buffers.append(buffer)


def _with_files(model: bytes, texts: dict[str, str]) -> bytes:
    whole = io.BytesIO(model)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            # ZipInfo's date is fixed, so that the same network gives the same file.
            archive.writestr(zipfile.ZipInfo(name), text.encode())
    return whole.getvalue()


_IDENTIFIER = b"M001"

# The tables that are written: name of a field → its number in the schema, its kind, and the kind
# of the tables that it holds. A union has two numbers, one for its type and the next for its table.
_STRING, _BYTE, _UINT, _FLOATS, _TABLE, _TABLES, _UNION = range(7)

_FIELDS: dict[str, dict[str, tuple[Any, ...]]] = {
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


def flatbuffer(values: dict[str, Any]) -> bytes:
    """Writes a `ModelMetadata` table and everything below it.

    Args:
        values: name of a field → its value. A table is a dict, a union a pair of its type's name
            and its table. Omitted fields have the schema's defaults.

    Raises:
        KeyError: if this module does not know a field.

    Example:
        >>> flatbuffer({"name": "cifar_v2"})[4:8]
        b'M001'
    """
    builder = flatbuffers.Builder()
    builder.Finish(_table(builder, "ModelMetadata", values), _IDENTIFIER)
    return bytes(builder.Output())


def _table(builder: flatbuffers.Builder, kind: str, values: dict[str, Any]) -> int:
    """Writes a table and everything below it, and returns its offset."""
    fields = {name: _FIELDS[kind][name] for name in values}
    # A flatbuffer is written from its end, so what a table refers to is written before it.
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


def _child(builder: flatbuffers.Builder, field: tuple[Any, ...], value: Any) -> int | None:
    """Writes what a table refers to, and returns its offset; None for numbers in the table."""
    how, kind = field[1], field[-1]
    if how == _STRING:
        return builder.CreateString(value)
    if how == _FLOATS:
        return builder.CreateNumpyVector(np.asarray(value, np.float32))
    if how == _TABLE:
        return _table(builder, kind, value)
    if how == _UNION:
        return _table(builder, *value)
    if how == _TABLES:
        places = [_table(builder, kind, each) for each in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    return None
