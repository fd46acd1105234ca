"""Writes nested dicts as the flatbuffer of standard TFLite metadata.

The schema is `metadata_schema.fbs`, version 1.5.0, in github.com/google-ai-edge/mediapipe.
"""

import flatbuffers
import numpy as np

_IDENTIFIER = b"M001"

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


def flatbuffer(values: dict) -> bytes:
    """A `ModelMetadata` and all below it.

    Args:
        values: name of a field → its value. A table is a dict, a union a pair of its type's name
            and its table; fields left out have the schema's defaults.

    Raises:
        KeyError: for a field that is not among those listed here.

    Example:
        >>> flatbuffer({"name": "cifar_v2"})[4:8]
        b'M001'
    """
    builder = flatbuffers.Builder()
    builder.Finish(_table(builder, "ModelMetadata", values), _IDENTIFIER)
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
