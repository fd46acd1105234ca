"""Command-line flags: made from the fields of configs, or defined one by one."""

import argparse
import dataclasses
import difflib
import os
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from keras_alexnet.data.readers import list_datasets
from keras_alexnet.errors import UsageError, unknown_name
from keras_alexnet.networks.variants import list_variants
from keras_alexnet.utils import arguments as checks
from keras_alexnet.utils.text import printable
from keras_alexnet.utils.values import Range, one_of

_METAVARS = {int: "N", float: "X", str: "VALUE", os.PathLike: "PATH"}
# Fields whose values are names in a registry.
_NAMES = {"variant": list_variants, "dataset": list_datasets}
_FEW = 5  # choices that are shown in place of a value
# Short flags resemble too many; --batch_size and --global_batch_size are alike enough.
_GUESSED_LENGTH, _GUESSED_LIKENESS = 6, 0.75


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and a hint.

    Attributes:
        trailing: name of a positional argument whose values may also follow flags.
    """

    trailing: str | None = None

    def __init__(self, *arguments: Any, **options: Any):
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **options)
        self.add_argument(
            "--traceback",
            action="store_true",
            default=argparse.SUPPRESS,
            help="Show the traceback of an error.",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses leftover arguments here, so that the message names the right command."""
        found, rest = super().parse_known_args(args, namespace)
        if self.trailing is not None:
            values = [value for value in rest if not value.startswith("-")]
            getattr(found, self.trailing).extend(values)
            rest = [value for value in rest if value.startswith("-")]
        if rest:
            self.error(f"unknown arguments: {' '.join(rest)}{self._hint(rest)}")
        return found, rest

    def _hint(self, unknown: Iterable[str]) -> str:
        """Names the flags that are most like those that are unknown."""
        flags = [argument.partition("=")[0] for argument in unknown if argument.startswith("--")]
        known, near = list(self._option_string_actions), []
        for flag in flags:
            if len(flag) >= _GUESSED_LENGTH:
                near.extend(difflib.get_close_matches(flag, known, n=1, cutoff=_GUESSED_LIKENESS))
        return f". Did you mean {' '.join(dict.fromkeys(near))}?" if near else ""

    def error(self, message: str) -> typing.NoReturn:
        """Prints the message and exits with code 2."""
        self.exit(2, f"{self.prog}: {printable(message)}\n{self.prog} --help lists the flags.\n")


class _Switch(argparse.Action):
    """--name sets True, --no-name sets False."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any):
        self._on = option_strings[0]
        off = self._on.replace("--", "--no-", 1)
        super().__init__([self._on, off], dest, nargs=0, **options)

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        setattr(namespace, self.dest, option_string == self._on)


def add_flag(
    group: Any,
    name: str,
    kind: type,
    help_text: str,
    *,
    default: Any = None,
    choices: Sequence[Any] | None = None,
    several: bool = False,
    required: bool = False,
    may_be_empty: bool = False,
    allowed: Range = Range(),  # noqa: B008
) -> None:
    """Adds the flag `--name` to a parser or to a group of one.

    Args:
        group: the parser or group.
        name: name of the flag, and of its value in the parsed arguments.
        kind: bool, int, float, str, or os.PathLike for a path.
        help_text: what `--help` says; choices and default are added to it.
        default: value if the flag is not given.
        choices: the only values allowed.
        several: whether the value is a tuple, typed as a list separated by commas.
        required: whether the flag must be given.
        may_be_empty: whether a text may be empty.
        allowed: the range of a number.
    """
    metavar = "A,B,..." if several else _METAVARS.get(kind)
    text = help_text
    if choices is not None and not several and len(choices) <= _FEW:
        metavar = f"{{{','.join(map(str, choices))}}}"
    elif choices is not None:
        text += f" Choices: {', '.join(map(str, choices))}."
    if bounds := str(allowed):
        text += f" {bounds.capitalize()}."
    if required:
        text += " Required."
    elif default is not None and default != ():
        text += f" Default: {_as_typed(default)}."
    text = text.replace("%", "%%")
    options: dict[str, Any] = {"help": text, "default": default, "required": required}
    if kind is bool:
        group.add_argument(f"--{name}", action=_Switch, **options)
        # As absl spells it.
        options["help"] = argparse.SUPPRESS
        group.add_argument(f"--no{name}", dest=name, action="store_false", **options)
        return
    convert = _converter(name, kind, choices, allowed, may_be_empty)
    read = (lambda typed: tuple(map(convert, _parts(typed)))) if several else convert
    group.add_argument(f"--{name}", type=read, metavar=metavar, **options)


def add_config_flags(
    parser: argparse.ArgumentParser,
    config: type,
    groups: Mapping[str, Iterable[str]],
    *,
    rest: str,
    optional: Iterable[str] = (),
    leave_out: Iterable[str] = (),
) -> None:
    """Adds a flag for each field of a config that `utils.arguments.setting` made.

    Args:
        parser: where to add them.
        config: a dataclass.
        groups: title of a group in `--help` → names of its fields; those that the config does not
            have are left out.
        rest: title of the group of all other fields.
        optional: fields that may be left out although they have no default.
        leave_out: fields that get no flag.
    """
    fields = {
        each.name: each
        for each in dataclasses.fields(config)
        if "help" in each.metadata and each.name not in leave_out
    }
    grouped = {title: [name for name in names if name in fields] for title, names in groups.items()}
    others = [name for name in fields if not any(name in names for names in grouped.values())]
    grouped[rest] = [*grouped.get(rest, []), *others]
    for title, names in grouped.items():
        group = parser.add_argument_group(title)
        for name in names:
            field = fields[name]
            required = (
                field.default is None and name not in optional and not checks.takes_none(field)
            )
            add_field_flag(group, field, default=field.default, required=required)


def add_field_flag(
    group: Any,
    field: dataclasses.Field,
    *,
    default: Any = None,
    required: bool = False,
    choices: Sequence[Any] | None = None,
) -> None:
    """Adds the flag of one field that `utils.arguments.setting` made.

    The values allowed are `choices` or, by default, those of the field.
    """
    names = _NAMES.get(field.name)
    if choices is None:
        choices = field.metadata["choices"] if names is None else names()
    add_flag(
        group,
        field.name,
        checks.kind_of(field),
        field.metadata["help"],
        default=default,
        choices=choices,
        several=typing.get_origin(field.type) is tuple,
        required=required,
        may_be_empty=field.metadata.get("may_be_empty", False),
        allowed=field.metadata.get("range", Range()),
    )


def add_variant(group: Any, help_text: str, **options: Any) -> None:
    """Adds `--variant`, the name of a network; `options` are those of `add_flag`."""
    add_flag(group, "variant", str, help_text, choices=list_variants(), **options)


def values_of(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Returns a dict: name of a flag → its value."""
    return {name: getattr(arguments, name) for name in names}


def config_of(config: type, arguments: argparse.Namespace, **others: Any) -> Any:
    """Returns a config whose fields have the values of their flags."""
    names = [each.name for each in dataclasses.fields(config) if "help" in each.metadata]
    return config(**values_of(arguments, names), **others)


def _parts(typed: str) -> list[str]:
    return [part.strip() for part in typed.split(",") if part.strip()]


def _as_typed(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _converter(
    name: str, kind: type, choices: Sequence[Any] | None, allowed: Range, may_be_empty: bool
) -> Callable[[str], Any]:
    def convert(typed: str) -> Any:
        value: Any = typed
        if kind in (int, float):
            try:
                value = kind(typed)
            except ValueError as error:
                wanted = "a whole number" if kind is int else "a number"
                message = f"must be {wanted}. Received: {typed!r}."
                raise argparse.ArgumentTypeError(message) from error
        try:
            value = one_of(name, value, kind, allowed, may_be_empty or choices is not None)
            if choices is not None and value not in choices:
                raise unknown_name(name, value, map(str, choices))
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{name} ")) from error
        return value

    return convert
