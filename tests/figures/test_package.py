"""The package's public names: functions, imported when they are first used."""

import importlib
import inspect
import subprocess
import sys
import types

import pytest

from keras_alexnet import figures

CHECK = """
import sys
from keras_alexnet import figures
print(*{"matplotlib", "tensorflow", "keras"} & set(sys.modules))
"""


def test_importing_the_package_loads_no_library():
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_public_names_are_functions_even_after_their_modules_are_imported():
    for name in figures.__all__:
        module = importlib.import_module(f"keras_alexnet.figures.{name}")
        assert getattr(figures, name) is getattr(module, name)


def test_public_functions_are_called_alike():
    for name in figures.__all__:
        function = getattr(figures, name)
        assert isinstance(function, types.FunctionType)
        parameters = inspect.signature(function).parameters
        first = "runs" if name == "curves" else "model"
        keywords = [p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert [next(iter(parameters)), "out" in parameters] == [first, True]
        assert "out" not in keywords and keywords
    for function in (figures.neighbors, figures.likeliest):
        shared = {"data", "images", "indices", "seed", "variant", "table"}
        assert shared <= set(inspect.signature(function).parameters)
    with pytest.raises(AttributeError, match="no attribute 'canvas'"):
        figures.canvas  # noqa: B018
