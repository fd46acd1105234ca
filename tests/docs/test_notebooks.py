"""The notebooks of docs/tutorials run, in short versions, and their stored outputs are small."""

import base64
import csv
import io
import json
import re

import pytest

from support import documents

NOTEBOOKS = sorted((documents.DOCS / "tutorials").glob("*.ipynb"))
SHORT = {"EPOCHS": 1, "IMAGES": 30, "STEPS": 2, "TEST_IMAGES": 20}  # in place of their parameters


def _cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def _tagged(path, tag):
    cells = [c for c in _cells(path) if tag in c["metadata"].get("tags", [])]
    return ["".join(cell["source"]) for cell in cells]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="the extra docs is not installed")
    import nbformat

    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = re.sub(
                r"^(\w+) = \d+",
                lambda found: f"{found[1]} = {SHORT[found[1]]}",
                cell.source,
                flags=re.M,
            )
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_there_and_small(path):
    outputs = [each for cell in _cells(path) for each in cell.get("outputs", [])]
    assert outputs, "run the notebook and store what it shows"
    said = json.dumps(outputs)
    assert not re.search(r"/(tmp|home|root|Users)/", said), "a path of the machine"
    assert all(each.get("name") != "stderr" for each in outputs)
    for each in outputs:
        if picture := each.get("data", {}).get("image/png"):
            assert len(base64.b64decode("".join(picture))) < 60_000
    [parameters] = _tagged(path, "parameters")
    assert set(re.findall(r"^(\w+) =", parameters, re.M)) <= SHORT.keys()
    assert _tagged(path, "install")


def test_the_measured_table_is_that_of_the_results():
    [cell] = _tagged(documents.DOCS / "tutorials" / "paper_claim_by_claim.ipynb", "measured")
    shown = list(csv.DictReader(io.StringIO(cell.split('"""')[1])))
    path = documents.ROOT / "saved_models" / "figures" / "relu_tanh.csv"
    with open(path, newline="") as file:
        measured = list(csv.DictReader(file))
    assert shown == [{name: row[name] for name in shown[0]} for row in measured]
