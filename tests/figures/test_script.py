"""scripts/figures.py: what it prints, writes and refuses."""

import concurrent.futures
import pathlib
import subprocess
import sys

import pytest

from keras_alexnet import run_folder
from support.pictures import read_png, read_table, write_metrics


def _run_script(commands):
    """Runs scripts/figures.py with each of the lists of arguments."""
    script = pathlib.Path(__file__).parents[2] / "scripts" / "figures.py"

    def run(arguments):
        command = [sys.executable, script, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, commands))


def _assert_refused(done, code, text):
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_script_draws_and_prints(tmp_path):
    write_metrics(tmp_path / "relu", [0.5, 0.8])
    out = tmp_path / "c.png"
    curves = ["curves", f"--runs={tmp_path}/relu", "--labels=ReLU", f"--out={out}"]
    drawn, refused = _run_script([curves, ["filters", "--layer=conv1", "--model=m", "--out=f.png"]])
    assert drawn.stdout.splitlines() == [
        "ReLU: a training error of 25 % in epoch 2",
        f"picture: {out}",
    ]
    assert read_table(tmp_path / "c.csv")[1]["epochs_to_reach_it"] == "2" and read_png(out).size
    _assert_refused(refused, 2, "unknown arguments: --layer=conv1")


@pytest.mark.slow
def test_script_says_what_is_wrong(model, data, tiny, image, tmp_path):
    mine = tmp_path / "mine"
    run_folder.save(mine, model, data.class_names)
    (tmp_path / "bad.png").write_bytes(b"no image")
    out = f"--out={tmp_path}/a.png"
    layer = [f"--model={mine}", "--variant=cifar_v2", "--layer=logits", out]
    source = [f"--dataset={tiny.dataset}", f"--data_dir={tiny.data_dir}", "--indices=5,0"]
    table = f"--table={tmp_path}/t.csv"
    drawn, named, damaged, needed, mode, number = _run_script(
        [
            ["activations", *layer, f"--image={image}"],
            ["likeliest", f"--model={mine}", out, *source, "--top=1", table],
            ["activations", *layer, f"--image={tmp_path}/bad.png"],
            ["neighbors", "--out=n.png"],
            ["filter", "--out=f.png"],
            ["likeliest", f"--model={mine}", out, "--indices=one"],
        ]
    )
    assert drawn.stdout == named.stdout == f"picture: {tmp_path}/a.png\n"
    shown = [row["image"] for row in read_table(tmp_path / "t.csv")]
    assert shown == [data.test.name(5), data.test.name(0)]
    _assert_refused(damaged, 1, "bad.png cannot be read")
    _assert_refused(needed, 2, "required: --model")
    _assert_refused(mode, 2, "invalid choice: 'filter'")
    _assert_refused(number, 2, "--indices")
