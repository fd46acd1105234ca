"""Weights of Keras files, the head that is replaced, and what is refused whatever the format."""

import dataclasses
import json

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_alexnet
from keras_alexnet import UsageError, UserError, run_folder, weights
from keras_alexnet.networks import spec as specs
from keras_alexnet.networks import variants
from keras_alexnet.utils.text import is_printable
from support import caffe_files, caffe_networks
from support.networks import registered, shrunk
from support.photographs import photographs

MEAN = (120.0, 110.0, 100.0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder with a network of other pixel constants, `.weights.h5` beside it."""
    folder = tmp_path_factory.mktemp("trained")
    model = keras_alexnet.build("cifar_v2", seed=1, pixel_mean=MEAN)
    run_folder.save(folder, model, [str(number) for number in range(10)])
    model.save_weights(folder / "of.weights.h5")
    weights.save(model, folder / "of.safetensors")
    return folder


@pytest.fixture(scope="module")
def answers(trained):
    pixels = photographs(2, 32)
    return pixels, keras_alexnet.load(trained).model(pixels).numpy()


@pytest.mark.parametrize("file", ["", "model.keras"])
def test_a_keras_file_brings_its_pixel_mean(file, trained, answers):
    pixels, wanted = answers
    model = keras_alexnet.build("cifar_v2", weights=trained / file)
    np.testing.assert_array_equal(model(pixels), wanted)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), wanted, atol=1e-6)
    other = keras_alexnet.build("cifar_v2", weights=trained / file, pixel_mean=(1, 2, 3))
    assert other.get_layer("standardize").mean == [1, 2, 3]


def test_a_model_that_has_predicted_takes_the_new_mean(trained, answers):
    pixels, wanted = answers
    model = keras_alexnet.build("cifar_v2")
    model.predict(pixels, verbose=0)
    loaded = weights.load(model, trained)
    assert loaded.pixel_mean == MEAN and loaded.new_layers == ()
    np.testing.assert_allclose(model.predict(pixels, verbose=0), wanted, atol=1e-6)


@pytest.mark.parametrize("file", ["old.keras", "old.weights.h5"])
def test_files_with_the_former_name_of_the_standardization_load(file, trained, answers, tmp_path):
    """`standardise` was the name of the layer, and in HDF5 of its class."""
    pixels, wanted = answers
    model = keras_alexnet.load(trained).model
    settings = model.get_config()
    named = json.loads(json.dumps(settings).replace('"standardize"', '"standardise"'))
    old = keras.Model.from_config(named)
    old.set_weights(model.get_weights())
    assert old.layers[1].name == "standardise"
    if file.endswith(".keras"):
        old.save(tmp_path / file)
    else:
        old.save_weights(tmp_path / file)
        with h5py.File(tmp_path / file, "a") as contents:
            contents.move("layers/standardize", "layers/standardise")
    loaded = keras_alexnet.build("cifar_v2", weights=tmp_path / file, pixel_mean=MEAN)
    np.testing.assert_array_equal(loaded(pixels), wanted)
    weights.save(old, tmp_path / "old.safetensors", variant="cifar_v2")
    into_old = weights.load(old, tmp_path / "old.safetensors", variant="cifar_v2")
    assert into_old.layers[0] == "conv1"
    if file.endswith(".keras"):
        brought = keras_alexnet.build("cifar_v2", weights=tmp_path / file)
        assert brought.get_layer("standardize").mean == list(MEAN)
        assert weights.load(old, trained, variant="cifar_v2").pixel_mean == MEAN


@pytest.mark.parametrize("file", ["of.weights.h5", "of.safetensors"])
def test_other_files_leave_the_pixels_alone(file, trained, answers):
    pixels, wanted = answers
    model = keras_alexnet.build("cifar_v2", weights=trained / file, pixel_mean=MEAN)
    np.testing.assert_array_equal(model(pixels), wanted)


@pytest.mark.parametrize("file", ["model.keras", "of.safetensors"])
def test_the_head_is_replaced_where_the_classes_differ(file, trained, caplog):
    caplog.set_level("INFO", logger="absl")
    source = keras_alexnet.load(trained).model
    model = keras_alexnet.build("cifar_v2", num_classes=3, seed=5, weights=trained / file)
    fresh = keras_alexnet.build("cifar_v2", num_classes=3, seed=5)
    for name in ("conv1", "conv2", "fc3", "fc4", "logits"):
        wanted = (fresh if name == "logits" else source).get_layer(name).get_weights()
        for old, new in zip(wanted, model.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert "has different classes: logits" in caplog.text
    with pytest.raises(UserError, match="misshapen: (logits/kernel|fc3.weight)"):
        weights.load(fresh, trained / file)


def test_a_model_of_another_name_needs_its_variant(trained, answers):
    pixels, wanted = answers
    model = keras_alexnet.build("cifar_v2", name="mine", pixel_mean=MEAN)
    with pytest.raises(UsageError, match="Unknown variant 'mine'"):
        weights.load(model, trained / "of.safetensors")
    weights.load(model, trained / "of.safetensors", variant="cifar_v2")
    np.testing.assert_array_equal(model(pixels), wanted)


def test_without_the_top_a_whole_file_fills_what_is_there(trained):
    features = keras_alexnet.AlexNet(
        include_top=False, variant="cifar_v2", weights=trained / "of.safetensors"
    )
    wanted = keras_alexnet.load(trained).model.get_layer("conv2").kernel
    np.testing.assert_array_equal(features.get_layer("conv2").kernel, wanted)
    with pytest.raises(UserError, match="this model has no fc3, fc4, logits"):
        weights.save(features, trained / "headless.safetensors")


@pytest.mark.parametrize(
    "name, contents, error, message",
    [
        ("net.onnx", b"", UsageError, "ends in .pth, .pt, .safetensors, .caffemodel, .npy, .keras"),
        ("net.keras", b"no zip", UserError, "cannot be read as a Keras model"),
        ("net.weights.h5", b"no HDF5", UserError, "or is damaged"),
        ("net.safetensors", b"\xff" * 99, UserError, "cannot be read as a .safetensors file"),
        ("missing.pth", None, UserError, "no such file"),
    ],
)
def test_what_cannot_be_read_is_refused(name, contents, error, message, tmp_path):
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    with pytest.raises(error, match=message):
        keras_alexnet.build("cifar_v2", weights=tmp_path / name)


def test_a_keras_file_of_another_network_is_refused(trained, tmp_path):
    with pytest.raises(UserError, match="missing: conv3/kernel.* fc7/bias; unknown: fc3/kernel"):
        keras_alexnet.build("cifar_v3", weights=trained)
    image = keras.Input([32, 32, 3])
    keras.Model(image, keras.layers.Flatten()(image)).save(tmp_path / "other.keras")
    with pytest.raises(
        UserError,
        match="as weights. The model has no layer that standardizes",
    ):
        keras_alexnet.build("cifar_v2", weights=tmp_path / "other.keras")


def test_hdf5_of_another_network_leaves_the_model_as_it_was(trained):
    model = keras_alexnet.build("cifar_v2", num_classes=3, seed=2)
    before = model.get_weights()
    with pytest.raises(UserError, match="does not hold the weights of this cifar_v2"):
        weights.load(model, trained / "of.weights.h5")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_networks_without_a_form_in_pytorch_are_refused(trained, tmp_path):
    model = keras_alexnet.build("cuda_convnet_18pct")
    for call in (weights.load, weights.save):
        with pytest.raises(UserError, match="PyTorch has no network like cuda_convnet_18pct"):
            call(model, trained / "of.safetensors")
    model.save(tmp_path / "own.keras")
    keras_alexnet.build("cuda_convnet_18pct", weights=tmp_path / "own.keras")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"names": "torchvision"}, "Unknown names for cifar_v2 'torchvision'.*document"),
        ({"path": "out.pth"}, "saved to a .safetensors file. Received: out.pth"),
    ],
)
def test_writing_for_pytorch_refuses(options, message, tmp_path):
    path = options.pop("path", tmp_path / "out.safetensors")
    with pytest.raises(UsageError, match=message):
        weights.save(keras_alexnet.build("cifar_v2"), path, **options)


SMALL = "caffe_small"


@pytest.fixture(scope="module")
def networks_like_caffes():
    """Few filters of Caffe's network, and networks that differ from it in one thing."""
    small = caffe_networks.small_row()

    def changed(name, change):
        parts = {
            part: tuple(change(each) for each in getattr(small, part))
            for part in ("features", "head")
        }
        return dataclasses.replace(small, name=name, **parts)

    def biased(each):
        is_norm = isinstance(each, specs.LocalResponseNormSpec)
        return dataclasses.replace(each, bias=2.0) if is_norm else each

    def averaging(each):
        is_pool = isinstance(each, specs.MaxPoolSpec)
        return specs.CeilAveragePoolSpec(each.name, 3, 2) if is_pool else each

    with registered(
        small,
        dataclasses.replace(caffe_networks.in_order(small, False), name="of_rgb"),
        changed("of_bias_2", biased),
        changed("of_average", averaging),
        dataclasses.replace(small, name="of_tanh"),
        dataclasses.replace(small, name="of_less"),
    ):
        yield


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("of_rgb", {}, "standardize has reverse True here and False there"),
        ("of_bias_2", {}, "lrn2 has bias 1.0 here and 2.0 there"),
        ("of_average", {}, "pool5 has kind MaxPooling2D here and CeilAveragePooling2D there"),
        ("of_tanh", {"activation": "tanh"}, "fc7 has activation relu here and tanh there"),
        ("of_less", {"lrn": False}, "no lrn1 there; no lrn2 there"),
    ],
)
def test_a_keras_file_of_the_same_shapes_and_another_network_is_refused(
    name, options, message, networks_like_caffes, tmp_path
):
    other = keras_alexnet.build(name, **options)
    other.save(tmp_path / "other.keras")
    model = keras_alexnet.build(SMALL, seed=2)
    before = model.get_weights()
    with pytest.raises(UserError, match=message):
        weights.load(model, tmp_path / "other.keras")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    again = keras_alexnet.build(name, **options, dropout=0, weights=tmp_path / "other.keras")
    np.testing.assert_array_equal(again.get_weights()[0], other.get_weights()[0])


def test_a_keras_file_fills_a_network_without_its_top_and_of_another_size(trained, tmp_path):
    features = keras_alexnet.AlexNet(
        include_top=False, pooling="avg", variant="cifar_v2", weights=trained / "model.keras"
    )
    features.save(tmp_path / "features.keras")
    weights.load(features, tmp_path / "features.keras")
    owt = keras_alexnet.AlexNet(include_top=False, weights=None, input_shape=(96, 64, 3))
    owt.save(tmp_path / "owt.keras")
    keras_alexnet.AlexNet(include_top=False, variant="alexnet_owt", weights=tmp_path / "owt.keras")


def test_hdf5_with_numbers_that_are_none_is_refused(tmp_path):
    model = keras_alexnet.build("cifar_v2")
    broken = model.get_weights()
    broken[0][0, 0, 0, 0] = np.nan
    model.set_weights(broken)
    model.save_weights(tmp_path / "broken.weights.h5")
    fresh = keras_alexnet.build("cifar_v2", seed=2)
    before = fresh.get_weights()
    with pytest.raises(UserError, match=r"NaN or infinite: conv1/kernel \(1 of 4800\)"):
        weights.load(fresh, tmp_path / "broken.weights.h5")
    np.testing.assert_array_equal(fresh.get_weights()[0], before[0])


def test_what_was_changed_of_a_network_is_told_and_not_written_for_pytorch(
    trained, tmp_path, caplog
):
    model = keras_alexnet.build("cifar_v2", activation="tanh", weights=trained / "of.safetensors")
    assert "these changes to cifar_v2: tanh after conv1, tanh after conv2" in caplog.text
    with pytest.raises(UserError, match="would not compute the same .*: tanh after conv1"):
        weights.save(model, tmp_path / "tanh.safetensors")
    with registered(shrunk(variants.get("alexnet"), filters=8, units=16)):
        without = keras_alexnet.build("alexnet", num_classes=2, lrn=False, dropout=0)
        with pytest.raises(UserError, match="would not compute the same .*: no lrn1, no lrn2"):
            weights.save(without, tmp_path / "without.safetensors")
    with registered(shrunk(variants.get("alexnet_owt"), filters=8, units=16)):
        apart = keras_alexnet.build("alexnet_owt", num_classes=2, overlapping_pooling=False)
        with pytest.raises(UserError, match="would not compute the same .*: windows of 2x2 in"):
            weights.save(apart, tmp_path / "apart.safetensors")
    assert not list(tmp_path.glob("*.safetensors"))


def test_which_pixels_pytorchs_network_wants_is_told(trained, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    weights.save(keras_alexnet.load(trained).model, tmp_path / "out.safetensors")
    assert "in the order R, G, B, minus (R, G, B) 120, 110, 100, divided by 127.5" in caplog.text


@pytest.mark.parametrize("ending", ["safetensors", "pth", "caffemodel"])
def test_names_in_files_are_safe_to_print_and_short(ending, tmp_path):
    name, path = "red\x1b[31m\n\u202e" + "x" * 10_000, tmp_path / f"net.{ending}"
    values = np.zeros([2, 3], np.float32)
    if ending == "safetensors":
        safetensors.numpy.save_file({name: values}, path)
    elif ending == "pth":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.from_numpy(values)}, path)
    else:
        path.write_bytes(caffe_files.net([caffe_files.layer(name, "InnerProduct", [values])]))
    variant = "alexnet_caffe" if ending == "caffemodel" else "cifar_v2"
    with registered(shrunk(variants.get(variant), filters=8, units=16)):
        model = keras_alexnet.build(variant)
        with pytest.raises(UserError, match=r" red\\x1b\[31m\\n\\u202exxx") as error:
            weights.load(model, path)
    assert is_printable(str(error.value)) and len(str(error.value)) < 2000
