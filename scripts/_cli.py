"""What every script shares: the checkout on the path, flags, exit codes, messages, logging.

Import it before anything else: it makes `keras_alexnet` importable from a checkout that is not
installed, and quietens TensorFlow before it loads.
"""

import dataclasses
import os
import pathlib
import sys
import typing
from collections.abc import Callable, Iterable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags, logging

FLAGS = flags.FLAGS


def define_flags(fields: Iterable[dataclasses.Field], *, optional: bool = False) -> list[str]:
    """Defines a flag for each dataclass field, with its help and choices; returns their names.

    With `optional` the default is None, so that a flag that was not given can be told apart.
    """
    names = []
    for field in fields:
        define = _DEFINERS[(typing.get_args(field.type) or (field.type,))[0]]
        text = field.metadata["help"]
        if optional:
            text += " Overrides the recipe's."
        default = None if optional else field.default
        choices = field.metadata["choices"]
        if choices and isinstance(choices[0], str):
            flags.DEFINE_enum(field.name, default, choices, text)
        else:
            define(field.name, default, text)
        names.append(field.name)
    return names


def values_of(names: Iterable[str]) -> dict:
    """Returns flag name → value."""
    return {name: FLAGS[name].value for name in names}


def run(main: Callable[[], None]) -> None:
    """Parses the flags and calls `main`; exits with 0, 2 for wrong usage, 1 for a failure."""
    app.run(lambda _: _guarded(main), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        rest = FLAGS(argv)
    except flags.Error as error:
        _fail(2, f"{error}\n{argv[0]} --help lists the flags.")
    if any(FLAGS[name].value for name in ("help", "helpshort", "helpfull")):
        print(sys.modules["__main__"].__doc__)
        print(FLAGS.module_help(sys.modules["__main__"]) or FLAGS.main_module_help())
        sys.exit(0)
    return rest


def _guarded(main: Callable[[], None]) -> None:
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(None)
    from keras_alexnet.errors import UsageError, UserError

    try:
        main()
    except UsageError as error:
        _fail(2, str(error))
    except UserError as error:
        _fail(1, str(error))
    except KeyboardInterrupt:
        _fail(130, "Interrupted.")


def _fail(code: int, message: str) -> None:
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(code)


_DEFINERS = {
    bool: flags.DEFINE_boolean,
    float: flags.DEFINE_float,
    int: flags.DEFINE_integer,
    str: flags.DEFINE_string,
}
