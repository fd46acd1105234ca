"""Errors of several runs by epoch: the table, the lines, and runs that cannot be drawn."""

import json
import math

import pytest

import keras_alexnet as ka
from keras_alexnet import figures
from keras_alexnet.figures.curves import in_words
from support.pictures import read_png, read_table, texts_of, write_metrics


def test_epochs_to_reach_an_error(tmp_path):
    relu = write_metrics(tmp_path / "relu", [0.5, 0.75, 0.7, 0.9], [0.4, 0.5, 0.6, 0.625])
    tanh = write_metrics(tmp_path / "tanh", [0.3, 0.7499])
    out = tmp_path / "curves.png"
    assert figures.curves([relu, tanh / "metrics.csv"], out) == {"relu": 2, "tanh": None}
    rows = read_table(tmp_path / "curves.csv")
    assert list(rows[0]) == [
        *("run", "dataset", "epoch", "training_error_percent", "validation_error_percent"),
        *("error_to_reach_percent", "epochs_to_reach_it"),
    ]
    assert [row["run"] for row in rows] == ["relu"] * 4 + ["tanh"] * 2
    assert [float(row["training_error_percent"]) for row in rows[:4]] == pytest.approx(
        [50, 25, 30, 10]
    )
    assert rows[3]["validation_error_percent"] == "37.5"
    assert rows[4]["validation_error_percent"] == ""
    assert [row["epochs_to_reach_it"] for row in rows[3:5]] == ["2", ""]
    height, width, _ = read_png(out).shape
    assert 400 < height < 800 and 800 < width < 1200
    table = tmp_path / "other.json"
    assert figures.curves([relu], out, labels=["ReLU"], error=10, table=table) == {"ReLU": 4}
    assert json.loads(table.read_text())[0]["error_to_reach_percent"] == 10
    assert in_words({"ReLU": 4}, 10.0) == ["ReLU: a training error of 10 % in epoch 4"]


def test_dashed_line_is_at_the_error(drawn, tmp_path):
    run = write_metrics(tmp_path / "run", [0.5, math.nan])
    figures.curves([run], tmp_path / "curves.png", error=25)
    [axes] = drawn[0].axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["25 %"].get_linestyle() == "--" and set(lines["25 %"].get_ydata()) == {25}
    assert lines["run"].get_ydata()[0] == 50 and list(lines["run"].get_xdata()) == [1, 2]
    assert axes.get_title() == "Training error on shapes"


def test_many_runs_are_told_apart_without_colors(drawn, tmp_path):
    names = [f"{i}, a run with a rather long name, " + "which its folder has" for i in range(12)]
    runs = [write_metrics(tmp_path / name, [0.5, 0.6], [0.4, 0.5]) for name in names]
    figures.curves(runs, tmp_path / "curves.png")
    [axes] = drawn[0].axes
    lines = [line for line in axes.get_lines() if line.get_marker() not in ("None", "")]
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 12
    [legend] = drawn[0].legends  # below the curves, which it would hide
    labels = [text.get_text() for text in legend.get_texts()]
    assert len(labels) == 25 and any(label.endswith("…, validation") for label in labels)
    assert not axes.get_window_extent().overlaps(legend.get_window_extent())


def test_names_are_not_formulas(drawn, tmp_path):
    run = write_metrics(tmp_path / "run", [0.5])
    figures.curves([run], tmp_path / "curves.png", labels=["x$_2$y"])
    assert "x$_2$y" in texts_of(drawn[0])
    assert not any(text.get_parse_math() for text in drawn[0].axes[0].get_legend().get_texts())


def test_runs_that_cannot_be_drawn(tmp_path):
    out, run = tmp_path / "curves.png", write_metrics(tmp_path / "run", [0.5])
    for arguments, text in [
        (([],), "Runs are needed"),
        (([run, run],), "Two runs are called 'run'"),
        (([run],), r"each of 1 run\(s\). Received: 2"),
    ]:
        labels = ["a", "b"] if "each of" in text else None
        with pytest.raises(ka.UsageError, match=text):
            figures.curves(*arguments, out, labels=labels)
    with pytest.raises(ka.UsageError, match="of at most 100. Received: 101"):
        figures.curves([run], out, error=101)
    with pytest.raises(ka.UserError, match="none/?.* cannot be read: No such file"):
        figures.curves([tmp_path / "none"], out)
    for text in ("", "epoch,top1\n1,many\n", "epoch,loss\n1,2\n"):
        (run / "metrics.csv").write_text(text)
        with pytest.raises(ka.UserError, match="is not the metrics.csv of a run"):
            figures.curves([run], out)
    assert not out.exists()
