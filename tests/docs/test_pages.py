"""README.md and the pages of docs/ say what is there, and nothing that is not."""

import csv
import functools
import importlib
import re
import sys
import tomllib

import pytest

import keras_alexnet as ka
from keras_alexnet.cli import flags, main
from support import documents

README = documents.README.read_text(encoding="utf-8")
# Flags of other programs that a page names.
FOREIGN = {
    *("model_config_file", "enable_batching", "batching_parameters_file"),  # TF Serving's
    "mixup-mode",  # timm's
}


@pytest.fixture(scope="module")
def generate():
    """The module docs/generate.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(documents.DOCS), *sys.path])
        return importlib.import_module("generate")


def test_generated_parts_are_what_the_specs_recipes_and_results_say(generate, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["docs/generate.py", "--check"])
    assert generate.main() == 0, capsys.readouterr().out


def test_a_number_that_was_changed_by_hand_is_written_anew(generate):
    stale = README.replace("62,378,344", "62,378,345")
    assert stale != README and generate.generated(stale) == README


def test_readme_is_short():
    assert len(README.splitlines()) <= 200
    assert len(README.encode()) <= 10_000


def test_readme_holds_the_two_commands():
    install = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && "
    assert f"{install}.venv/bin/python scripts/train.py --variant cifar_v1\n" in README
    assert f"{install}.venv/bin/python -m pytest\n" in README


def test_every_network_has_its_section_with_its_totals():
    page = documents.DOCS / "networks.md"
    for name in ka.list_variants():
        spec = ka.variants.get(name)
        text = documents.section(page, name)
        for number in (f"{spec.parameters:,}", f"{spec.macs:,}", spec.source):
            assert number in text, f"{name}: {number}"
        rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
        assert rows == [layer.name for layer in spec.layers]


def test_outputs_of_layers_are_those_of_the_built_network():
    page = documents.DOCS / "networks.md"
    for name in ("cifar_v2", "cuda_convnet_18pct"):
        model = ka.build(name)
        text = documents.section(page, name)
        for layer, output in re.findall(r"^\| `(\w+)` \|.*?\| ([\d ×]+) \|", text, re.M):
            shape = tuple(int(side) for side in output.split("×"))
            assert model.get_layer(layer).output.shape[1:] == shape, (name, layer)


def test_tables_of_results_have_all_rows():
    for page, name, rows, lines in (
        ("results.md", "results.csv", 41, 19),  # a line has all seeds
        ("export.md", "exports.csv", 18, 18),
    ):
        with open(documents.ROOT / "saved_models" / name, newline="") as file:
            assert len(list(csv.DictReader(file))) == rows
        text = (documents.DOCS / page).read_text(encoding="utf-8")
        part = text.partition("<!-- generated: ")[2].partition("<!-- end of ")[0]
        assert len(re.findall(r"^\| `", part, re.M)) == lines


def test_converted_networks_are_as_close_as_the_page_says():
    with open(documents.ROOT / "saved_models" / "parity.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9
    *converted, whole = rows
    assert int(whole["top5_same"]) >= 99 and float(whole["probabilities"]) < 1e-4
    for row in converted:
        figures = [value for name, value in row.items() if name.startswith(("conv", "fc", "log"))]
        assert max(float(value) for value in figures if value) < 1e-4
        assert row["top5_same"] == row["images"]


@pytest.mark.parametrize("page", documents.PAGES, ids=documents.name_of)
def test_files_and_links_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:keras_alexnet|scripts|tests|docs|saved_models)/[\w/.]+)`", text):
        if not path.startswith(("saved_models/mine", "saved_models/NAME")):
            assert (documents.ROOT / path).exists(), path
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if file.startswith("http"):
            continue
        linked = page if not file else (page.parent / file).resolve()
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked), target


def _anchors(page):
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {*slugs, *re.findall(r"^\(([\w-]+)\)=$", text, re.M)}


def test_every_page_is_in_the_index():
    index = (documents.DOCS / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"```\{toctree\}\n(.*?)```", index, re.S)
    listed = {line for tree in trees for line in tree.splitlines() if not line.startswith(":")}
    notebooks = {
        f"tutorials/{each.stem}" for each in (documents.DOCS / "tutorials").glob("*.ipynb")
    }
    assert listed - {""} == ({page.stem for page in documents.PAGES[1:]} | notebooks) - {"index"}


def test_every_public_name_is_on_the_api_page():
    text = (documents.DOCS / "api.md").read_text(encoding="utf-8")
    for name in ka.__all__:
        if name != "__version__":
            assert f"keras_alexnet.{name}" in text, name


def test_every_folder_of_the_drawing_has_its_paragraph():
    """tests/test_layout.py compares the drawing with import-linter's contract."""
    part = documents.section(documents.DOCS / "architecture.md", "Folders and modules")
    [drawing] = re.findall(r"```text\n(.*?)```", part, re.S)
    told = re.findall(r"^### (\w+)$", part, re.M)
    assert told == [line.split()[0] for line in drawing.splitlines()]
    for folder in told:
        text = documents.section(documents.DOCS / "architecture.md", folder)
        for name in re.findall(r"`(\w+(?:\.py|/))`", text):
            assert (documents.ROOT / "keras_alexnet" / folder / name).exists(), (folder, name)


def test_extras_named_are_those_of_the_package():
    with open(documents.ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for page in documents.PAGES:
        named = re.findall(r"pip install -e \.\[([\w,]+)\]", page.read_text(encoding="utf-8"))
        for name in ",".join(named).split(","):
            assert not name or name in extras, f"{documents.name_of(page)}: {name}"
    table = documents.section(documents.DOCS / "getting-started.md", "Install")
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set(extras)


@pytest.mark.parametrize("page", documents.PAGES, ids=documents.name_of)
def test_commands_are_taken_by_their_own_parsers(page):
    for name, *arguments in documents.commands(page):
        parser = _parser_of(name)
        if "--help" not in arguments:
            try:
                parser.parse_args(arguments)
            except SystemExit:
                pytest.fail(f"keras-alexnet {name} {' '.join(arguments)}")


def test_commands_are_found_in_all_their_forms():
    assert len(list(documents.commands(documents.DOCS / "recipes.md"))) >= 9
    found = list(documents.commands(documents.DOCS / "distributed.md"))
    assert [arguments[:3] for arguments in found] == [
        ["train", "--variant", "cifar_v2"],
        ["train", "--variant", "alexnet"],
        ["train", "--variant=alexnet", "--dataset=imagenet2012"],
    ]
    with pytest.raises(SystemExit):
        _parser_of("train").parse_args(["--no_such_flag", "1"])


@pytest.mark.parametrize("page", documents.PAGES, ids=documents.name_of)
def test_flags_named_in_the_text_exist(page):
    named = set(re.findall(r"`(?:[^`\n]* )?--([\w-]+)", page.read_text(encoding="utf-8")))
    known = {
        option.removeprefix("--")
        for name in main.COMMANDS
        for action in _actions(_parser_of(name))
        for option in action.option_strings
    }
    assert named - known <= FOREIGN


@functools.cache
def _parser_of(command):
    parser = flags.Parser(f"keras-alexnet {command}")
    importlib.import_module(f"keras_alexnet.cli.{command}").add_flags(parser)
    return parser


def _actions(parser):
    for action in parser._actions:  # argparse has no public list of them
        yield action
        if isinstance(action.choices, dict):
            for subparser in action.choices.values():
                yield from _actions(subparser)
