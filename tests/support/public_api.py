"""The public names of the package as text: signatures, and fields of configs with defaults.

`python -m tests.support.public_api` writes it to tests/public_api.txt.
"""

import dataclasses
import inspect
import pathlib
import re
import types
from collections.abc import Iterator
from typing import Any

import keras_alexnet
from keras_alexnet.training.recipe import Recipe

FILE = pathlib.Path(__file__).parents[1] / "public_api.txt"
COMMAND = "python -m tests.support.public_api"


def as_text() -> str:
    """Returns a line for each public name, with its members indented below."""
    lines = [line for name in sorted(keras_alexnet.__all__) for line in _described(name)]
    lines += _indented("training.recipe.Recipe", Recipe, indent="")  # its fields are flags too
    return "".join(f"{_without_modules(line)}\n" for line in lines)


def _described(name: str) -> Iterator[str]:
    value = getattr(keras_alexnet, name)
    if isinstance(value, types.ModuleType):
        yield f"{name}: module"
        for member in _members_of_module(value):
            yield from _indented(f"{name}.{member}", getattr(value, member))
    else:
        yield from _indented(name, value, indent="")


def _indented(name: str, value: Any, indent: str = "  ") -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"{indent}class {name}({bases})"
        yield from (f"{indent}  {line}" for line in _of_class(value))
    elif callable(value):
        yield f"{indent}{name}{_signature(value)}"
    elif isinstance(value, types.ModuleType):
        yield f"{indent}{name}: module"
    else:
        yield f"{indent}{name}: {type(value).__name__}"


def _of_class(value: type) -> Iterator[str]:
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name.startswith("_"):
                continue
            kind = (
                field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
            )
            default = ""
            if field.default is not dataclasses.MISSING:
                default = f" = {field.default!r}"
            elif field.default_factory is not dataclasses.MISSING:
                default = f" = {field.default_factory.__name__}()"
            yield f"{field.name}: {kind}{default}"
    elif value.__init__ is not object.__init__ and "__init__" in vars(value):
        yield f"__init__{_signature(value.__init__)}"
    for name, member in sorted(vars(value).items()):
        if name.startswith("_") or name in getattr(value, "__dataclass_fields__", {}):
            continue
        if isinstance(member, (classmethod, staticmethod)):
            yield f"{name}{_signature(member.__func__)}"
        elif inspect.isfunction(member):
            yield f"{name}{_signature(member)}"
        else:
            yield f"{name}: property"


def _members_of_module(module: types.ModuleType) -> list[str]:
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
        ]
    return sorted(name for name in names if not name.startswith("_"))


def _signature(function: Any) -> str:
    return re.sub(r" at 0x\w+", "", str(inspect.signature(function)))


def _without_modules(line: str) -> str:
    """Types and signatures without the modules of types, which are not part of the API."""
    name, colon, rest = re.match(r"(\s*(?:class )?[\w.]+)([:(]?)(.*)", line).groups()
    return name + colon + re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", rest)


if __name__ == "__main__":
    FILE.write_text(as_text(), encoding="utf-8")
