"""Exit codes, messages and the command that resumes a run."""

import subprocess
import sys

import pytest

from keras_alexnet.cli import running
from keras_alexnet.errors import UsageError, UserError

# Another thread never ends, as one that waits for data that never come.
PROGRAM = """
import sys, threading, time
from keras_alexnet.cli import running
from keras_alexnet.errors import Interrupted

threading.Thread(target=time.sleep, args=[1000]).start()

def command():
    print("half a line", end="")
    raise {error}

sys.exit(running.guarded(command, "program", ["my program", "train"]))
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("Wrong flag."), 2, "program: Wrong flag.\n"),
        (UserError("No such file."), 1, "program: No such file.\n"),
        (OSError(28, "No space left on device", "a"), 1, "program: [Errno 28] No space left"),
    ],
)
def test_errors_end_in_one_message(error, code, message, capsys):
    def command():
        raise error

    assert running.guarded(command, "program", []) == code
    assert capsys.readouterr().err.startswith(message)


def test_no_error_is_0():
    assert running.guarded(lambda: None, "program", []) == 0


def test_x():
    with pytest.raises(ZeroDivisionError):
        running.guarded(lambda: 1 / 0, "program", [])


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("KeyboardInterrupt", 130, "program: Interrupted.\n"),
        (
            "Interrupted(15, 'after step 7', 'a run')",
            143,
            "program: Stopped by SIGTERM after step 7. Resume with --resume --workdir=a run.\n"
            "'my program' train --resume '--workdir=a run'\n",
        ),
    ],
)
def test_interruptions_end_at_once_with_the_command_that_resumes(error, code, message):
    command = [sys.executable, "-c", PROGRAM.format(error=error)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, "half a line", message)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'absl'", name="absl"), "requirements.txt"),
        (ImportError("Set KERAS_BACKEND=tensorflow."), "Set KERAS_BACKEND"),
    ],
)
def test_missing_packages_are_explained(error, message):
    with pytest.raises(UserError, match=message), running.imports_explained():
        raise error


def test_a_missing_module_of_this_package_is_a_defect():
    with pytest.raises(ModuleNotFoundError), running.imports_explained():
        import keras_alexnet.missing  # noqa: F401
