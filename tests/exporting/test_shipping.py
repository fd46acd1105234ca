"""`ship`: a run becomes weights as they come with the package, measured as users load them."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import UsageError, UserError, run_folder
from keras_alexnet.cli.main import main
from keras_alexnet.exporting import shipping
from keras_alexnet.exporting.config import FORMS, ShipConfig
from keras_alexnet.weights import shipped_file


@pytest.fixture(scope="module")
def run(config_in, tmp_path_factory):
    """The folder of a run of the small network on three classes."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    ka.train(config_in(folder, overrides={"epochs": 1}, dataset_name="animals"))
    return folder


def test_the_card_is_of_what_was_written(run, tmp_path, small_variant, tiny_folder, monkeypatch):
    card = shipping.ship(ShipConfig(model=run, out=tmp_path / "shipped"))
    file = tmp_path / "shipped" / f"{small_variant}-animals.safetensors"
    assert card == shipped_file.read_card(file) and card["file"] == file.name
    assert (card["dataset"], card["test_images"]) == ("animals", 24)
    assert card["labels"] == ["cat", "dog", "owl"]
    monkeypatch.setattr(shipped_file, "FOLDER", file.parent)
    monkeypatch.chdir(tmp_path)
    config = ka.EvaluateConfig(
        model=small_variant, dataset="image_folder", data_dir=tiny_folder, views=2
    )
    found = ka.evaluate(config)
    assert found["top1"] == card["accuracy"]["2"]["top1"]
    assert found["loss"] == pytest.approx(card["accuracy"]["2"]["loss"], rel=1e-5)
    assert found["shipped"] == {"file": file.name, "sha256": card["sha256"]}
    logits = ka.load(small_variant).logits(shipped_file.check_images(32))
    np.testing.assert_allclose(logits, card["check"], atol=1e-4)
    assert card["command"] == (
        f"keras-alexnet train --variant {small_variant} --recipe default --dataset image_folder "
        "--data_dir tiny --seed 0 --precision float32 --epochs 1 --global_batch_size 16"
    )
    assert str(run.parent) not in file.with_suffix(shipped_file.CARD).read_text()


@pytest.mark.processes
def test_what_loses_too_much_is_not_shipped(run, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="absl")
    monkeypatch.setattr(shipping, "MOST_LOST", -1)
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="each of int8, float16 loses"):
        shipping.ship(ShipConfig(model=run, out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    for form in FORMS:
        assert f"{form}: top-1 " in caplog.text


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"name": "My photos"}, UsageError, "lower-case letters"),
        ({"dataset": "shapes"}, UserError, "The network has 3 classes"),
        ({"model": "cifar_v2"}, UserError, "needs the folder of a run that has ended"),
    ],
)
def test_what_cannot_be_shipped_is_said(settings, error, message, run, tmp_path):
    with pytest.raises(error, match=message):
        shipping.ship(ShipConfig(**{"model": run, "out": tmp_path / "out", **settings}))
    assert not list((tmp_path / "out").glob("*"))


def test_only_networks_that_build_makes_by_default_are_shipped(run, tmp_path, small_variant):
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    ka.build(small_variant, num_classes=3, activation="tanh").save(changed / run_folder.MODEL)
    with pytest.raises(UserError, match="it is not .* as build makes it by default: .*relu"):
        shipping.ship(ShipConfig(model=changed, out=tmp_path / "out"))


def test_other_data_than_the_runs_are_refused(run, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    results = json.loads((changed / run_folder.RESULTS).read_text())
    results["data_sha256"] = "0" * 64
    (changed / run_folder.RESULTS).write_text(json.dumps(results))
    with pytest.raises(UserError, match="its SHA-256 should be 0000"):
        shipping.ship(ShipConfig(model=changed, out=tmp_path / "out"))


@pytest.mark.processes
def test_the_command_ships_and_replaces(run, tmp_path, capsys, small_variant):
    out = tmp_path / "shipped"
    arguments = ["ship", f"--model={run}", f"--out={out}", "--name=toy", "--views=1"]
    for form in ("int8", "float16"):
        assert main([*arguments, f"--forms={form}"]) == 0
        said = capsys.readouterr().out
        assert f"file: {small_variant}-toy.safetensors\n" in said and f"stored_as: {form}\n" in said
    assert len(list(out.iterdir())) == 2
    config = ka.ExportConfig(
        model=next(out.glob("*.safetensors")), out=tmp_path / "exports", latency=False
    )
    report = ka.export(dataclasses.replace(config, formats=("tflite",)))
    assert report["shipped"]["sha256"] == report["model_sha256"]
    card = (tmp_path / "exports" / "tflite" / "model_card.md").read_text()
    assert "weights `toy`, stored as float16" in card and "| 1 | " in card
    assert "cat, dog, owl" in card and "- Recipe default" in card
