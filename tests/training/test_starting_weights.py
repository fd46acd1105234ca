"""Runs that start from weights: what is loaded, what is recorded, and what a resume reads."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import UsageError, UserError, run_folder
from keras_alexnet.training.checkpoints import Checkpoints
from keras_alexnet.utils import files
from keras_alexnet.weights import shipped_file
from support.shipped_weights import write_shipped

STILL = {"epochs": 1, "global_batch_size": 16, "learning_rate": 1e-12}


@pytest.fixture
def start(tmp_path, small_variant):
    """A file with the small network for ten classes, of pixel constants of its own."""
    model = ka.build(small_variant, seed=9, pixel_mean=(10, 20, 30))
    model.save(tmp_path / "start.keras")
    return tmp_path / "start.keras"


@pytest.mark.slow
def test_a_run_starts_from_the_file_and_resumes_without_it(config, start):
    config = dataclasses.replace(config, weights=str(start), max_steps=1, overrides=STILL)
    digest = files.sha256_of(start)
    found = ka.train(config)
    source, model = ka.load(start).model, ka.load(config.workdir).model
    for name in ("conv1", "conv5", "fc7"):
        kernel = model.get_layer(name).kernel
        np.testing.assert_allclose(kernel, source.get_layer(name).kernel, atol=1e-6)
    assert model.output_shape == (None, 3)
    assert model.get_layer("standardize").mean == [10, 20, 30]
    described = json.loads(open(f"{config.workdir}/{run_folder.CONFIG}").read())["weights"]
    assert described["sha256"] == found["weights"]["sha256"] == digest
    assert f"weights=start.keras@{digest[:12]}" in found["overrides"]

    start.unlink()
    onward = ka.TrainConfig(
        workdir=config.workdir, resume=True, max_steps=2, allow_change="max_steps"
    )
    assert ka.train(onward)["weights"]["sha256"] == digest
    again = ka.load(config.workdir).model
    assert again.get_layer("standardize").mean == [10, 20, 30]
    np.testing.assert_allclose(
        again.get_layer("fc7").kernel, source.get_layer("fc7").kernel, atol=1e-6
    )

    with pytest.raises(UserError, match=f"weights: was {start}, is now other.keras"):
        ka.train(dataclasses.replace(onward, weights="other.keras", allow_change=None))
    with pytest.raises(UsageError, match="reads no others"):
        ka.train(dataclasses.replace(onward, weights="other.keras", allow_change="weights"))

    # Killed before its first checkpoint, it needs the file, and the same one.
    shutil.rmtree(f"{config.workdir}/checkpoints")
    Checkpoints(config.workdir).begin()
    with pytest.raises(UserError, match="no such file"):
        ka.train(dataclasses.replace(onward, max_steps=3))
    ka.build(config.variant, seed=1).save(start)
    with pytest.raises(UserError, match=f"should begin with {digest}"):
        ka.train(dataclasses.replace(onward, max_steps=3))


@pytest.mark.parametrize(
    "weights, error, message",
    [
        ("missing.keras", UserError, "no such file"),
        ("", UsageError, "weights must not be empty"),
        ("labels.txt", UsageError, "weights must be the folder of a run or a file"),
        ("v2.keras", UserError, "missing: conv3/kernel"),
    ],
)
def test_a_run_that_cannot_start_leaves_nothing(weights, error, message, config, tmp_path):
    if weights == "v2.keras":
        ka.build("cifar_v2").save(tmp_path / weights)
    with pytest.raises(error, match=message):
        ka.train(dataclasses.replace(config, weights=weights and str(tmp_path / weights)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "names", [["dog", "cat", "owl"], pytest.param(["cat", "dog", "owl"], marks=pytest.mark.slow)]
)
def test_a_run_starts_from_weights_of_the_package(
    names, config, tmp_path, small_variant, monkeypatch, caplog
):
    caplog.set_level("INFO", logger="absl")
    source = ka.build(small_variant, num_classes=3, seed=9, pixel_mean=(10, 20, 30))
    file = write_shipped(tmp_path / "package", source, names)
    monkeypatch.setattr(shipped_file, "FOLDER", file.parent)
    config = dataclasses.replace(config, weights="toy", max_steps=1, overrides=STILL)
    found = ka.train(config)
    model, start = ka.load(config.workdir).model, ka.load(small_variant).model
    np.testing.assert_allclose(
        model.get_layer("fc7").kernel, start.get_layer("fc7").kernel, atol=1e-6
    )
    assert model.get_layer("standardize").mean == [10, 20, 30]
    far = np.abs(model.get_layer("logits").kernel - start.get_layer("logits").kernel).max()
    same_classes = names == ["cat", "dog", "owl"]
    assert (far < 1e-6) == same_classes
    assert ("classes of toy have other names" in caplog.text) != same_classes
    digest = files.sha256_of(file)
    assert (found["weights"]["file"], found["weights"]["sha256"]) == ("toy", digest)
    assert found["weights"]["shipped"] == file.name
    assert f"weights=toy@{digest[:12]}" in found["overrides"]
