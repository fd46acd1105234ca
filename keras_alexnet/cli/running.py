"""How a command runs: quiet start of TensorFlow, logging, messages, exit codes."""

import contextlib
import gc
import importlib
import logging as standard_logging
import os
import shlex
import signal
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence

from keras_alexnet.cli import streams
from keras_alexnet.errors import Interrupted, UsageError, UserError, first_line
from keras_alexnet.utils import logs, signals

TRACEBACK = "KERAS_ALEXNET_TRACEBACK"  # an environment variable, as good as --traceback
_LONGEST = 300  # characters of an unexpected error


def guarded(
    command: Callable[[], None], name: str, words: Sequence[str], *, traceback: bool = False
) -> int:
    """Runs a command and returns its exit code; an error is reported in one message.

    The codes are 0, 2 for wrong usage, 1 for a failure, and 141 if the program that reads the
    output ends first. A command that SIGINT, SIGTERM or SIGHUP stopped ends the process here, with
    130, 143 or 129, after it has cleaned up.

    Args:
        command: what to run.
        name: the program's name, which precedes messages.
        words: what the user typed to start the command, without its flags.
        traceback: whether an error is shown with its traceback.
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
        streams.settle()
        with signals.handled(stop):
            _stoppable(command, heard)
    except Interrupted as error:
        resume = []
        if error.workdir is not None:
            resume = [shlex.join([*words, "--resume", f"--workdir={error.workdir}"])]
        _leave(error.exit_code, f"{name}: {error}", *resume)
    except signals.Stopped as error:
        _leave(error.exit_code, " ".join([f"{name}: {error}", *getattr(error, "__notes__", ())]))
    except KeyboardInterrupt as error:
        _leave(130, " ".join([f"{name}: Interrupted.", *getattr(error, "__notes__", ())]))
    except Exception as error:
        return reported(error, name, traceback=traceback)
    return 0


def reported(error: Exception, name: str, *, traceback: bool = False) -> int:
    """Reports an error in one message, whatever it is, and returns the exit code.

    Args:
        error: what was raised.
        name: the program's name, which precedes the message.
        traceback: whether to show the traceback too.
    """
    unread = isinstance(error, BrokenPipeError) and streams.reader_is_gone()
    if unread or isinstance(error, OSError):  # what could not be written must not fail again
        _flush_or_discard()
    notes: list[str] = getattr(error, "__notes__", [])  # what was kept
    if unread:  # as `| head -1` does, which has what it wants
        streams.complain(*(f"{name}: {note}" for note in notes))
        return 128 + 13
    if traceback or os.environ.get(TRACEBACK, "0") not in ("", "0"):
        streams.complain_of(error)
    if isinstance(error, UsageError):
        return failed(2, f"{name}: {error}", *notes)
    if isinstance(error, (UserError, OSError)):  # OSError: a full disk, a read-only folder
        return failed(1, f"{name}: {error}", *notes)
    kind, message = type(error).__name__, first_line(error)
    if message.endswith(":"):  # "in user code:" of TensorFlow, which says why in the last line
        message = str(error).strip().splitlines()[-1].strip()
    message = message[:_LONGEST]
    if isinstance(error, MemoryError) or kind == "ResourceExhaustedError":
        return failed(
            1,
            f"{name}: There is not enough memory ({message}). Use a smaller batch size or input "
            "size, or fewer images.",
            *notes,
        )
    return failed(
        1,
        f"{name}: Unexpected error, {kind}: {message}. This is a defect of keras_alexnet: please "
        "report it, with what the same command prints with --traceback.",
        *notes,
    )


def _stoppable(command: Callable[[], None], heard: Sequence[int]) -> None:
    try:
        _log_plainly()
        command()
        streams.flush()
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

    with ended_at_once(), quiet(), imports_explained(), _kept_from_the_collector():
        importlib.import_module("tensorflow").config.list_physical_devices()
        importlib.import_module("keras")
    standard_logging.getLogger("tensorflow").setLevel("WARNING")


@contextlib.contextmanager
def _kept_from_the_collector() -> Iterator[None]:
    """Imports TensorFlow without garbage collections, which are a sixth of the time, now or later.

    What was imported stays to the end.
    """
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def failed(code: int, *lines: str) -> int:
    """Prints a message, line by line, to standard error and returns the exit code."""
    streams.complain(*lines)
    return code


def _flush_or_discard() -> None:
    try:
        streams.flush()
    except OSError:
        streams.discard()


def _log_plainly() -> None:
    from absl import flags, logging

    flags.FLAGS.mark_as_parsed()  # absl would warn that its own flags are not parsed
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().setFormatter(logs.PlainFormatter())


def _leave(code: int, *lines: str) -> typing.NoReturn:
    """Ends the process at once; a normal exit would wait for threads, which may be waiting for data
    that never come."""
    failed(code, *lines)
    _flush_or_discard()
    os._exit(code)
