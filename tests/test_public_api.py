"""Public names: what there is, how it is called, and that it is found in every way."""

import ast
import difflib
import pathlib
import subprocess
import sys

import pytest

import keras_alexnet
from support import public_api

STUB = pathlib.Path(keras_alexnet.__file__).with_suffix(".pyi")


def test_public_api_changes_only_on_purpose():
    before, now = public_api.FILE.read_text(encoding="utf-8"), public_api.as_text()
    changes = difflib.unified_diff(before.splitlines(), now.splitlines(), "before", "now", n=0)
    assert before == now, (
        "The public API has changed. If that is meant, say so in CHANGELOG.md and run\n"
        f"    {public_api.COMMAND}\nto update {public_api.FILE.name}:\n" + "\n".join(changes)
    )


@pytest.mark.parametrize("name", keras_alexnet.__all__)
def test_every_public_name_can_be_imported(name):
    names = {}
    exec(f"from keras_alexnet import {name}", names)
    assert names[name] is getattr(keras_alexnet, name) is not None
    assert name in dir(keras_alexnet)


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'buildd'"):
        keras_alexnet.buildd  # noqa: B018


def test_type_checkers_see_the_names():
    """Only names imported `as` themselves are a stub's own."""
    imports = [
        node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)
    ]
    aliases = [alias for statement in imports for alias in statement.names]
    assert all(alias.name == alias.asname for alias in aliases)
    assert sorted([*(alias.asname for alias in aliases), "__version__"]) == sorted(
        keras_alexnet.__all__
    )


def test_importing_the_package_and_its_configs_loads_nothing_heavy():
    program = (
        "import sys, keras_alexnet as ka\n"
        "ka.TrainConfig, ka.EvaluateConfig, ka.ExportConfig, ka.PrepareConfig, ka.DataSpec\n"
        "ka.list_variants(), ka.recipes.get('cifar_v2'), ka.UserError\n"
        "heavy = ('tensorflow', 'keras', 'numpy', 'matplotlib', 'PIL', 'h5py')\n"
        "sys.exit(' '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
