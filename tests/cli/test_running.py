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


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("by zero"), "Unexpected error, ZeroDivisionError: by zero. This is a"),
        (RecursionError("too\ndeep"), "Unexpected error, RecursionError: too. This is a defect"),
        (AssertionError(), "Unexpected error, AssertionError: AssertionError. This is a defect"),
        (KeyError("a" * 5000), "Unexpected error, KeyError: 'aaa"),
        (ValueError("in user code:\n\n  a.py\n    why\n"), "Unexpected error, ValueError: why. "),
        (MemoryError(), "There is not enough memory (MemoryError). Use a smaller batch size"),
        (UserError("two\nlines \x1b[31m of a name"), r"two\nlines \x1b[31m of a name"),
    ],
)
def test_every_error_is_one_line_and_its_traceback_is_shown_if_wanted(
    error, message, capsys, monkeypatch
):
    def command():
        raise error

    assert running.guarded(command, "program", []) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"program: {message}") and said.count("\n") == 1 and len(said) < 600
    assert running.guarded(command, "program", [], traceback=True) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown and shown.endswith(said)
    monkeypatch.setenv(running.TRACEBACK, "1")
    assert running.guarded(command, "program", []) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [UserError("No."), OSError(28, "No space left"), MemoryError(), KeyError("a")]
)
def test_notes_of_what_was_kept_are_said_with_any_error(error, capsys):
    def command():
        error.add_note("The predictions so far are in a.csv.")
        raise error

    running.guarded(command, "program", [])
    assert capsys.readouterr().err.endswith("\nThe predictions so far are in a.csv.\n")


def test_deep_recursion_is_one_line(capsys):
    def command():
        command()

    assert running.guarded(command, "program", []) == 1
    assert capsys.readouterr().err.startswith("program: Unexpected error, RecursionError")


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
