"""The steps of "Adding a network" in docs/contributing.md, followed."""

import pathlib
import re

import pytest

import keras_alexnet
from support.networks import registered

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "contributing.md"


def snippets():
    """Returns the Python blocks of the section."""
    if not PAGE.exists():
        pytest.skip("docs/contributing.md does not exist yet")
    text = PAGE.read_text(encoding="utf-8")
    section = re.search(r"^## Adding a network\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert section, "docs/contributing.md has no section named Adding a network"
    blocks = re.findall(r"^```python\n(.*?)^```", section[1], re.M | re.S)
    assert blocks, "the section has no Python"
    return blocks


@pytest.mark.slow
def test_the_page_adds_a_network_that_is_built_and_trained(tmp_path, monkeypatch, capsys):
    blocks = snippets()
    monkeypatch.chdir(tmp_path)
    known, names = keras_alexnet.list_variants(), {}
    with registered():
        for number, block in enumerate(blocks):
            exec(compile(block, f"{PAGE.name}, Python block {number}", "exec"), names)
        [added] = set(keras_alexnet.list_variants()) - set(known)
        spec = keras_alexnet.networks.get(added)
        totals = keras_alexnet.layer_table(added).totals
        assert (totals["parameters"], totals["macs"]) == (spec.parameters, spec.macs)
        shown = capsys.readouterr().out
        assert "conv1" in shown and f"{spec.parameters:,}" in shown
        [model_file] = tmp_path.rglob("model.keras")
        assert keras_alexnet.load(model_file.parent).model.name == added
        keras_alexnet.networks.unregister(added)
        assert keras_alexnet.list_variants() == known
