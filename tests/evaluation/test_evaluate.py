import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import DataSpec, EvaluateConfig, run_folder
from keras_alexnet.distributed import devices
from keras_alexnet.evaluation.evaluator import Evaluator
from keras_alexnet.exporting.formats import onnx, saved_model, tflite
from support.blank_pictures import blank_pictures  # noqa: F401
from support.image_folders import write_images
from support.machines import X86, set_machine


@pytest.fixture(scope="module")
def data(tiny_folder):
    return ka.load_dataset(DataSpec("image_folder", data_dir=tiny_folder))


@pytest.fixture(scope="module")
def model():
    return ka.build("cifar_v2", num_classes=3, seed=0)


def _plan():
    return ka.variants.get("cifar_v2").image_plan_for()


@pytest.mark.parametrize("views", [1, 2, 10])
@pytest.mark.parametrize("replicas", [1, 2])
def test_log_probabilities_are_those_of_the_mean_softmax(data, views, replicas):
    strategy = tf.distribute.get_strategy()
    if replicas == 2:
        strategy = devices.strategy_for(2)
    with strategy.scope():
        model = ka.build("cifar_v2", num_classes=3, seed=0)
    # 24 images in steps of 50 // views: the last step is short, and with two replicas uneven.
    evaluator = Evaluator(model, data.test, _plan(), batch_size=50, views=views, strategy=strategy)
    found = evaluator.run()
    images, labels = next(iter(ka.eval_batches(data.test, _plan(), batch_size=24, views=views)))
    flat = tf.reshape(images, [-1, 32, 32, 3])
    softmax = tf.nn.softmax(ka.build("cifar_v2", num_classes=3, seed=0)(flat)).numpy()
    expected = softmax.reshape(24, views, 3).mean(axis=1)
    np.testing.assert_allclose(np.exp(found.log_probabilities), expected, rtol=1e-5)
    np.testing.assert_array_equal(found.labels, labels)
    # Weights changed since are seen: the step is compiled, not its values.
    model.get_layer("logits").bias.assign([100.0, 0.0, 0.0])
    assert np.all(evaluator.run().predictions == 0)


def test_softmax_behind_the_logits_changes_nothing(data, model):
    with_softmax = ka.build("cifar_v2", num_classes=3, seed=0, classifier_activation="softmax")
    plain, other = (
        Evaluator(network, data.test, _plan()).run().log_probabilities
        for network in (model, with_softmax)
    )
    np.testing.assert_allclose(plain, other, rtol=1e-6)


def test_bare_keras_file_is_evaluated_by_the_variant_in_its_name(tiny_folder, model, tmp_path):
    path = tmp_path / "mine.keras"
    model.save(path)
    figures = ka.evaluate(EvaluateConfig(model=path, dataset="image_folder", data_dir=tiny_folder))
    assert (figures["dataset"], figures["split"], figures["images"]) == ("tiny", "test", 24)
    assert 0 < figures["loss"] < 5 and figures["top5"] == 1.0
    assert figures["per_class_accuracy"].keys() == {"cat", "dog", "owl"}


def test_unknown_variant_asks_for_it(tiny_folder, tmp_path):
    path = tmp_path / "mine.keras"
    ka.build("cifar_v2", num_classes=3, name="something").save(path)
    with pytest.raises(ka.UsageError, match="--variant"):
        ka.evaluate(EvaluateConfig(model=path, dataset="image_folder", data_dir=tiny_folder))
    figures = ka.evaluate(
        EvaluateConfig(model=path, dataset="image_folder", data_dir=tiny_folder, variant="cifar_v2")
    )
    assert figures["images"] == 24


def test_data_of_other_classes_are_refused(model, tiny_folder, tmp_path):
    with pytest.raises(ka.UserError, match="3 classes, but shapes has 10"):
        ka.evaluate(EvaluateConfig(model=model, dataset="shapes"))
    run_folder.save(tmp_path, model, ["cat", "dog", "emu"])
    with pytest.raises(ka.UserError, match="class 2 is 'owl', not 'emu'"):
        ka.evaluate(EvaluateConfig(model=tmp_path, dataset="image_folder", data_dir=tiny_folder))


def test_run_gives_what_is_not_named(animals_run, tmp_path):
    assert ka.evaluate(EvaluateConfig(model=animals_run))["dataset"] == "animals"
    assert (
        ka.evaluate(EvaluateConfig(model=animals_run, dataset="image_folder"))["dataset"]
        == "animals"
    )
    write_images(tmp_path / "new" / "train", ["cat", "dog", "owl"], 2)
    write_images(tmp_path / "new" / "test", ["cat", "dog", "owl"], 2)
    found = ka.evaluate(EvaluateConfig(model=animals_run, data_dir=tmp_path / "new"))
    assert (found["dataset"], found["images"]) == ("new", 6)
    # Only the run's own data have a part that it held out.
    with pytest.raises(ka.UsageError, match="new is different data"):
        ka.evaluate(
            EvaluateConfig(model=animals_run, data_dir=tmp_path / "new", split="validation")
        )


@pytest.mark.slow
def test_all_of_a_folder_without_splits_but_the_runs_own_test_images(config_in, tmp_path, caplog):
    caplog.set_level("INFO")
    write_images(tmp_path / "pets", ["cat", "dog", "owl"], 10)
    (tmp_path / "pets" / "cat" / "list.txt").write_text("no image")
    run = tmp_path / "run"
    results = ka.train(config_in(run, data_dir=str(tmp_path / "pets"), splits="none", max_steps=1))
    assert (results["train_images"], results["test_images"]) == (24, 3)
    assert results["left_out_files"] == {".txt (not an image)": 1}
    saved = run_folder.read_config(run)
    assert saved["config"]["splits"] == "none"
    assert saved["data"]["left_out_files"] == results["left_out_files"]
    assert any("a tenth of all images was set apart" in each for each in caplog.messages)

    def evaluated(data_dir=None, model=run):
        dataset = None if data_dir is None else "image_folder"
        return ka.evaluate(EvaluateConfig(model=model, dataset=dataset, data_dir=data_dir))

    copy = shutil.copytree(tmp_path / "pets", tmp_path / "copy")
    for own in (None, tmp_path / "pets", copy):
        found = evaluated(own)
        assert found["images"] == 3 and "a tenth of all images was set" in found["data_note"]
    ka.prepare(ka.PrepareConfig(source=copy, out=tmp_path / "shards"))
    shards = EvaluateConfig(model=run, dataset="tfrecord", data_dir=tmp_path / "shards")
    assert ka.evaluate(shards)["images"] == 3
    found = evaluated(copy, model=run_folder.read_model(run / "model.keras"))
    assert found["images"] == 30 and found["data_note"].startswith("all 30 images were evaluated")
    write_images(tmp_path / "other", ["cat", "dog", "owl"], 4, seed=3)
    found = evaluated(tmp_path / "other")
    assert found["images"] == 12 and "because the data has no splits" in found["data_note"]
    (tmp_path / "pets" / "cat" / "000.png").unlink()
    found = evaluated()
    assert found["images"] == 29
    assert "pets has changed since the network was trained on it" in found["data_note"]


@pytest.mark.slow
def test_a_run_finds_its_splits_again(tmp_path):
    write_images(tmp_path / "pets" / "one", ["cat", "dog", "owl"], 5)
    write_images(tmp_path / "pets" / "two", ["cat", "dog", "owl"], 2)
    folder = {"dataset": "image_folder", "data_dir": str(tmp_path / "pets")}
    config = ka.TrainConfig(
        variant="cifar_v2",
        splits="train=one,test=two",
        workdir=str(tmp_path / "run"),
        max_steps=1,
        num_devices=1,
        **folder,
    )
    ka.train(config)
    for given in ({}, folder):
        found = ka.evaluate(EvaluateConfig(model=tmp_path / "run", **given))
        assert found["images"] == 6 and "two/ as test" in found["data_note"]
    (tmp_path / "pets").rename(tmp_path / "moved")
    folder["data_dir"] = str(tmp_path / "moved")
    with pytest.raises(ka.UserError, match="--splits"):
        ka.evaluate(EvaluateConfig(model=tmp_path / "run", **folder))
    found = ka.evaluate(
        EvaluateConfig(model=tmp_path / "run", splits="train=one,test=two", **folder)
    )
    assert found["images"] == 6
    resumed = dataclasses.replace(config, resume=True, max_steps=2, allow_change="max_steps")
    with pytest.raises(ka.UserError, match="does not exist"):
        ka.train(resumed)
    with pytest.raises(ka.UserError, match="data: was SHA-256"):
        swapped = dataclasses.replace(resumed, splits="train=two,test=one", **folder)
        ka.train(swapped)


def test_one_class_is_not_trained_on(tmp_path):
    write_images(tmp_path / "pets", ["cat"], 10)
    config = ka.TrainConfig(
        variant="cifar_v2", dataset="image_folder", data_dir=str(tmp_path / "pets")
    )
    with pytest.raises(ka.UserError, match="pets has one class, cat"):
        ka.train(dataclasses.replace(config, workdir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_wrong_split_and_views_are_refused(model, tiny_folder):
    folder = {"dataset": "image_folder", "data_dir": tiny_folder}
    with pytest.raises(ka.UsageError, match="Unknown split 'dev'"):
        ka.evaluate(EvaluateConfig(model=model, **folder, split="dev"))
    with pytest.raises(ka.UsageError, match="needs a run's folder"):
        ka.evaluate(EvaluateConfig(model=model, **folder, split="validation"))
    with pytest.raises(ka.UsageError, match="Unknown views 5"):
        ka.evaluate(EvaluateConfig(model=model, **folder, views=5))


def test_broken_weights_are_named_as_the_cause(tiny_folder):
    model = ka.build("cifar_v2", num_classes=3, seed=0)
    model.get_layer("logits").bias.assign([np.nan, 0.0, 0.0])
    with pytest.raises(ka.UserError, match=r"NaN or infinite: logits/bias \(1 of 3\)"):
        ka.evaluate(EvaluateConfig(model=model, dataset="image_folder", data_dir=tiny_folder))


@pytest.mark.parametrize(
    "kind",
    ["tflite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("saved_model", "onnx"))],
)
def test_exported_files_get_the_figures_of_the_network(kind, tiny_folder, model, tmp_path):
    run_folder.save(tmp_path / "run", model, ["cat", "dog", "owl"])
    network = ka.load(tmp_path / "run")
    path = tmp_path / {"saved_model": "1", "tflite": "v2.tflite", "onnx": "v2.onnx"}[kind]
    if kind == "saved_model":
        saved_model.write(network, path)
    elif kind == "tflite":
        path.write_bytes(tflite.convert(network, "float32"))
    else:
        for package in ("onnx", "onnxruntime", "tf2onnx"):
            pytest.importorskip(package)
        onnx.write(network, path)
    options = {"dataset": "image_folder", "data_dir": tiny_folder, "views": 2, "batch_size": 10}
    wanted = ka.evaluate(EvaluateConfig(model=tmp_path / "run", num_devices=1, **options))
    found = ka.evaluate(EvaluateConfig(model=path, **options))
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    for name in ("images", "top1", "top5", "per_class_accuracy"):
        assert found[name] == wanted[name]
    with pytest.raises(ka.UsageError, match="num_devices is for Keras models"):
        ka.evaluate(EvaluateConfig(model=path, num_devices=2, **options))


def test_precision_is_in_the_figures(tiny_folder, model, monkeypatch, tmp_path):
    options = {"model": model, "dataset": "image_folder", "data_dir": tiny_folder, "num_devices": 1}
    exact = ka.evaluate(EvaluateConfig(**options))
    assert (exact["precision"], exact["precision_why"][:5]) == ("float32", "auto:")
    set_machine(monkeypatch, tmp_path, X86)
    found = [ka.evaluate(EvaluateConfig(**options)) for _ in range(2)]
    assert found[0]["precision"] == "mixed_bfloat16"
    assert found[0]["loss"] == found[1]["loss"] != exact["loss"]
    assert found[0]["loss"] == pytest.approx(exact["loss"], rel=0.05)


def test_evaluating_a_corrupt_image_names_it(tmp_path, model):
    write_images(tmp_path / "data" / "train", ["a", "b", "c"], 3)
    write_images(tmp_path / "data" / "test", ["a", "b", "c"], 3)
    (tmp_path / "data" / "test" / "b" / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    folder = {"dataset": "image_folder", "data_dir": tmp_path / "data"}
    with pytest.raises(ka.UserError, match=r"test/b/001\.png"):
        ka.evaluate(EvaluateConfig(model=model, **folder))
    figures = ka.evaluate(EvaluateConfig(model=model, **folder, skip_corrupt=True))
    assert (figures["images"], figures["skipped_images"]) == (8, 1)
