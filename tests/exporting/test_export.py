"""export(): what it writes and says, what it refuses, and that nothing half-written remains."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet as ka
from keras_alexnet import ExportConfig
from keras_alexnet.cli.main import main
from keras_alexnet.exporting import hub_card, latency, model_card, reports
from keras_alexnet.run_folder import CONFIG, LABELS, MODEL, RESULTS
from keras_alexnet.utils import files

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def exported(animals_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("saved_models") / "animals"
    config = ExportConfig(
        model=animals_run,
        out=out,
        quantization=["float32", "int8"],
        calibration_images=20,
        views=(1, 10),
        record=str(out.parent / "exports.csv"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "ROUNDS", 1)
        # tests/exporting/test_latency.py times a SavedModel; each of its processes takes 5 seconds.
        patch.setattr(latency, "saved_model_timer", lambda folder, threads: _timer_in(folder))
        return out, ka.export(config)


def _timer_in(folder):
    """Stands for the process that times the SavedModel in a folder, which has to be there."""
    assert (pathlib.Path(folder) / "saved_model.pb").is_file()
    return contextlib.nullcontext(lambda calls: [0.001] * calls)


def _everything(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_files_are_where_servers_and_people_look(exported):
    out, _ = exported
    names = _everything(out)
    assert {
        "1/saved_model.pb",
        "1/assets/labels.txt",
        "1/assets.extra/signature.json",
        "1/assets.extra/model_card.md",
        "1/assets.extra/export.json",
        "tflite/cifar_v2_float32.tflite",
        "tflite/cifar_v2_int8.tflite",
        "tflite/model_card.md",
        "tflite/export.json",
    } <= names
    assert {path.name for path in out.iterdir()} == {"1", "tflite", "README.md"}


def test_report_is_what_the_files_hold(exported):
    out, report = exported
    for place in ("1/assets.extra", "tflite"):
        assert json.loads((out / place / "export.json").read_text()) == report
    assert report["files"].keys() == {"saved_model", "tflite float32", "tflite int8"}
    hashed = {
        name: sha for facts in report["files"].values() for name, sha in facts["sha256"].items()
    }
    said_of_itself = {name for name in _everything(out) if name.endswith((".md", "export.json"))}
    assert hashed.keys() == _everything(out) - said_of_itself
    assert all(files.sha256_of(out / name) == sha for name, sha in hashed.items())
    for facts in report["files"].values():
        assert facts["bytes"] == sum((out / name).stat().st_size for name in facts["sha256"])
        assert all(0 < facts["latency_seconds"][threads] < 1 for threads in ("1", "2"))


def test_every_file_is_compared_on_the_test_images(exported, animals_run):
    _, report = exported
    assert report["compared_on"] == "24 test images of animals"
    for name, facts in report["files"].items():
        found = facts["agreement"]
        assert found["images"] == 24
        assert found["relative_difference"] < (0.2 if "int8" in name else 1e-4)
    results = json.loads((animals_run / "results.json").read_text())
    assert report["accuracy"]["1"]["top1"] == pytest.approx(results["test_top1"])
    assert report["accuracy"]["1"]["loss"] == pytest.approx(results["test_loss"], rel=1e-5)
    assert report["accuracy"].keys() == {"1", "10"}
    exact = report["files"]["saved_model"]["agreement"]
    assert exact["top1"] == pytest.approx(results["test_top1"])


def test_model_card_says_what_a_reader_needs(exported):
    out, report = exported
    card = (out / "tflite" / "model_card.md").read_text()
    for text in (
        "cifar_v2: ",
        "575,427",  # parameters: 576,778 of ten classes less 7 × (192 + 1)
        report["data_sha256"],
        report["model_sha256"],
        report["files"]["tflite int8"]["sha256"]["tflite/cifar_v2_int8.tflite"],
        "| 10 |",
        "20 training images of animals",
        "3 classes: cat, dog, owl",
        "document 001 (code): a PyTorch lesson",
        "| Keras model |",
        "weight_decay",
        "License",
        "no decision about people",
        f"TensorFlow {tf.__version__}",
        report["processor"],
    ):
        assert text in card, text
    assert not re.search(r"\b(None|nan|inf)\b", card)


def test_readme_is_the_card_with_what_the_hub_reads(exported, tmp_path, caplog):
    yaml = pytest.importorskip("yaml")
    out, report = exported
    _, front, card = (out / "README.md").read_text().split("---\n", 2)
    assert card.strip() == (out / "tflite" / "model_card.md").read_text().strip()
    found = yaml.safe_load(front)
    assert (found["library_name"], found["license"]) == ("keras", "apache-2.0")
    assert found["metrics"] == ["accuracy"] and "datasets" not in found  # of somebody's own images
    assert {"cifar_v2", "alexnet", "saved_model", "tflite"} <= set(found["tags"])
    [result] = found["model-index"][0]["results"]
    assert result["dataset"]["name"] == "animals"
    assert [metric["name"] for metric in result["metrics"]][:2] == [
        "top-1, 1 view",
        "top-5, 1 view",
    ]
    assert result["metrics"][0]["value"] == pytest.approx(report["accuracy"]["1"]["top1"], abs=1e-6)
    shipped = {"dataset": "cifar10-jpeg", "license": "BSD-3-Clause", "accuracy": {}}
    matter = hub_card.front_matter({**report, "trained": None, "shipped": shipped, "accuracy": {}})
    known = yaml.safe_load(matter.strip("-\n"))
    assert known["datasets"] == ["uoft-cs/cifar10"] and known["license"] == "bsd-3-clause"
    assert "model-index" not in known
    published = {**shipped, "dataset": "imagenet2012", "accuracy": {"1": {"top1": 0.5, "top5": 1}}}
    unmeasured = {**report, "trained": None, "accuracy": {}, "published": published}
    known = yaml.safe_load(hub_card.front_matter(unmeasured).strip("-\n"))
    assert (known["license"], known["datasets"]) == ("bsd-3-clause", ["ILSVRC/imagenet-1k"])
    assert known["model-index"][0]["results"][0]["dataset"]["split"] == "validation"
    named = hub_card.front_matter({**report, "dataset": "fashion_mnist"})
    [result] = yaml.safe_load(named.strip("-\n"))["model-index"][0]["results"]
    assert result["dataset"]["type"] == "zalando-datasets/fashion_mnist"
    for text in ("# My own page", "---\nlibrary_name: keras\n---\n"):
        (tmp_path / "README.md").write_text(text)
        hub_card.write(tmp_path, report, card)
        assert (tmp_path / "README.md").read_text() == text
    assert "not a model card of keras_alexnet and was left as it is" in caplog.text
    (tmp_path / "README.md").write_text((out / "README.md").read_text())
    hub_card.write(tmp_path, report, "a new card")
    assert (tmp_path / "README.md").read_text().endswith("a new card")


def _run_snippet(card, folder, monkeypatch, capsys):
    """Runs the program of a card in its folder, and returns what it prints."""
    [program] = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(folder / "photo.jpg")
    monkeypatch.chdir(folder)
    exec(program, {})
    return capsys.readouterr().out


def test_program_of_the_card_runs(exported, animals_run, tmp_path, monkeypatch, capsys):
    out, report = exported
    shutil.copytree(out, tmp_path / "out")
    ka.save(animals_run, tmp_path / "saved")
    for name in ("out", "saved"):
        card = (tmp_path / name / "README.md").read_text()
        printed = _run_snippet(card, tmp_path / name, monkeypatch, capsys)
        assert {line.partition(":")[0] for line in printed.splitlines()} == {"cat", "dog", "owl"}
        assert "| weight_decay | " in card  # the recipe is a table
    assert "`tflite/cifar_v2_int8.tflite`" in (tmp_path / "out" / "README.md").read_text()


def test_a_saved_run_has_its_card_and_is_the_run(animals_run, tmp_path):
    ka.save(animals_run, tmp_path / "saved")
    assert _everything(tmp_path / "saved") == {"README.md", CONFIG, LABELS, MODEL, RESULTS}
    saved, run = ka.load(tmp_path / "saved"), ka.load(animals_run)
    assert (saved.config, saved.results, saved.labels) == (run.config, run.results, run.labels)
    readme = (tmp_path / "saved" / "README.md").read_text()
    for text in ("model-index:", "## Training", "24 test images", saved.sha256):
        assert text in readme, text


def test_model_card_says_what_is_seen_of_an_image(exported):
    _, report = exported
    plan = ka.variants.get("alexnet_caffe").image_plan
    for image_plan, words, others in (
        (report["image_plan"], "reduced to its center square", "squeezed"),
        (dataclasses.asdict(plan), "squeezed into 256 x 256 pixels", "square"),
    ):
        text = model_card.text({**report, "image_plan": image_plan})
        assert words in text and others not in text


def test_recorded_rows_are_those_of_the_report(exported, animals_run, tmp_path):
    out, report = exported
    rows = files.read_rows(out.parent / "exports.csv", reports.COLUMNS)
    assert [row["file"] for row in rows] == list(report["files"])
    for row in rows:
        facts = report["files"][row["file"]]
        assert int(row["bytes"]) == facts["bytes"] and row["dataset"] == "animals"
        milliseconds = 1000 * facts["latency_seconds"]["2"]
        assert float(row["milliseconds_2_threads"]) == pytest.approx(milliseconds, rel=1e-4)
        assert float(row["top1"]) == pytest.approx(facts["agreement"]["top1"], rel=1e-4)
        assert (row["recipe"], row["test_images"]) == ("default", "24")
    with pytest.raises(ka.UserError, match="Give --record a different file"):
        (tmp_path / "other.csv").write_text("a,b\n")
        ka.export(
            ExportConfig(
                model=animals_run, out=tmp_path / "out", record=str(tmp_path / "other.csv")
            )
        )


def test_versions_are_never_overwritten(animals_run, exported):
    out, _ = exported
    with pytest.raises(ka.UserError, match="Versions are never overwritten"):
        ka.export(ExportConfig(model=animals_run, out=out, formats=["saved_model"], version=1))


def test_bare_file_exports_with_class_numbers_and_drawn_images(tmp_path, caplog):
    path = tmp_path / "mine.keras"
    ka.build("cifar_v2", num_classes=7, seed=0, name="stranger").save(path)
    options = {"model": path, "out": tmp_path / "out", "formats": ["saved_model"]}
    report = ka.export(ExportConfig(variant="cifar_v2", latency=False, **options))
    assert report["variant"] == "cifar_v2"
    assert "class numbers are used as labels" in caplog.text
    assert "so drawn images replace it" in caplog.text
    assert (tmp_path / "out" / "1" / "assets" / "labels.txt").read_text() == "0\n1\n2\n3\n4\n5\n6\n"
    assert report["labels_are_names"] is False and report["accuracy"] == {}
    card = (tmp_path / "out" / "1" / "assets.extra" / "model_card.md").read_text()
    assert "whose names are not known: 0, 1, 2" in card and "Not measured" in card
    assert "under which license, is not known" in card
    assert not ka.load(tmp_path / "out").labels_are_names


def test_options_are_refused_before_anything_is_written(animals_run, tmp_path):
    def refused(kind, text, model=animals_run, **options):
        with pytest.raises(kind, match=text):
            ka.export(ExportConfig(model=model, out=tmp_path / "out", **options))
        assert not (tmp_path / "out").exists()

    refused(ka.UsageError, "Unknown quantization 'int4'", quantization=["int4"])
    refused(ka.UsageError, "Unknown formats 'tensorrt'", formats=["tensorrt"])
    refused(ka.UsageError, "Unknown input_dtype 'int8'", input_dtype="int8")
    refused(ka.UsageError, "At least one of formats", formats=[])
    refused(ka.UsageError, "Unknown views 3", views=[3])
    refused(ka.UsageError, "calibration_images must be", calibration_images=0)
    refused(ka.UserError, "There is no model", model=tmp_path / "none")
    refused(ka.UsageError, "--model and --out are needed", model=None)
    refused(ka.UsageError, "model must not be empty", model="")
    refused(ka.UserError, "holds no model.keras", model=tmp_path)
    refused(ka.UserError, "3 classes, but shapes has 10", dataset="shapes")
    ka.build("cifar_v2", num_classes=3).save(tmp_path / "mine.keras")
    bare = tmp_path / "mine.keras"
    refused(ka.UsageError, "calibrated with training images", model=bare, quantization=["int8"])
    refused(ka.UsageError, "--data_dir needs --dataset", model=bare, data_dir=str(tmp_path))
    ka.build("cifar_v2", num_classes=3, name="stranger").save(tmp_path / "stranger.keras")
    refused(ka.UsageError, "--variant", model=tmp_path / "stranger.keras")
    refused(ka.UsageError, "is a cifar_v2, and --variant", variant="cifar_v3")
    ka.build("cifar_v3", num_classes=3, input_shape=(32, 48, 3)).save(tmp_path / "wide.keras")
    refused(ka.UsageError, "Only networks with square inputs", model=tmp_path / "wide.keras")


def test_files_of_earlier_exports_are_told_of_or_in_the_way(animals_run, tmp_path):
    out, options = tmp_path / "out", {"formats": ["tflite"], "latency": False, "views": [1]}
    ka.export(
        ExportConfig(model=animals_run, out=out, quantization=["float16"], test_images=5, **options)
    )
    ka.export(ExportConfig(model=animals_run, out=out, quantization=["float32"], **options))
    card = (out / "tflite" / "model_card.md").read_text()
    assert "tflite float16 was exported earlier and compared on 5 of 24 test images" in card
    told = json.loads((out / "tflite" / "export.json").read_text())["files"]
    assert told.keys() == {"tflite float16", "tflite float32"}
    before = {path: path.read_bytes() for path in (out / "tflite").iterdir()}
    with pytest.raises(ka.UserError, match="cifar_v2_float16.tflite with a different network"):
        ka.export(
            ExportConfig(
                model=animals_run,
                out=out,
                quantization=["float32"],
                input_dtype="float32",
                **options,
            )
        )
    assert {path: path.read_bytes() for path in (out / "tflite").iterdir()} == before


def test_run_whose_data_are_gone_still_exports(animals_run, tmp_path, caplog):
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in (MODEL, LABELS, CONFIG, RESULTS):
        (moved / name).write_bytes((animals_run / name).read_bytes())
    described = json.loads((moved / CONFIG).read_text())
    described["config"]["data_dir"] = str(tmp_path / "gone")
    (moved / CONFIG).write_text(json.dumps(described))
    report = ka.export(
        ExportConfig(model=moved, out=tmp_path / "out", formats=["saved_model"], latency=False)
    )
    assert "The run's data cannot be loaded" in caplog.text
    assert report["compared_on"].startswith("64 drawn images")
    with pytest.raises(ka.UserError, match="gone"):
        ka.export(
            ExportConfig(
                model=moved, out=tmp_path / "out8", formats=["tflite"], quantization=["int8"]
            )
        )
    assert not (tmp_path / "out8").exists()


def _script(*flags):
    command = [sys.executable, "scripts/export.py", *map(str, flags)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_script_exports_and_prints_the_figures(animals_run, tmp_path):
    flags = ["--formats=saved_model", "--nolatency", "--views=1", "--test_images=10"]
    process = _script(f"--model={animals_run}", f"--out={tmp_path / 'out'}", *flags)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "saved_model: 1, " in out and "top1_agreement: 1.0" in out
    report = json.loads((tmp_path / "out" / "1" / "assets.extra" / "export.json").read_text())
    assert report["compared_on"] == "10 of 24 test images of animals"


def test_full_disk_leaves_nothing_and_says_so(animals_run, tmp_path, capfd):
    flags = ["--formats=saved_model", "--nolatency", "--views=1"]
    (tmp_path / "out").mkdir()
    # Files cannot grow past the limit, as on a disk that is full.
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        code = main(["export", f"--model={animals_run}", f"--out={tmp_path / 'out'}", *flags])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    err = capfd.readouterr().err
    assert code == 1 and "Traceback" not in err, err
    assert "Nothing was exported" in err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.processes
def test_killed_export_shows_no_version_and_the_next_one_sweeps(animals_run, tmp_path):
    out = tmp_path / "out"
    process = _script(f"--model={animals_run}", f"--out={out}", "--formats=saved_model")
    deadline = time.monotonic() + 120
    while not list(out.glob(".export-*/1/saved_model.pb")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [path.name for path in out.iterdir()] == [f".export-{platform.node()}-{process.pid}"]
    ka.export(
        ExportConfig(model=animals_run, out=out, formats=["saved_model"], latency=False, views=[1])
    )
    assert sorted(os.listdir(out)) == ["1", "README.md"]


@pytest.mark.parametrize(
    ("setting", "formats", "message"),
    [
        (
            {"quantization": ["int8"]},
            ["saved_model", "onnx"],
            "TFLite files. Add tflite or web .* quantization=int8 with formats=saved_model,onnx",
        ),
        ({"version": 7}, ["tflite"], "the SavedModel. Add saved_model to the formats"),
    ],
)
def test_settings_of_other_formats_are_refused(setting, formats, message, tmp_path):
    config = ExportConfig(model="cifar_v2", out=tmp_path, formats=formats, **setting)
    with pytest.raises(ka.UsageError, match=f"{[*setting][0]} is for {message}"):
        ka.export(config)


def test_bfloat16_is_for_saved_models(tmp_path):
    config = ExportConfig(model="cifar_v2", out=tmp_path, formats=["tflite"], precision="bfloat16")
    with pytest.raises(ka.UsageError, match="precision=bfloat16 is for a SavedModel: add saved_mo"):
        ka.export(config)
    with pytest.raises(ka.UsageError, match="Unknown precision 'bf16'. Did you mean 'bfloat16'?"):
        dataclasses.replace(config, precision="bf16")
