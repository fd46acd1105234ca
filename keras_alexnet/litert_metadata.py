"""Reads what a TFLite file of `scripts/export.py` says of itself."""

import io
import json
import mmap
import os
import zipfile

from tensorflow.lite.python import schema_py_generated as schema

from keras_alexnet.errors import UserError

METADATA = "TFLITE_METADATA"  # the standard's name of the model's buffer that names its files
DESCRIPTION = "signature.json"


def name_of(file: str | os.PathLike | bytes) -> str:
    """What messages call a file that is given by its path or its contents."""
    return "The TFLite file" if isinstance(file, bytes) else str(file)


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
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RuntimeError) as error:
        raise UserError(
            f"{name_of(file)} is damaged or cut off: {DESCRIPTION}, which it names, cannot be "
            f"read ({error}). Copy or export it again."
        ) from error


def _promises_description(contents) -> bool:
    model = schema.Model.GetRootAs(contents)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == METADATA.encode():
            return DESCRIPTION.encode() in model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    return False
