"""Keras on another backend than TensorFlow is refused before Keras is imported."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import keras_alexnet
try:
    keras_alexnet.build
except ImportError as error:
    print(error)
print("keras" in sys.modules)
"""


def _said(home, **environment):
    environment = {"HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    kept = {n: v for n, v in os.environ.items() if n not in ("KERAS_BACKEND", "KERAS_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _configure(folder, text):
    folder.mkdir()
    (folder / "keras.json").write_text(text)
    return str(folder)


def test_the_environment_variable_names_another(tmp_path):
    said = _said(tmp_path, KERAS_BACKEND="jax")
    assert "Received: KERAS_BACKEND=jax. Set KERAS_BACKEND=tensorflow" in said
    assert said.endswith("\nFalse\n")


def test_the_configuration_file_names_another(tmp_path):
    folder = _configure(tmp_path / ".keras", json.dumps({"backend": "torch"}))
    said = _said(tmp_path)
    assert f"Received: the backend torch in {folder}/keras.json" in said
    assert said.endswith("\nFalse\n")
    elsewhere = _configure(tmp_path / "elsewhere", json.dumps({"backend": "jax"}))
    assert f"the backend jax in {elsewhere}/keras.json" in _said(tmp_path, KERAS_HOME=elsewhere)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        (json.dumps({"backend": "torch"}), {"KERAS_BACKEND": "tensorflow"}),
        pytest.param("no JSON", {}, marks=pytest.mark.slow),
    ],
)
def test_the_variable_wins_and_a_damaged_file_is_keras_own_affair(text, environment, tmp_path):
    _configure(tmp_path / ".keras", text)
    assert _said(tmp_path, **environment) == "True\n"
