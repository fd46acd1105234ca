"""The examples in public docstrings run and give what they say."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet

MODULES = [
    module.name for module in pkgutil.walk_packages(keras_alexnet.__path__, "keras_alexnet.")
]
PUBLIC = {name: getattr(keras_alexnet, name) for name in keras_alexnet.__all__}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    names = {"np": np, "tf": tf, "keras": keras, "keras_alexnet": keras_alexnet}
    failed, _ = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def _is_documented_by_example(value) -> bool:
    return callable(value) and not (isinstance(value, type) and issubclass(value, Exception))


@pytest.mark.parametrize("name", [n for n, v in PUBLIC.items() if _is_documented_by_example(v)])
def test_public_names_have_an_example(name):
    assert ">>>" in PUBLIC[name].__doc__ or "```python" in PUBLIC[name].__doc__
