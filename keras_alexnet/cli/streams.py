"""Standard output and standard error, which get no control characters."""

import os
import select
import sys
import traceback

from keras_alexnet.utils.text import printable


def settle() -> None:
    """Makes the streams write every name: what their encoding does not have is escaped.

    Where a stream is closed, nothing is written; without this, a file that is opened later would
    take its place and get what is printed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: object) -> None:
    """Prints a line that may have names from outside to standard output."""
    print(printable(text))


def complain(*lines: str) -> None:
    """Prints lines that may have names from outside to standard error, if it is open."""
    if lines and sys.stderr is not None:
        try:
            print(*map(printable, lines), sep="\n", file=sys.stderr, flush=True)
        except OSError:  # nobody reads it
            pass


def complain_of(error: BaseException) -> None:
    """Prints the traceback of an error to standard error."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    complain(*text.split("\n"))


def flush() -> None:
    """Writes what is still to be written to standard output.

    Raises:
        OSError: it cannot be written, as to a full disk, or to a program that has ended.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def reader_is_gone() -> bool:
    """Returns whether standard output is a pipe to a program that has ended."""
    if sys.stdout is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # it is closed, or replaced by something that is no file
        return False
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def discard() -> None:
    """Drops everything that is still to be written to standard output."""
    if sys.stdout is not None:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
