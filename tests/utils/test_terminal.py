"""Quieting, also of what C++ prints."""

import logging
import os
import subprocess
import sys
import warnings

import pytest

from keras_alexnet.utils.terminal import quiet


def _noise():
    os.write(2, b"from C++\n")
    logging.getLogger("absl").warning("logged")
    warnings.warn("warned", stacklevel=1)


def test_nothing_is_said_and_all_is_put_back(capfd, recwarn):
    before = logging.getLogger("absl").level
    with quiet():
        _noise()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n" and not recwarn.list
    assert logging.getLogger("absl").level == before


@pytest.mark.parametrize("shown", [True, False])
def test_a_failure_shows_what_was_held_back(shown, capfd):
    with pytest.raises(ZeroDivisionError), quiet(shown_on_failure=shown):
        _noise()
        raise ZeroDivisionError
    assert ("from C++" in capfd.readouterr().err) == shown


@pytest.mark.processes
def test_tensorflow_starts_without_notices():
    program = "from keras_alexnet.cli.running import load_tensorflow; load_tensorflow()"
    environment = {n: v for n, v in os.environ.items() if n != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
