"""Requirements, versions, and the wheel with its command."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet.utils import tensorflow_private

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_requirements_are_those_of_the_package_and_of_its_tests():
    wanted = PROJECT["dependencies"] + EXTRAS["test"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert sorted(line for line in lines if not line.startswith("#")) == sorted(wanted)


def test_tensorflow_and_keras_are_bounded_by_what_was_tested():
    low, high = tensorflow_private.TESTED
    everywhere = PROJECT["dependencies"] + [each for extra in EXTRAS.values() for each in extra]
    name = r"(tensorflow(\[.*\]|-serving-api)?|keras)>"
    assert sorted({each for each in everywhere if re.match(name, each)}) == [
        "keras>=3.15,<3.16",
        f"tensorflow-serving-api>={low},<{high}",
        f"tensorflow>={low},<{high}",
        f"tensorflow[and-cuda]>={low},<{high}",
    ]


def test_version_stands_in_changelog_and_citation():
    version = keras_alexnet.__version__
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.slow
def test_wheel_holds_all_files_and_installs_the_command(tmp_path):
    pip = [sys.executable, "-m", "pip"]
    command = [*pip, "wheel", "--no-deps", "-w", tmp_path, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    in_tree = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "keras_alexnet").rglob("*")
        if path.suffix
        in (".py", ".pyi", ".typed", ".txt", ".safetensors", ".json", ".js", ".css", ".html")
    }
    assert in_tree <= names
    assert any(name.endswith(".safetensors") for name in in_tree)
    place = tmp_path / "site"
    command = [*pip, "install", "--no-deps", "--no-index", "--target", place, wheel]
    subprocess.run(command, check=True, capture_output=True)
    tf.io.write_file(f"{tmp_path}/cat.png", tf.io.encode_png(np.zeros([40, 50, 3], np.uint8)))
    for arguments, expected in (
        (["predict", "--model", "cifar_v2", "--top", "10", "cat.png"], "airplane"),
        (["--help"], "commands:\n"),
        (["--version"], f"{keras_alexnet.__version__}\n"),
        (["summary", "--variant", "cifar_v2"], "576,778"),
    ):
        done = subprocess.run(
            [place / "bin" / "keras-alexnet", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in done.stdout
