"""Classes of protobuf messages from a short description, without a compiled schema."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

# Name of a field, with * if it is repeated; its number; its type, or the name of its message.
Field = tuple[str, int, str]


def message_classes(
    package: str, messages: Mapping[str, Sequence[Field]]
) -> dict[str, type[message.Message]]:
    """Returns the class of each message. Fields that are not described are skipped when reading.

    Args:
        package: a name of its own for this set of messages.
        messages: name of a message → its fields. Repeated numbers are packed; both forms are read.

    Example:
        >>> point = message_classes("doctest", {"Point": [("x", 1, "int32")]})["Point"]
        >>> point(x=3).SerializeToString()
        b'\\x08\\x03'
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto2"
    )
    for name, fields in messages.items():
        described = file.message_type.add(name=name)
        for field, number, kind in fields:
            _describe(described.field.add(), field, number, kind, package, kind in messages)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _describe(
    described: Any, field: str, number: int, kind: str, package: str, is_message: bool
) -> None:
    repeated = field.startswith("*")
    described.name, described.number = field.lstrip("*"), number
    described.label = described.LABEL_REPEATED if repeated else described.LABEL_OPTIONAL
    if is_message:
        described.type, described.type_name = described.TYPE_MESSAGE, f".{package}.{kind}"
        return
    described.type = described.Type.Value(f"TYPE_{kind.upper()}")
    if repeated and kind not in ("bytes", "string"):
        described.options.packed = True
