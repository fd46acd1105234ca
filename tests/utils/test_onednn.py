"""oneDNN is on unless the user turned it off."""

import os
import platform
import subprocess
import sys

import pytest

from keras_alexnet import errors
from keras_alexnet.distributed.precision import precision
from keras_alexnet.utils import provenance, tensorflow_private

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
ON_X86 = "1" if platform.machine() in ("x86_64", "AMD64") else "unset"


@pytest.mark.parametrize(
    ("program", "given", "found"),
    [
        ("import keras_alexnet", None, ON_X86),
        ("import keras_alexnet.training.config", None, ON_X86),
        ("import keras_alexnet", "0", "0"),
        # Too late to change anything:
        ("sys.modules['tensorflow'] = sys; import keras_alexnet", None, "unset"),
        # Where TensorFlow chooses by other rules:
        ("platform.machine = lambda: 'aarch64'; import keras_alexnet", None, "unset"),
    ],
)
def test_it_is_on_unless_the_user_decided(program, given, found):
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if given is not None:
        environment[VARIABLE] = given
    show = f"print(os.environ.get({VARIABLE!r}, 'unset'))"
    done = subprocess.run(
        [sys.executable, "-c", f"import os, platform, sys; {program}; {show}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == found


@pytest.mark.skipif(ON_X86 == "unset", reason="TensorFlow chooses by other rules")
def test_results_say_what_was_in_force():
    asked = os.environ[VARIABLE] == "1"  # by conftest.py, before TensorFlow was imported
    assert tensorflow_private.onednn_is_on() == asked
    assert provenance.provenance()["onednn"] == ("on" if asked else "off")


def test_without_it_the_graph_cannot_be_rewritten_to_bfloat16(monkeypatch):
    monkeypatch.setattr(tensorflow_private, "onednn_is_on", lambda: False)
    with pytest.raises(errors.UsageError, match="needs oneDNN, which is off"):
        with precision("graph_bfloat16"):
            pass
