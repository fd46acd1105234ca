"""Nearest training images: the search, its table, and what the picture says of it."""

import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import figures
from keras_alexnet.figures import subjects
from keras_alexnet.figures.neighbors import nearest
from support.pictures import texts_of


def test_nearest_is_what_brute_force_finds():
    random = np.random.default_rng(0)
    everything = random.normal(size=(50, 6))
    everything[30] = everything[4]  # of equals the first comes first
    wanted = np.concatenate([random.normal(size=(3, 6)), everything[4:5]])
    found, distances = nearest(wanted, [everything[:7], everything[7:45], everything[45:]], 9)
    expected = np.linalg.norm(everything[None] - wanted[:, None], axis=-1)
    order = np.argsort(expected, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(found, order)
    np.testing.assert_allclose(distances, np.take_along_axis(expected, order, 1), atol=1e-12)
    assert found[3, :2].tolist() == [4, 30] and distances[3, :2].tolist() == [0, 0]


def test_neighbors_are_those_in_the_last_hidden_layer(model, data, tiny, drawn, tmp_path):
    table = tmp_path / "rows.json"
    rows = figures.neighbors(
        model, tmp_path / "n.png", data=tiny, images=3, neighbors=4, batch_size=32, table=table
    )
    hidden = keras.Model(model.input, model.get_layer("fc4").output)
    vectors = {
        part: hidden.predict(ka.eval_batches(split, "cifar_v2", batch_size=100), verbose=0)
        for part, split in (("train", data.train), ("test", data.test))
    }
    tests = {data.test.name(number): number for number in range(len(data.test))}
    for row in rows:
        number = tests[row["test_image"]]
        distances = np.linalg.norm(vectors["train"] - vectors["test"][number], axis=1)
        place = np.argsort(distances, kind="stable")[row["rank"] - 1]
        assert row["train_image"] == data.train.name(place)
        assert row["distance"] == pytest.approx(distances[place], rel=1e-4, abs=1e-5)
        assert row["test_label"] == row["test_image"].split("/")[1]
        assert row["train_label"] == row["train_image"].split("/")[1]
    assert len(rows) == 12 and {row["test_label"] for row in rows} == {"cat", "dog", "owl"}
    # The cats of the test set are in the training set too.
    assert rows[0]["test_label"] == "cat" and rows[0]["distance"] < 1e-5
    assert json.loads(table.read_text()) == rows
    texts = " ".join(texts_of(drawn[0]))
    assert "cifar_v2 on tiny: test images, and the nearest of 72 training images" in texts
    assert "Every pixel is drawn 4 × 4." in texts


def test_validation_images_are_not_neighbors(model, data):
    described = {
        "config": {"validation_images": 12, "seed": 0},
        "recipe": {"validation_fraction": 0.0},
        "data": {"sha256": data.sha256},
    }
    network = dataclasses.replace(subjects.network(model), config=described)
    assert len(subjects.training_images(network, data)) == 60
    described["data"]["sha256"] = "that of other data"
    assert len(subjects.training_images(network, data)) == 72


def test_each_row_shows_a_test_image_and_its_neighbors(model, data, tiny, drawn, tmp_path):
    out = tmp_path / "n.png"
    rows = figures.neighbors(model, out, data=tiny, train_images=6, neighbors=6, images=2)
    assert len({row["train_image"] for row in rows}) == 6  # two of each class
    plan = ka.variants.get("cifar_v2").image_plan_for()

    def view(split, name):
        [number] = [number for number in range(len(split)) if split.name(number) == name]
        return subjects.views(split, [number], plan)[0]

    shown = [axes for axes in drawn[0].axes if axes.images]
    assert len(shown) == 2 * 7
    for number in range(2):
        test, *near = shown[7 * number : 7 * number + 7]
        of_test = rows[6 * number : 6 * number + 6]
        expected = view(data.test, of_test[0]["test_image"])
        np.testing.assert_array_equal(test.images[0].get_array(), expected)
        assert test.texts[0].get_text() == of_test[0]["test_label"]
        for axes, row in zip(near, of_test, strict=True):
            expected = view(data.train, row["train_image"])
            np.testing.assert_array_equal(axes.images[0].get_array(), expected)
            label, distance = axes.texts
            assert label.get_text() == row["train_label"]
            assert distance.get_text() == f"{row['distance']:.3g}"
            same = row["train_label"] == row["test_label"]
            assert label.get_weight() == ("normal" if same else "bold")
            assert (label.get_color() == test.texts[0].get_color()) == same
    with pytest.raises(ka.UsageError, match="at most the 6 training images .* Received: 7"):
        figures.neighbors(model, out, data=tiny, train_images=6, neighbors=7)
