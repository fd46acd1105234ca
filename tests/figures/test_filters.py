"""Pictures of the first layer's filters: their colors, towers and scales."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet import figures
from keras_alexnet.figures.filters import rgb_kernel
from keras_alexnet.networks import layers, spec, variants
from support.pictures import read_png, texts_of

GRAY, RED, BLUE = [128, 128, 128], [255, 128, 128], [128, 128, 255]


def color_network(reverse=False, groups=1):
    """Four 2 x 2 filters: red, half of negative green, blue in one corner, and none at all."""
    kernel = np.zeros([2, 2, 3, 4], np.float32)
    kernel[:, :, 0, 0], kernel[:, :, 1, 1], kernel[0, 1, 2, 2] = 3, -1.5, 2
    inputs = keras.Input((8, 8, 3))
    outputs = keras.ops.flip(inputs, axis=-1) if reverse else inputs
    first = layers.Convolution(4, 2, name="first")
    outputs = first(keras.layers.Rescaling(1 / 127.5, -1)(outputs))
    outputs = layers.Convolution(4, 2, groups=groups, name="second")(outputs)
    first.set_weights([kernel[:, :, ::-1] if reverse else kernel, np.zeros(4)])
    return keras.Model(inputs, outputs, name="colors")


@pytest.mark.parametrize("reverse", [False, True], ids=["RGB", "BGR"])
@pytest.mark.parametrize("scale, green", [("each", 0), ("joint", 64)])
def test_filters_are_shown_in_their_colors(reverse, scale, green, drawn, tmp_path):
    found = figures.filters(color_network(reverse), tmp_path / "filters.png", scale=scale)
    blue = 255 if scale == "each" else 212  # 127.5 + 127.5 * 2 / 3
    assert found.shape == (4, 2, 2, 3)
    assert found[0].tolist() == [[RED] * 2] * 2
    assert found[1].tolist() == [[[128, green, 128]] * 2] * 2
    assert found[2].tolist() == [[GRAY, [128, 128, blue]], [GRAY, GRAY]]
    assert found[3].tolist() == [[GRAY] * 2] * 2
    [axes] = drawn[0].axes
    shown = axes.images[0].get_array()
    for cell, one in zip(np.split(shown, 4, axis=1), found, strict=True):
        np.testing.assert_array_equal(cell[10, 10], one[0, 0])
    note = {"each": "each filter scaled by its own", "joint": "all filters scaled by the"}[scale]
    texts = texts_of(drawn[0])
    assert "colors, first: 4 filters of 2 × 2" in texts
    assert f"Gray is 0; {note} largest weight" in " ".join(texts)


def test_towers_are_one_below_the_other(drawn, tmp_path):
    for groups in (1, 2):
        figures.filters(color_network(groups=groups), tmp_path / "filters.png")
    one, two = drawn
    assert len(one.axes) == 1
    first, second = two.axes
    assert [axes.get_title(loc="left") for axes in two.axes] == ["tower 1", "tower 2"]
    assert first.get_position().y0 > second.get_position().y1
    for axes, color in ((first, RED), (second, BLUE)):
        shown = axes.images[0].get_array()
        assert (shown == color).all(axis=-1).any()
    assert not (first.images[0].get_array() == BLUE).all(axis=-1).any()


@pytest.mark.parametrize("name, count, side", [("cifar_v1", 64, 3), ("alexnet_half", 48, 11)])
def test_filters_of_networks(name, count, side, drawn, tmp_path):
    out = tmp_path / "filters.png"
    found = figures.filters(ka.build(name, seed=0), out)
    assert found.shape == (count, side, side, 3)
    assert any(
        f"{name}, conv1: {count} filters of {side} × {side}" == t for t in texts_of(drawn[0])
    )
    height, width, _ = read_png(out).shape
    assert 150 < height < 500 and 600 < width < 900 and read_png(out).std() > 20


def test_network_that_mixes_colors_has_no_filters_to_show(tmp_path):
    inputs = keras.Input((8, 8, 3))
    mixed = keras.layers.Conv2D(3, 1, name="second")(
        keras.ops.flip(inputs, axis=-1) @ np.ones([3, 3])
    )
    with pytest.raises(ka.UserError, match="second does not read red, green and blue"):
        figures.filters(keras.Model(inputs, mixed), tmp_path / "filters.png")
    dense = keras.Model(inputs, keras.layers.Flatten(name="flat")(inputs))
    with pytest.raises(ka.UserError, match="no convolution that reads three colors.*flat"):
        figures.filters(dense, tmp_path / "filters.png")


def test_weights_that_are_not_finite_are_not_drawn(tmp_path):
    broken = color_network()
    broken.get_layer("first").kernel.assign(np.full([2, 2, 3, 4], np.nan))
    with pytest.raises(ka.UserError, match="NaN or inf"):
        figures.filters(broken, tmp_path / "filters.png")
    with pytest.raises(ka.UsageError, match="Unknown scale 'all'. .* Known: each, joint"):
        figures.filters(color_network(), tmp_path / "filters.png", scale="all")
    assert not list(tmp_path.iterdir())


def test_colors_of_caffes_network_are_found_through_its_own_layers():
    caffe = variants.get("alexnet_caffe")
    shrunk = {spec.ConvolutionSpec: {"filters": 8}, spec.DenseSpec: {"units": 8}}

    def small(part):
        return tuple(dataclasses.replace(each, **shrunk.get(type(each), {})) for each in part)

    variants.register(
        dataclasses.replace(
            caffe, name="caffe_small", features=small(caffe.features), head=small(caffe.head)
        )
    )
    try:
        model = ka.build("caffe_small", seed=0)
    finally:
        variants.unregister("caffe_small")
    layer = model.get_layer("conv1")
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_array_equal(rgb_kernel(model, layer), kernel[:, :, ::-1])
