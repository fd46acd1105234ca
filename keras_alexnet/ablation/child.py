"""Commands of keras-alexnet in processes of their own, because TensorFlow's memory grows."""

import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence

from keras_alexnet.errors import UserError
from keras_alexnet.utils import machine


class CommandFailed(UserError):
    """A command that ended with an error.

    Attributes:
        code: its exit code, or minus the signal that killed it.

    Example:
        >>> str(CommandFailed(1, "train: a disk is full", "logs/a.log"))
        'train: a disk is full (exit code 1; its log is logs/a.log)'
        >>> str(CommandFailed(-9, "", "logs/a.log"))
        'it was killed by SIGKILL (its log is logs/a.log)'
    """

    def __init__(self, code: int, message: str, log: str | os.PathLike):
        self.code = code
        if code < 0:
            said = f"it was killed by {signal.Signals(-code).name} (its log is {log})"
        else:
            said = f"{message} (exit code {code}; its log is {log})"
        super().__init__(said)


def run_command(arguments: Sequence[str], log: pathlib.Path) -> None:
    """Runs `keras-alexnet` with these arguments, and returns when it has ended.

    A signal that interrupts this process makes the command save and end first. The command also
    ends soon after this process, however that ends.

    Args:
        arguments: the command and its flags.
        log: file to which everything that it prints is appended.

    Raises:
        CommandFailed: it ended with an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(os.getpid()), *arguments],
            env=machine.environment_of_child(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal is for this process, which passes it on
        )
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        finally:
            if process.poll() is None:  # a second signal came
                process.kill()
                process.wait()
    if code:
        raise CommandFailed(code, _last_message(log), log)


def _last_message(log: pathlib.Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    messages = [line for line in lines if re.match(r"keras-alexnet \w+: ", line)] or lines or [""]
    return messages[-1].removeprefix("keras-alexnet ")


if __name__ == "__main__":
    machine.end_with_parent(int(sys.argv[1]))
    sys.argv[1:] = sys.argv[2:]
    runpy.run_module("keras_alexnet", run_name="__main__", alter_sys=True)
