"""Distances of images in files: pairs, errors, outputs, and the command."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_alexnet as ka
from keras_alexnet.cli.main import main
from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.perceptual.pairs import pair_images
from support import lpips_reference as reference


@pytest.fixture(scope="module")
def network():
    return reference.model()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Two folders of images with some of the same names."""
    monkeypatch.chdir(tmp_path)
    first, second = (each.astype("uint8") for each in reference.images(40, 50))
    for name, pixels in {
        "a/one.png": first[0],
        "b/one.png": second[0],
        "a/in/two.png": first[1],
        "b/in/two.bmp": second[1],
        "a/small.png": first[0][:30],
        "b/small.png": first[0][:30],
        "a/sizes.png": first[0],
        "b/sizes.png": first[0][:35],
        "b/lone.png": first[0],
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(pixels).save(path)
    (tmp_path / "a" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    (tmp_path / "b" / "bad.png").write_bytes((tmp_path / "a" / "one.png").read_bytes())
    return tmp_path


def _expected(network):
    return ka.PerceptualDistance(network)(*reference.images(40, 50)).numpy()


def test_folders(place, network):
    config = ka.DistanceConfig(first="a", second="b", weights=network, maps="maps")
    found = {each.first or each.second: each for each in ka.measure_distances(config)}
    one, two = found["a/one.png"], found["a/in/two.png"]
    assert (one.second, two.second) == ("b/one.png", "b/in/two.bmp")
    np.testing.assert_allclose([one.distance, two.distance], _expected(network), rtol=1e-5)
    assert "at least 31x31. Received: 30x50" in found["a/small.png"].error
    assert "Received: 40x50 and 35x50" in found["a/sizes.png"].error
    assert found["a/bad.png"].error.startswith("a/bad.png: ")
    assert found["b/lone.png"].error == "there is no image of this name in a"
    assert sorted(place.joinpath("maps").rglob("*.png")) == [
        *(place / "maps" / "in" / "two.png.png", place / "maps" / "one.png.png"),
    ]


def test_a_file_and_a_folder_and_resizing(place, network):
    for first, second in (("b/sizes.png", "a"), ("a", "b/sizes.png")):
        config = ka.DistanceConfig(first=first, second=second, weights=network, resize=True)
        found = [each for each in ka.measure_distances(config) if each.error is None]
        # The second is resized, which makes the small one large enough.
        assert len(found) == (4 if second == "a" else 3)
    [one] = [each for each in found if each.first == "a/sizes.png"]
    images = [np.asarray(Image.open(f"{each}/sizes.png"), "f4")[None] for each in "ab"]
    resized = tf.image.resize(images[1], [40, 50], antialias=True)
    expected = float(ka.PerceptualDistance(network)(images[0], resized)[0])
    assert one.distance == pytest.approx(expected, rel=1e-5)


def test_pairs_by_names_with_and_without_endings(tmp_path):
    for folder, names in {
        "a": "x.png x.jpg y.png z.jpg z.png".split(),
        "b": ["x.png", "y.jpg"],
    }.items():
        for name in names:
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / name).touch()
    (tmp_path / "b" / "z.bmp").touch()
    found = pair_images(str(tmp_path / "a"), str(tmp_path / "b"))
    paired = {pair.name: pair.second.name[-5:] for pair in found if pair.first and pair.second}
    # Which of the two z is meant is not known.
    assert paired == {"x.png": "x.png", "y.png": "y.jpg"}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, UsageError, "first must be an image"),
        ({"first": "a"}, UsageError, "second must be an image"),
        ({"first": "a", "second": "a", "max_image_pixels": 0}, UsageError, "max_image_pixels"),
        ({"first": "empty", "second": "b"}, UserError, "has no images"),
        ({"first": "a", "second": "b", "weights": "no.keras"}, UserError, "no.keras"),
        ({"first": "a", "second": "b", "maps": "a/one.png"}, UserError, "maps must be a folder"),
    ],
)
def test_settings_that_cannot_be_used(place, settings, error, message):
    place.joinpath("empty").mkdir()
    with pytest.raises(error, match=message):
        ka.measure_distances(ka.DistanceConfig(**settings))


def test_images_that_cannot_be_read_are_named_before_weights_are_loaded(place):
    config = ka.DistanceConfig(first="a/one.png", second="nowhere.png", weights="no.keras")
    [found] = ka.measure_distances(config)
    assert found.error is not None and "nowhere.png" in found.error


def test_the_command(place, network, capsys):
    network.save("features.keras")
    command = ["distance", "--weights=features.keras"]
    expected = _expected(network)
    assert main([*command, "a/one.png", "b/one.png", "--json=one.json"]) == 0
    assert float(capsys.readouterr().out) == pytest.approx(float(expected[0]), abs=1e-6)
    assert main([*command, "a", "b", "--csv=found.csv", "--json", "found.json"]) == 1
    said = capsys.readouterr()
    assert "4 of 6 pairs could not be compared: a/bad.png and b/bad.png, b/lone.png" in said.err
    assert said.out.splitlines()[-1] == f"{expected.mean():.6f}  mean of 2 pairs"
    with open("found.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = json.loads(place.joinpath("found.json").read_text())["pairs"]
    assert [row["first"] for row in rows] == [pair["first"] or "" for pair in pairs]
    assert [bool(row["distance"]) for row in rows] == [not row["error"] for row in rows]
    assert main([*command, "a/sizes.png", "b/sizes.png"]) == 1
    assert "--resize" in capsys.readouterr().err
