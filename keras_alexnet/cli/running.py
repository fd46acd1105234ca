"""How a command runs: quiet start of TensorFlow, logging, messages, exit codes."""

import contextlib
import importlib
import logging as standard_logging
import os
import shlex
import signal
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence

from keras_alexnet.errors import Interrupted, UsageError, UserError
from keras_alexnet.utils import signals


def guarded(command: Callable[[], None], name: str, words: Sequence[str]) -> int:
    """Runs a command and returns its exit code; an error is reported in one message.

    The codes are 0, 2 for wrong usage and 1 for a failure. A command that SIGINT, SIGTERM or
    SIGHUP stopped ends the process here, with 130, 143 or 129, after it has cleaned up.

    Args:
        command: what to run.
        name: the program's name, which precedes messages.
        words: what the user typed to start the command, without its flags.
    """
    heard: list[int] = []

    def stop(number: int, _frame: types.FrameType | None) -> None:
        signals.leave_lost_terminal(number)
        if not heard:
            heard.append(number)
            raise signals.Stopped(number)
        if number == signal.SIGINT:  # schedulers repeat others
            raise KeyboardInterrupt

    try:
        with signals.handled(stop):
            _stoppable(command, heard)
    except Interrupted as error:
        resume = ""
        if error.workdir is not None:
            resume = "\n" + shlex.join([*words, "--resume", f"--workdir={error.workdir}"])
        _leave(error.exit_code, f"{name}: {error}{resume}")
    except signals.Stopped as error:
        _leave(error.exit_code, " ".join([f"{name}: {error}", *getattr(error, "__notes__", ())]))
    except KeyboardInterrupt:
        _leave(130, f"{name}: Interrupted.")
    except UsageError as error:
        return failed(2, f"{name}: {error}")
    except (UserError, OSError) as error:  # OSError: a full disk, a folder that is not writable
        return failed(1, f"{name}: {error}")
    return 0


def _stoppable(command: Callable[[], None], heard: Sequence[int]) -> None:
    try:
        _log_plainly()
        command()
    except (Interrupted, KeyboardInterrupt):
        raise
    except Exception as error:
        if heard:  # a library took the signal for an error of its own
            raise signals.Stopped(heard[0]) from error
        raise


@contextlib.contextmanager
def ended_at_once() -> Iterator[None]:
    """Lets a signal end the process with one line; for a body that has nothing to clean up.

    An exception could come out of the middle of an import, where libraries make others of it.
    """
    standard_error = os.dup(2)  # which `quiet` redirects

    def end(number: int, _frame: types.FrameType | None) -> None:
        stopped = signals.Stopped(number)
        with contextlib.suppress(OSError):
            os.write(standard_error, f"keras-alexnet: {stopped}\n".encode())
        os._exit(stopped.exit_code)

    try:
        with signals.handled(end):
            yield
    finally:
        os.close(standard_error)


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

    with ended_at_once(), quiet(), imports_explained():
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
    with contextlib.suppress(OSError):  # a terminal that was closed
        failed(code, message)
        sys.stdout.flush()
    os._exit(code)
