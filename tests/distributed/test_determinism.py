"""Op determinism: on where it is wanted, and put back."""

import pytest
import tensorflow as tf

from keras_alexnet.distributed import devices


def _is_on():
    # Without a seed a random operation is an error under op determinism. A test that ran before
    # may have left one for the whole process.
    tf.random.set_seed(None)
    try:
        tf.random.uniform([])
    except RuntimeError:
        return True
    return False


def test_is_on_for_its_body_and_then_as_before():
    assert not _is_on()
    with devices.determinism(None):
        assert _is_on()  # by default on CPUs
        with devices.determinism(False):
            assert not _is_on()
        assert _is_on()
    assert not _is_on()
    with pytest.raises(ZeroDivisionError), devices.determinism(True):
        raise ZeroDivisionError
    assert not _is_on()


def test_gpus_are_as_they_were_unless_asked(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    with devices.determinism(None):
        assert not _is_on()
    with devices.determinism(True):
        assert _is_on()
