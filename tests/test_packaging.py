import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest

import keras_alexnet

ROOT = pathlib.Path(__file__).parents[1]


def test_requirements_are_those_of_the_package_and_of_its_tests():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == sorted(wanted)


def test_version_stands_in_changelog_and_citation():
    version = keras_alexnet.__version__
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.slow
def test_wheel_holds_code_data_and_marker(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    in_tree = {str(path.relative_to(ROOT)) for path in (ROOT / "keras_alexnet").rglob("*.py")}
    assert in_tree | {"keras_alexnet/py.typed", "keras_alexnet/imagenet_labels.txt"} <= names
