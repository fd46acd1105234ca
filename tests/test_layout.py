"""The layout of the package, as docs/architecture.md draws it and import-linter enforces it."""

import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "keras_alexnet"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def test_the_drawing_is_what_import_linter_enforces():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = next(
        block for block in re.findall(r"```text\n(.*?)```", page, re.S) if "cli" in block
    )
    drawn = [line.split()[0].removesuffix("/").removesuffix(".py") for line in drawing.splitlines()]
    [layers] = [each["layers"] for each in CONTRACTS["contracts"] if each["type"] == "layers"]
    assert drawn == layers


def test_at_most_ten_files_lie_directly_in_the_package():
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 10
