"""What the README shows is what the package does."""

import csv
import pathlib
import re

import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import variants

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_python_snippets_run(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Two replicas, where the machine may have no GPU to make them of.
    snippet = SNIPPETS[number].replace(
        "MirroredStrategy()",
        'MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())',
    )
    names = {}
    exec(compile(snippet, f"README snippet {number}", "exec"), names)
    if "model.fit" in snippet:
        history = names["model"].history.history
        assert history["accuracy"][-1] > 0.15, "no better than chance"


def test_there_are_snippets_for_one_device_and_for_many():
    assert sum("model.fit" in snippet for snippet in SNIPPETS) == 2
    assert sum("MirroredStrategy()" in snippet for snippet in SNIPPETS) == 1


def test_table_of_networks_is_the_tables():
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", README, re.M)
    shown = {name: tuple(int(n.replace(",", "")) for n in numbers) for name, *numbers in rows}
    known = [variants.get(name) for name in ka.list_variants()]
    assert shown == {row.name: (row.input_size, row.parameters, row.macs) for row in known}


def test_table_of_results_is_that_of_the_file():
    table = README.partition("<!-- results -->")[2].partition("<!-- /results -->")[0]
    with open(ROOT / "saved_models" / "results.csv", newline="", encoding="utf-8") as file:
        expected = [
            f"| `{row['variant']}` | {row['recipe']} | {row['dataset']} | {row['epochs']} | "
            f"{row['precision']} | {100 * float(row['test_top1']):.2f} | "
            f"{100 * float(row['test_top5']):.2f} | {row['views']} | "
            f"{float(row['seconds_per_epoch']):.0f} | {row['commit']} |"
            for row in csv.DictReader(file)
        ]
    assert table.strip().splitlines()[2:] == expected


def test_flags_shown_exist():
    from keras_alexnet.config import FLAG_FIELDS, RECIPE_FLAG_FIELDS

    known = {field.name for field in (*FLAG_FIELDS, *RECIPE_FLAG_FIELDS)}
    shown = {
        flag.removeprefix("no")
        for line in re.findall(r"scripts/train\.py.*(?:\n    .*)*", README)
        for flag in re.findall(r"--(\w+)", line)
    }
    assert shown - known <= {"help"}
    assert tf.config.list_logical_devices("CPU")[1:], "two replicas need two logical devices"
