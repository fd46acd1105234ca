"""The flatbuffer that a TFLite file is: which operators it has, and how it is written."""

import tempfile
from collections.abc import Iterator

import flatbuffers
import numpy as np

from keras_alexnet.errors import UserError
from keras_alexnet.utils import tensorflow_private

schema = tensorflow_private.tflite_schema()

_IDENTIFIER = b"TFL3"


_BUILTIN = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}


_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")  # between int8 and float: they compute nothing


def float_operators(contents: bytes) -> tuple[str, ...]:
    """The operators of a file that compute in float, each named once, in order.

    Not counted are those that bring numbers from float to int8 and back, and those that multiply
    by int8 weights. In an int8 file there remain LOCAL_RESPONSE_NORMALIZATION, which has no int8
    kernel, and SOFTMAX, which is kept in float on purpose.
    """
    found = {}
    for name, inputs, outputs in _operators(contents):
        in_float = schema.TensorType.FLOAT32 in outputs and schema.TensorType.INT8 not in inputs
        if in_float and name not in _CONVERSIONS:
            found[name] = None
    return tuple(found)


def check_builtin(contents: bytes) -> None:
    """Refuses a file with operators that plain TFLite interpreters lack.

    Raises:
        UserError: with the names of those operators.
    """
    model = schema.Model.GetRootAs(contents)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    foreign = [(code.CustomCode() or b"?").decode() for code in codes if _name(code) == "CUSTOM"]
    if foreign:
        raise UserError(
            "A TFLite file may have builtin operators alone, so that every interpreter runs it. "
            f"Received: {', '.join(foreign)}. Replace the layers that need them."
        )


def check_signature(contents: bytes) -> None:
    """Refuses a file without a signature.

    The converter writes a temporary SavedModel, and when it cannot, it goes on without what that
    would have told it.

    Raises:
        UserError: if there is none.
    """
    if not schema.Model.GetRootAs(contents).SignatureDefsLength():
        raise no_signature()


def no_signature() -> UserError:
    """Returns the error of a converter that has lost the signature on the way."""
    return UserError(
        "TensorFlow's converter made a file without a signature, as it does when it cannot write "
        f"to the temporary folder. Is {tempfile.gettempdir()} full? TMPDIR=… names another."
    )


def serialized(model: schema.ModelT) -> bytes:
    """The contents of the file that holds this model."""
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    # Large enough from the start: growing, it would copy hundreds of megabytes each time.
    builder = _Builder(size + 2**20)
    buffers = model.buffers
    model.buffers = [buffer if buffer.data is None else _Aligned(buffer) for buffer in buffers]
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    model.buffers = buffers
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Writes equal arrays once: scales and zero points of single filters are many, most alike."""

    def __init__(self, size: int):
        super().__init__(size)
        self._places = {}

    def CreateNumpyVector(self, x):
        key = x.dtype.str, x.tobytes()
        if key not in self._places:
            self._places[key] = super().CreateNumpyVector(x)
        return self._places[key]


class _Aligned:
    """A buffer that starts at a multiple of 16 bytes, as TFLite's schema demands.

    The classes generated for Python leave the demand out, and so do the converter's own files.
    """

    def __init__(self, buffer: schema.BufferT):
        self.data = np.asarray(buffer.data, np.uint8)

    def Pack(self, builder: flatbuffers.Builder) -> int:
        builder.StartVector(1, len(self.data), 16)
        builder.head -= len(self.data)
        builder.Bytes[builder.head : builder.head + len(self.data)] = self.data.tobytes()
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def _name(code) -> str:
    # Operators from 127 on are beyond the older field's byte, which then holds 127.
    return _BUILTIN[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]


def _operators(contents: bytes) -> Iterator[tuple[str, list[int], list[int]]]:
    """Name, number types of the inputs and of the outputs of every operator."""
    model = schema.Model.GetRootAs(contents)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            types = [
                [graph.Tensors(index).Type() for index in indices if index >= 0]
                for indices in (operator.InputsAsNumpy(), operator.OutputsAsNumpy())
            ]
            yield _name(model.OperatorCodes(operator.OpcodeIndex())), *types
