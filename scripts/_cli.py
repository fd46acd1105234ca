"""What every script shares: the checkout on the path, flags, exit codes, messages, logging.

Import it before anything else: it makes `keras_alexnet` importable from a checkout that is not
installed, and quietens TensorFlow before it loads.
"""

import dataclasses
import functools
import importlib
import logging as standard_logging
import os
import pathlib
import shlex
import sys
import tempfile
import textwrap
import typing
from collections.abc import Callable, Iterable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))


def _load_quietly() -> None:
    """Imports the package and looks for GPUs without the notices of TensorFlow's C++ side, which
    come before it can be asked not to give them; should the import fail, they are shown."""
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            importlib.import_module("keras_alexnet")
            importlib.import_module("tensorflow").config.list_physical_devices()
        except BaseException:
            said.seek(0)
            os.write(standard_error, said.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def _fail(code: int, message: str) -> typing.NoReturn:
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(code)


try:
    _load_quietly()
except ModuleNotFoundError as error:
    _fail(1, f"{error}. pip install -r requirements.txt installs what is needed.")
except ImportError as error:
    _fail(1, str(error))

from absl import app, flags, logging

from keras_alexnet.errors import Interrupted, UsageError, UserError

FLAGS = flags.FLAGS


def define_flags(fields: Iterable[dataclasses.Field], *, optional: bool = False) -> list[str]:
    """Defines a flag for each dataclass field, with its help and choices; returns their names.

    With `optional` the default is None, so that a flag that was not given can be told apart.
    """
    names = []
    for field in fields:
        kind = (typing.get_args(field.type) or (field.type,))[0]
        text = field.metadata["help"]
        if optional:
            text += " Overrides the recipe's."
        default = None if optional else field.default
        choices = field.metadata["choices"]
        if typing.get_origin(field.type) is tuple:
            default = None if default is None else ",".join(map(str, default))
            flags.DEFINE(_Several(kind), field.name, default, text)
        elif choices and isinstance(choices[0], str):
            flags.DEFINE_enum(field.name, default, choices, text)
        else:
            _DEFINERS[kind](field.name, default, text)
        names.append(field.name)
    return names


class _Several(flags.ArgumentParser):
    """Values of one kind, separated by commas."""

    def __init__(self, kind: type):
        super().__init__()
        self._kind = kind

    def parse(self, argument: str) -> tuple:
        return tuple(self._kind(part.strip()) for part in argument.split(",") if part.strip())


def values_of(names: Iterable[str]) -> dict:
    """Returns flag name → value."""
    return {name: FLAGS[name].value for name in names}


def run(main: Callable[..., None], *, takes_arguments: bool = False) -> None:
    """Parses the flags and calls `main`; exits with 0, 2 for wrong usage, 1 for a failure, and
    130 or 143 when SIGINT or SIGTERM stopped it.

    With `takes_arguments`, `main` is given the list of the arguments that are no flags.
    """
    app.run(
        lambda rest: _guarded((lambda: main(rest[1:])) if takes_arguments else main),
        flags_parser=functools.partial(_parse, takes_arguments=takes_arguments),
    )


def _command_to_resume(error: Interrupted) -> str:
    if error.workdir is None:
        return ""
    script = [sys.executable, sys.argv[0], "--resume", f"--workdir={error.workdir}"]
    return f"\n{shlex.join(script)}"


def _leave(code: int, message: str) -> typing.NoReturn:
    """Like `_fail`, for a program that may be waiting for data that never come: the interpreter's
    own way out would wait for them too."""
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)


def _parse(argv: list[str], takes_arguments: bool) -> list[str]:
    # Before absl, whose own --help exits with 1.
    if any(argument.lstrip("-") in _HELP for argument in argv[1:] if argument.startswith("-")):
        _print_help(argv[0])
        sys.exit(0)
    try:
        rest = FLAGS(argv)
    except flags.Error as error:
        _fail(2, f"{error}\n{argv[0]} --help lists the flags.")
    if rest[1:] and not takes_arguments:
        _fail(2, f"Flags alone are taken, as --name=value. Received: {' '.join(rest[1:])}.")
    return rest


def _print_help(script: str) -> None:
    print(sys.modules["__main__"].__doc__)
    # Flags belong to the module whose code defined them: the script, or define_flags here.
    by_module = FLAGS.flags_by_module_dict()
    for module in (script, __name__):
        for flag in by_module.get(module, []):
            print(_described(flag))


def _described(flag: flags.Flag) -> str:
    prefix = "--[no]" if flag.boolean else "--"
    default = flag.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))  # as it is typed
    default = "" if default is None else f" Default: {default}."
    text = f"{flag.help}{default}"
    wrapped = textwrap.fill(text, 96, initial_indent="    ", subsequent_indent="    ")
    return f"{prefix}{flag.name}\n{wrapped}"


def _guarded(main: Callable[[], None]) -> None:
    logging.set_verbosity(logging.INFO)
    standard_logging.getLogger("tensorflow").setLevel("WARNING")
    logging.get_absl_handler().setFormatter(None)
    try:
        main()
    except Interrupted as error:
        _leave(error.exit_code, f"{error}{_command_to_resume(error)}")
    except UsageError as error:
        _fail(2, str(error))
    except UserError as error:
        _fail(1, str(error))
    except OSError as error:  # a full disk, a folder that may not be written to
        _fail(1, str(error))
    except KeyboardInterrupt:
        _leave(130, "Interrupted.")


_HELP = ("h", "help", "helpshort", "helpfull")
_DEFINERS = {
    bool: flags.DEFINE_boolean,
    float: flags.DEFINE_float,
    int: flags.DEFINE_integer,
    str: flags.DEFINE_string,
}
