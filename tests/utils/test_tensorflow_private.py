"""Private TensorFlow names: the check of the version, and names that are gone."""

import importlib.util
import sys

import pytest
import tensorflow as tf

from keras_alexnet.errors import UserError
from keras_alexnet.utils import tensorflow_private


@pytest.fixture
def fresh(caplog):
    """The module as a new process has it, whose warning has not been given yet."""
    caplog.set_level("WARNING", logger="absl")
    spec = importlib.util.spec_from_file_location("fresh", tensorflow_private.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("version", "is_tested"),
    [
        *(("2.21.0", True), ("2.21.3", True), ("2.21.0-rc1", True)),
        *(("2.20.1", False), ("2.22.0", False), ("2.9.0", False), ("3.0.0", False)),
    ],
)
def test_one_warning_outside_of_the_tested_versions(version, is_tested, fresh, monkeypatch, caplog):
    monkeypatch.setattr(tf, "__version__", version)
    fresh.op_determinism_is_on()
    fresh.op_determinism_is_on()
    warnings = [record.getMessage() for record in caplog.records if "tested" in record.getMessage()]
    expected = (
        f"keras_alexnet was tested with TensorFlow from 2.21 to below 2.22; this is {version}."
    )
    assert warnings == ([] if is_tested else [expected])


def test_the_installed_version_is_a_tested_one(fresh, caplog):
    fresh.op_determinism_is_on()
    assert "tested with" not in caplog.text


def test_a_module_that_is_gone(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow.lite.python.schema_py_generated", None)
    with pytest.raises(
        UserError, match=r"no longer has tensorflow\.lite.* Install tensorflow>=2\.21"
    ):
        fresh.tflite_schema()


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("tensorflow.lite.python.convert", "mlir_quantize", lambda m: m.quantize_tflite(b"")),
        (
            "tensorflow.python.framework.config",
            "is_op_determinism_enabled",
            lambda m: m.op_determinism_is_on(),
        ),
        (
            "tensorflow.python.framework.config",
            "disable_op_determinism",
            lambda m: m.turn_op_determinism_off(),
        ),
    ],
)
def test_a_name_that_is_gone(module, name, call, fresh, monkeypatch):
    monkeypatch.delattr(importlib.import_module(module), name)
    with pytest.raises(UserError, match=f"no longer has {name}"):
        call(fresh)


def test_determinism_is_seen_and_turned_off():
    tf.config.experimental.enable_op_determinism()
    try:
        assert tensorflow_private.op_determinism_is_on()
    finally:
        tensorflow_private.turn_op_determinism_off()
    assert not tensorflow_private.op_determinism_is_on()


def _register_a_gradient(name):
    @tf.RegisterGradient(name)
    def gradient(op, upstream):
        return upstream


def test_gradients_registered_inside_are_forgotten():
    for _ in range(2):  # TensorFlow refuses a name that it still knows
        with tensorflow_private.gradients_forgotten():
            _register_a_gradient("ForgottenGradient")
    _register_a_gradient("KeptGradient")
    with tensorflow_private.gradients_forgotten():
        pass
    with pytest.raises(KeyError):
        _register_a_gradient("KeptGradient")


def test_without_a_registry_nothing_is_forgotten_and_nothing_fails(monkeypatch):
    ops = importlib.import_module("tensorflow.python.framework.ops")
    monkeypatch.delattr(ops, "gradient_registry")
    with tensorflow_private.gradients_forgotten():
        ran = True
    assert ran
