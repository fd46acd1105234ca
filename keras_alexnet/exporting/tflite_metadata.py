"""What a TFLite file says of itself: the standard TFLite metadata, and our own description.

The standard puts a flatbuffer of names, descriptions and units of the tensors into the model, and
the files that it names (labels.txt, signature.json) behind the model as an uncompressed zip.
"""

import io
import json
import zipfile

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from keras_alexnet import runs
from keras_alexnet._version import __version__
from keras_alexnet.exporting.networks import Network
from keras_alexnet.exporting.tflite_flatbuffer import serialized
from keras_alexnet.exporting.tflite_tables import flatbuffer
from keras_alexnet.litert_metadata import DESCRIPTION, METADATA

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
    _add(model, flatbuffer(values))
    labels = "".join(f"{label}\n" for label in network.labels)
    description = json.dumps(network.description(), indent=2, ensure_ascii=False)
    return _with_files(serialized(model), {runs.LABELS: labels, DESCRIPTION: description})


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
        "description": f"An image classifier of keras_alexnet with {len(network.labels)} classes, "
        f"computed in {_ARITHMETIC[quantization]}.",
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


def _add(model: schema.ModelT, metadata: bytes) -> None:
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = METADATA, len(model.buffers)
    buffer.data = np.frombuffer(metadata, np.uint8)
    model.metadata.append(entry)
    model.buffers.append(buffer)


def _with_files(model: bytes, texts: dict[str, str]) -> bytes:
    whole = io.BytesIO(model)
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            # ZipInfo's date is fixed: the same network gives the same file.
            archive.writestr(zipfile.ZipInfo(name), text.encode())
    return whole.getvalue()
