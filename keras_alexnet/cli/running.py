"""How a command runs: quiet start of TensorFlow, logging, messages, exit codes."""

import contextlib
import importlib
import logging as standard_logging
import os
import shlex
import sys
import typing
from collections.abc import Callable, Iterator, Sequence

from keras_alexnet.errors import Interrupted, UsageError, UserError


def guarded(command: Callable[[], None], name: str, words: Sequence[str]) -> int:
    """Runs a command and returns its exit code; an error is reported in one message.

    The codes are 0, 2 for wrong usage and 1 for a failure. A command that SIGINT or SIGTERM
    stopped ends the process here, with 130 or 143.

    Args:
        command: what to run.
        name: the program's name, which precedes messages.
        words: what the user typed to start the command, without its flags.
    """
    try:
        _log_plainly()
        command()
    except Interrupted as error:
        resume = ""
        if error.workdir is not None:
            resume = "\n" + shlex.join([*words, "--resume", f"--workdir={error.workdir}"])
        _leave(error.exit_code, f"{name}: {error}{resume}")
    except KeyboardInterrupt:
        _leave(130, f"{name}: Interrupted.")
    except UsageError as error:
        return failed(2, f"{name}: {error}")
    except (UserError, OSError) as error:  # OSError: a full disk, a folder that is not writable
        return failed(1, f"{name}: {error}")
    return 0


@contextlib.contextmanager
def imports_explained() -> Iterator[None]:
    """Turns the `ImportError` of a missing package or a wrong backend into a `UserError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("keras_alexnet"):
            raise
        raise UserError(f"{error}. pip install -r requirements.txt installs it.") from error
    except ImportError as error:
        raise UserError(str(error)) from error


def load_tensorflow(cpp_log_level: int = 2) -> None:
    """Imports TensorFlow and Keras and looks for GPUs, without the notices of the C++ code.

    Args:
        cpp_log_level: the least severity that TensorFlow's C++ code logs, if the environment does
            not set TF_CPP_MIN_LOG_LEVEL: 2 is errors, 3 is nothing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", str(cpp_log_level))
    from keras_alexnet.utils.terminal import quiet

    with quiet(), imports_explained():
        importlib.import_module("tensorflow").config.list_physical_devices()
        importlib.import_module("keras")
    standard_logging.getLogger("tensorflow").setLevel("WARNING")


def failed(code: int, message: str) -> int:
    """Prints a message to standard error and returns the exit code."""
    print(message, file=sys.stderr, flush=True)
    return code


def _log_plainly() -> None:
    from absl import flags, logging

    flags.FLAGS.mark_as_parsed()  # absl would warn that its own flags are not parsed
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(None)


def _leave(code: int, message: str) -> typing.NoReturn:
    """Ends the process at once; a normal exit would wait for threads, which may be waiting for data
    that never come."""
    failed(code, message)
    sys.stdout.flush()
    os._exit(code)
