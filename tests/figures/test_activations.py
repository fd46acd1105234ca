"""Pictures of what a layer makes of an image: values, scales, and wrong arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet as ka
from keras_alexnet import figures
from keras_alexnet.figures.activations import scaled
from support.pictures import read_png, texts_of


@pytest.mark.parametrize("layer", ["standardize", "conv2", "pool2", "fc3", "logits"])
def test_activations_are_the_output_of_the_layer(layer, model, image, drawn, tmp_path):
    out = tmp_path / "layer.png"
    found = figures.activations(model, image, layer, out)
    pixels = tf.io.decode_png(image.read_bytes())
    part = keras.Model(model.input, model.get_layer(layer).output)
    np.testing.assert_allclose(found, part(pixels[None])[0], rtol=1e-4, atol=1e-5)
    [figure] = drawn
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), pixels)
    assert any(f"cifar_v2, {layer}, of 002.png" in text for text in texts_of(figure))
    if layer == "logits":
        bars = figure.axes[1].containers[0]
        np.testing.assert_allclose([bar.get_width() for bar in bars], found)
    else:  # every value is in the picture, and only those
        largest = np.abs(found).max(axis=(0, 1), keepdims=True) if found.ndim == 3 else 1
        wanted = found / np.where(largest > 0, largest, 1)
        shown = np.ma.masked_invalid(figure.axes[1].images[0].get_array()).compressed()
        np.testing.assert_allclose(np.unique(shown), np.unique(wanted), rtol=1e-5)
    height, width, _ = read_png(out).shape
    assert read_png(out).std() > 10 and 200 < height < 800 and 400 < width < 1500


def test_maps_are_on_their_own_scale_or_on_one(model, image, drawn, tmp_path):
    for scale in ("each", "joint"):
        values = figures.activations(model, image, "pool1", tmp_path / "p.png", scale=scale)
    assert values.min() >= 0
    each, joint = (figure.axes[1].images[0] for figure in drawn)
    assert each.get_clim() == (0, 1)
    assert joint.get_clim() == (0, pytest.approx(values.max()))
    assert {"0", "largest of the map"} <= set(texts_of(drawn[0]))
    assert {"0", f"{values.max():.3g}"} <= set(texts_of(drawn[1]))


def test_both_signs_have_colors_and_0_is_in_their_middle():
    for low, high, expected in [
        (-1, 3, (-3, 3)),
        (1, 3, (0, 3)),
        (-3, -1, (-3, 0)),
        (0, 0, (0, 1)),
    ]:
        maps, *limits = scaled(np.float32([[[low], [high]]]), "joint")
        assert tuple(limits) == expected and maps.shape == (1, 1, 2)
    maps, *limits = scaled(np.float32([[[-2, 0], [1, 0]]]), "each")
    assert maps.tolist() == [[[-1, 0.5]], [[0, 0]]] and limits == [-1, 1]


def test_many_large_maps_make_a_picture_of_bounded_width(tmp_path):
    inputs = keras.Input((128, 128, 3), name="pixels")
    wide = keras.layers.Conv2D(40, 3, activation="relu", name="wide")(inputs)
    logits = keras.layers.Dense(3, name="logits")(keras.layers.GlobalMaxPooling2D()(wide))
    network = keras.Model(inputs, logits, name="cifar_v2")
    pixels = np.random.default_rng(0).integers(0, 256, [32, 32, 3], np.uint8)
    found = figures.activations(network, pixels, "wide", tmp_path / "wide.png")
    assert found.shape == (126, 126, 40)
    height, width, _ = read_png(tmp_path / "wide.png").shape
    assert 1200 < width < 1500 and height > 4 * 126


def test_unknown_layer_and_image(model, image, tmp_path):
    out = tmp_path / "l.png"
    with pytest.raises(ka.UsageError, match="'conv9'. Did you mean 'conv.'. Known: .*conv1, pool1"):
        figures.activations(model, image, "conv9", out)
    with pytest.raises(ka.UsageError, match="Unknown scale 'own'"):
        figures.activations(model, image, "conv1", out, scale="own")
    with pytest.raises(ka.UserError, match="none.png cannot be read: .*No such file"):
        figures.activations(model, tmp_path / "none.png", "conv1", out)
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ka.UserError, match="bad.jpg cannot be read: not a JPEG, PNG, BMP, GIF"):
        figures.activations(model, tmp_path / "bad.jpg", "conv1", out)
    with pytest.raises(ka.UsageError, match="image must be one image. Received: 8"):
        figures.activations(model, image.parent, "conv1", out)
    assert not out.exists()
