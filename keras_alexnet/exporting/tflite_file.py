"""The flatbuffer of a TFLite file: operators, signature, serialization."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

import flatbuffers
import numpy as np

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.utils import tensorflow_private

schema = tensorflow_private.tflite_schema()

_IDENTIFIER = b"TFL3"

_BUILTIN = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}

_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # only convert between int8 and float


def float_operators(contents: bytes) -> tuple[str, ...]:
    """Returns the operators of a file that compute in float, each once, in order.

    Operators that convert between float and int8, and those that multiply by int8 weights, are not
    counted. In an int8 file, SOFTMAX and the squares, sums and roots of response normalization,
    which are kept in float deliberately, remain.

    Raises:
        UserError: if the file is damaged.
    """
    found: dict[str, None] = {}
    with _reading(contents) as model:
        for name, inputs, outputs in _operators(model):
            in_float = schema.TensorType.FLOAT32 in outputs and schema.TensorType.INT8 not in inputs
            if in_float and name not in _CONVERSIONS:
                found[name] = None
    return tuple(found)


def operators(contents: bytes) -> list[str]:
    """Returns the names of a file's operators, in order.

    Raises:
        UserError: if the file is damaged.
    """
    with _reading(contents) as model:
        return [name for name, _, _ in _operators(model)]


def check_builtin(contents: bytes) -> None:
    """Checks that a file has only operators that every TFLite interpreter has.

    Raises:
        UserError: if it has others, which the message names, or if it is damaged.
    """
    with _reading(contents) as model:
        codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
        foreign = [
            (code.CustomCode() or b"?").decode() for code in codes if _name(code) == "CUSTOM"
        ]
    if foreign:
        raise UserError(
            "A TFLite file may have only builtin operators, so that every interpreter runs it. "
            f"Received: {', '.join(foreign)}. Replace the layers that need them."
        )


def check_signature(contents: bytes) -> None:
    """Checks that a file has a signature.

    The converter writes a temporary SavedModel; if it cannot, it continues without the signature.

    Raises:
        UserError: if there is none, or the file is damaged.
    """
    with _reading(contents) as model:
        signatures = model.SignatureDefsLength()
    if not signatures:
        raise no_signature()


def no_signature() -> UserError:
    """Returns the error for a file that the converter wrote without a signature."""
    return UserError(
        "TensorFlow's converter made a file without a signature, as it does when it cannot write "
        f"to the temporary folder. Is {tempfile.gettempdir()} full? Set TMPDIR to use "
        "a different one."
    )


def forget_free_axes(model: Any) -> None:
    """Removes from a `ModelT` what says that the batch axis is free; it is free all the same.

    LiteRT.js compares the shape of an input with what is said here, and so would take no input at
    all: "[1,32,32,3] does not match [-1,32,32,3]". Interpreters resize inputs without it.
    """
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None


def serialized(model: Any) -> bytes:
    """Returns the contents of a file that holds `model`, a `ModelT` of TFLite's schema."""
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    # Large enough from the start, because growing it copies hundreds of megabytes each time.
    builder = _Builder(size + 2**20)
    buffers = model.buffers
    model.buffers = [buffer if buffer.data is None else _Aligned(buffer) for buffer in buffers]
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    model.buffers = buffers
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Writes equal arrays once: of the many scales and zero points, most are equal."""

    def __init__(self, size: int):
        super().__init__(size)
        self._places: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:
        key = x.dtype.str, x.tobytes()
        if key not in self._places:
            self._places[key] = super().CreateNumpyVector(x)
        return self._places[key]


class _Aligned:
    """A buffer that starts at a multiple of 16 bytes, as TFLite's schema requires.

    The generated Python classes do not align it, and neither do the converter's own files.
    """

    def __init__(self, buffer: Any):
        self.data = np.asarray(buffer.data, np.uint8)

    def Pack(self, builder: flatbuffers.Builder) -> int:
        builder.StartVector(1, len(self.data), 16)
        builder.head -= len(self.data)
        builder.Bytes[builder.head : builder.head + len(self.data)] = self.data.tobytes()
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


@contextlib.contextmanager
def _reading(contents: bytes) -> Iterator[Any]:
    """Yields the model in a file; errors from damaged offsets become a `UserError`."""
    try:
        yield schema.Model.GetRootAs(contents)
    except Exception as error:
        raise UserError(
            f"The TFLite file is damaged or cut off: {first_line(error)}. Export it again."
        ) from error


def _name(code: Any) -> str:
    # Operators from 127 on do not fit into the byte of the older field, which then holds 127.
    return _BUILTIN[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]


def _operators(model: Any) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yields the name and the number types of the inputs and the outputs of every operator."""
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            inputs, outputs = (
                [graph.Tensors(index).Type() for index in indices if index >= 0]
                for indices in (operator.InputsAsNumpy(), operator.OutputsAsNumpy())
            )
            yield _name(model.OperatorCodes(operator.OpcodeIndex())), inputs, outputs
