"""Parquet and HDF5 files, made of the arrays of layers a piece at a time."""

import importlib.util
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_alexnet.errors import UserError

_PACKAGES = {"parquet": "pyarrow", "hdf5": "h5py"}
_PIECE = 2**25  # bytes of one layer that are in memory at once, and in one group of rows


def check_installed(format: str) -> None:
    """Checks that the package that writes a format is installed.

    Raises:
        UserError: it is not.
    """
    package = _PACKAGES.get(format)
    if package is not None and importlib.util.find_spec(package) is None:
        raise UserError(
            f"format={format} needs the package {package}: pip install {package}. The format npy "
            "needs nothing."
        )


def write(
    format: str,
    folder: pathlib.Path,
    arrays: Mapping[str, np.ndarray],
    images: Sequence[tuple[str, str]],
) -> str:
    """Writes features.parquet or features.h5.

    Args:
        format: "parquet" or "hdf5".
        folder: where to write.
        arrays: name of a layer → its outputs, memory-mapped.
        images: name and SHA-256 of each row.

    Returns:
        The name of the file.
    """
    if format == "parquet":
        return _parquet(folder / "features.parquet", arrays, images)
    return _hdf5(folder / "features.h5", arrays, images)


def _parquet(
    path: pathlib.Path, arrays: Mapping[str, np.ndarray], images: Sequence[tuple[str, str]]
) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    columns = [pa.field("image", pa.string()), pa.field("sha256", pa.string())]
    for name, array in arrays.items():
        shape = {"shape": json.dumps(array.shape[1:])}
        columns.append(pa.field(name, pa.list_(pa.float32(), _size(array)), metadata=shape))
    schema = pa.schema(columns)
    with parquet.ParquetWriter(path, schema) as writer:
        for piece in _pieces(arrays):
            named: list[Any] = [pa.array(texts) for texts in zip(*images[piece], strict=True)]
            for array in arrays.values():
                values = pa.array(np.ascontiguousarray(array[piece]).ravel())
                named.append(pa.FixedSizeListArray.from_arrays(values, _size(array)))
            writer.write_table(pa.Table.from_arrays(named, schema=schema))
    return path.name


def _hdf5(
    path: pathlib.Path, arrays: Mapping[str, np.ndarray], images: Sequence[tuple[str, str]]
) -> str:
    import h5py

    with h5py.File(path, "w") as file:
        for number, column in enumerate(("image", "sha256")):
            texts = [each[number] for each in images]
            file.create_dataset(column, data=np.array(texts, object), dtype=h5py.string_dtype())
        for name, array in arrays.items():
            written = file.create_dataset(name, array.shape, np.float32)
            for piece in _pieces({name: array}):
                written[piece] = array[piece]
    return path.name


def _pieces(arrays: Mapping[str, np.ndarray]) -> Iterator[slice]:
    """Yields slices of rows, in order, of which no array has too much."""
    rows = len(next(iter(arrays.values())))
    step = max(1, _PIECE // (4 * max(map(_size, arrays.values()))))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _size(array: np.ndarray) -> int:
    """The number of values of one image."""
    return int(np.prod(array.shape[1:]))
