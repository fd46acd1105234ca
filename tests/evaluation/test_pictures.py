"""Pictures of an evaluation: the table of classes, and the wrong images in their order."""

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet.evaluation.metrics import Evaluation
from keras_alexnet.evaluation.pictures import per_class, write_pictures
from keras_alexnet.figures import drawing
from support.pictures import read_table


@pytest.fixture(scope="module")
def split(tiny_folder):
    return ka.load_dataset(ka.DataSpec("image_folder", data_dir=tiny_folder)).test


def _evaluation(labels, scores):
    return Evaluation(np.log(np.float32(scores)), np.int32(labels), views=1)


def test_wrong_images_are_those_with_the_greatest_confidence(split, tmp_path, monkeypatch):
    saved = {}
    monkeypatch.setattr(drawing, "save", lambda figure, path: saved.update({path.name: figure}))
    scores = [[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]]
    evaluation = _evaluation([1, 1, 2], scores)
    plan = ka.variants.get("cifar_v2").image_plan_for()
    names = ["cat", "n02099712", "owl"]
    write_pictures(tmp_path, evaluation, split.subset([5, 6, 7]), plan, names, "net on tiny")
    assert set(saved) == {"confusion.png", "per_class.png", "wrong.png"}
    shown = [axes for axes in saved["wrong.png"].axes if axes.images]
    captions = [axes.get_xlabel().split("\n") for axes in shown]
    assert captions == [["90 % cat", "is owl"], ["60 % cat", "is Labrador retriever"]]
    expected, _ = next(iter(ka.eval_batches(split.subset([7, 5]), plan, batch_size=2)))
    for axes, pixels in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), pixels)
    rows = read_table(tmp_path / "per_class.csv")
    assert list(rows[0]) == ["data", "class", "images", "accuracy"]
    assert [(row["class"], row["images"], row["accuracy"]) for row in rows] == [
        *(("cat", "0", ""), ("n02099712", "2", "0.5"), ("owl", "1", "0"))
    ]


def test_a_network_that_is_never_wrong_has_no_wrong_images(split, tmp_path):
    (tmp_path / "wrong.png").write_bytes(b"of an earlier evaluation")
    evaluation = _evaluation([0, 1], [[0.9, 0.1], [0.2, 0.8]])
    plan = ka.variants.get("cifar_v2").image_plan_for()
    write_pictures(tmp_path, evaluation, split.subset([0, 1]), plan, ["a", "b"], "title")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"confusion.png", "per_class.png", "per_class.csv"}
    assert per_class(evaluation, ["a", "b"]) == {"a": 1.0, "b": 1.0}


def test_pictures_of_an_evaluation(tiny_folder, tmp_path):
    ka.evaluate(
        ka.EvaluateConfig(
            model=ka.build("cifar_v2", num_classes=3, seed=0),
            dataset="image_folder",
            data_dir=tiny_folder,
            pictures=tmp_path / "pictures",
        )
    )
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {"confusion.png", "per_class.csv", "per_class.png", "wrong.png"}
    for path in (tmp_path / "pictures").glob("*.png"):
        image = tf.io.decode_png(path.read_bytes())
        assert (
            min(image.shape[:2]) > 100 and float(tf.math.reduce_std(tf.cast(image, "float32"))) > 1
        )
