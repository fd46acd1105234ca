"""What importing and building a network loads: little of the package, no TensorFlow for specs."""

import ast
import importlib.util
import pathlib
import subprocess
import sys

import pytest

LIMIT = 17  # modules of the package, packages included
WITHOUT_TENSORFLOW = (
    "keras_alexnet.networks",
    "keras_alexnet.networks.image_plan",
    "keras_alexnet.networks.spec",
    "keras_alexnet.networks.imagenet",
    "keras_alexnet.networks.cifar",
    "keras_alexnet.networks.cuda_convnet",
    "keras_alexnet.networks.variants",
)


def loaded_by(statements):
    """Returns the modules that a fresh process has loaded after some statements."""
    code = f"{statements}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    return set(done.stdout.split())


def of_package(names):
    return sorted(name for name in names if name.partition(".")[0] == "keras_alexnet")


def reached_from(module):
    """Returns the modules of the package that a module imports, directly or through others."""
    found, open_ends = set(), [module]
    while open_ends:
        name = open_ends.pop()
        if name in found:
            continue
        found.add(name)
        path = pathlib.Path(importlib.util.find_spec(name).origin)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            open_ends += of_package(imported_by(node))
    return sorted(found)


def imported_by(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        members = [f"{node.module}.{alias.name}" for alias in node.names]
        return [node.module, *(name for name in members if is_module(name))]
    return []


def is_module(name):
    if name.partition(".")[0] != "keras_alexnet":
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a member of a module that is not a package
        return False


def test_the_builder_imports_few_modules():
    reached = reached_from("keras_alexnet.networks.build")
    assert "keras_alexnet.networks.cuda_convnet" in reached
    assert len(reached) <= LIMIT, reached
    below = ("networks", "errors", "utils")
    assert {name.split(".")[1] for name in reached if "." in name} <= set(below), reached


def test_building_a_network_loads_few_modules_and_neither_weights_nor_data():
    loaded = of_package(loaded_by("import keras_alexnet as ka; ka.build('cifar_v2')"))
    assert "keras_alexnet.networks.layers" in loaded
    assert len(loaded) <= LIMIT + 3, loaded  # keras_alexnet.models, its with_weights, and utils
    parts = {name.split(".")[1] for name in loaded if "." in name}
    assert "models" in parts
    assert not parts & {"weights", "data", "run_folder", "trained", "training"}


@pytest.mark.parametrize(
    "statement",
    [
        "import " + ", ".join(WITHOUT_TENSORFLOW),
        "import keras_alexnet as ka; ka.networks.get('alexnet'); ka.list_variants(); ka.variants",
    ],
)
def test_specs_and_the_registry_need_neither_tensorflow_nor_keras(statement):
    loaded = loaded_by(statement)
    assert set(WITHOUT_TENSORFLOW[:1]) <= loaded
    assert not loaded & {"tensorflow", "keras", "numpy"}


@pytest.mark.slow
def test_the_builder_is_loaded_when_it_is_first_used():
    loaded = loaded_by(
        "import keras_alexnet as ka, sys\n"
        "assert 'keras' not in sys.modules\n"
        "assert ka.networks.build.build('cifar_v2').name == 'cifar_v2'\n"
        "assert ka.networks.register is ka.variants.register"
    )
    assert "keras" in loaded
