"""Caffe's weights: the same answers as OpenCV's reader gives, from files of every form."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_alexnet
from keras_alexnet import UsageError, UserError, weights
from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import SameMapNormSpec
from support import caffe_files, caffe_networks
from support.fixed_weights import relative_error
from support.networks import registered
from support.photographs import photographs, top5

CLASSES = 7
FORMS = {
    "new": {},
    "old": {"old": True},
    "double": {"double": True},
    "unpacked": {"packed": False},
}


@pytest.fixture(scope="module")
def small():
    """The name of Caffe's network with few filters and units."""
    spec = caffe_networks.small_row()
    with registered(spec):
        yield spec.name


@pytest.fixture(scope="module")
def tensors():
    return caffe_networks.weights(small=True, classes=CLASSES)


@pytest.fixture
def write(tmp_path, tensors):
    def written(name="net.caffemodel", changes=None, **options):
        contents = caffe_networks.caffemodel({**tensors, **(changes or {})}, **options)
        (tmp_path / name).write_bytes(contents)
        return tmp_path / name

    return written


def answers_of_caffe(cv2, file, pixels, mean):
    """Caffe's layer outputs for RGB pixels `[1, 227, 227, 3]`, by OpenCV."""
    images = (pixels - np.float32(mean)).transpose(0, 3, 1, 2)[:, ::-1]
    text = caffe_networks.prototxt(small=True, classes=CLASSES)
    return caffe_networks.by_opencv(cv2, text, file.read_bytes())(images)


class TestAnswers:
    @pytest.mark.parametrize("form", list(FORMS))
    def test_each_layer_is_that_of_opencvs_reader(self, form, small, write):
        cv2 = pytest.importorskip("cv2", reason="compares with OpenCV's reader of Caffe's files")
        file = write(**FORMS[form])
        # Some forms OpenCV cannot read: it is given the usual one of the same numbers.
        wanted_of = write("usual.caffemodel") if form in ("double", "unpacked") else file
        model = keras_alexnet.build(small, weights=file)
        names = {layer.name for layer in model.layers}
        for seed in range(2):
            pixels = photographs(1, 227, seed)
            wanted = answers_of_caffe(
                cv2, wanted_of, pixels, variants.get(small).standardization.mean
            )
            wanted["logits"] = wanted.pop("fc8")
            assert set(wanted) <= names
            chosen = [model.get_layer(name).output for name in wanted]
            got = keras.Model(model.input, chosen)(pixels)
            for (name, by_caffe), by_keras in zip(wanted.items(), got, strict=True):
                assert relative_error(by_caffe, by_keras.numpy()) < 1e-4, name
            assert top5(wanted["logits"]) == top5(got[-1])

    def test_a_network_of_rgb_gets_the_first_kernel_turned(self, small, tensors, write):
        spec = variants.get(small)
        for bgr, wanted in ((True, tensors["conv1"][0]), (False, tensors["conv1"][0][:, ::-1])):
            with registered(caffe_networks.in_order(spec, bgr)):
                model = keras_alexnet.build(small, weights=write())
            kernel = model.get_layer("conv1").kernel.numpy()
            np.testing.assert_array_equal(kernel, wanted.transpose(2, 3, 1, 0))

    def test_other_constants_of_the_normalization_are_told(self, small, write, caplog):
        keras_alexnet.build(small, weights=write())
        assert "constants of" not in caplog.text
        keras_alexnet.build(small, weights=write(lrn=(5, 1e-4, 0.75, 2.0)))
        assert "constants of lrn1 in caffe_small differ from the file's" in caplog.text
        assert "5, 1, 2e-05, 0.75 here, 5, 2, 2e-05, 0.75 there" in caplog.text

    def test_another_last_layer_is_found_by_its_place_and_replaced(self, small, tensors, tmp_path):
        fine_tuned = {**tensors, "fc8": caffe_networks.weights(small=True, classes=3)["fc8"]}
        contents = caffe_networks.caffemodel(fine_tuned).replace(b"fc8", b"mine")
        (tmp_path / "a.caffemodel").write_bytes(contents)
        # "mine" is longer than "fc8", so the lengths around it no longer fit.
        with pytest.raises(UserError, match="cannot be read as a .caffemodel"):
            keras_alexnet.build(small, weights=tmp_path / "a.caffemodel")
        (tmp_path / "a.caffemodel").write_bytes(contents.replace(b"mine", b"own"))
        model = keras_alexnet.build(small, weights=tmp_path / "a.caffemodel", num_classes=3)
        np.testing.assert_array_equal(model.get_layer("logits").kernel, fine_tuned["fc8"][0].T)
        other = keras_alexnet.build(small, weights=tmp_path / "a.caffemodel", num_classes=4, seed=1)
        fresh = keras_alexnet.build(small, num_classes=4, seed=1)
        np.testing.assert_array_equal(
            other.get_layer("logits").kernel, fresh.get_layer("logits").kernel
        )
        np.testing.assert_array_equal(other.get_layer("fc7").kernel, tensors["fc7"][0].T)


class TestMean:
    IMAGE = np.random.default_rng(0).uniform(90, 130, (3, 256, 256)).astype("float32")

    def written(self, folder, name, mean):
        if name.endswith(".npy"):
            np.save(folder / name, mean)
        else:
            shape = mean.shape if mean.ndim == 4 else (1, *mean.shape)
            (folder / name).write_bytes(caffe_files.blob(mean.reshape(shape), old=True))
        return folder / name

    @pytest.mark.parametrize("name", ["mean.binaryproto", "mean.npy"])
    def test_channel_means_of_an_image_are_subtracted(self, name, small, write, tmp_path, caplog):
        caplog.set_level("INFO", logger="absl")
        model = keras_alexnet.build(small)
        mean = self.written(tmp_path, name, self.IMAGE)
        loaded = weights.load(model, write(), mean=mean)
        rgb = self.IMAGE.mean(axis=(1, 2), dtype="float64")[::-1]
        np.testing.assert_allclose(loaded.pixel_mean, rgb, atol=1e-4)
        assert "is subtracted from each pixel" in caplog.text
        assert "differs from it by up to" in caplog.text
        first = keras.Model(model.input, model.get_layer("standardize").output)
        pixels = photographs(1, 227)
        np.testing.assert_allclose(first(pixels)[..., ::-1], pixels - rgb, atol=1e-3)
        again = keras.Model.from_config(model.get_config())
        np.testing.assert_allclose(again.get_layer("standardize").mean, rgb, atol=1e-4)

    @pytest.mark.parametrize("shape", [(3,), (3, 1, 1), (1, 3, 1, 1), (3, 227, 227)])
    def test_other_forms_of_a_mean(self, shape, small, write, tmp_path):
        mean = np.broadcast_to(np.float32([104, 117, 123]).reshape(-1, 1, 1), (3, 227, 227))
        mean = mean[:, : shape[-1], : shape[-1]] if len(shape) > 1 else mean[:, 0, 0]
        path = self.written(tmp_path, "mean.npy", np.ascontiguousarray(mean).reshape(shape))
        loaded = weights.load(keras_alexnet.build(small), write(), mean=path)
        assert loaded.pixel_mean == (123.0, 117.0, 104.0)

    @pytest.mark.parametrize(
        "mean, message",
        [
            (np.full([3, 224, 224], 100.0), "256x256 or 227x227 pixels. Received: 224x224"),
            (np.full([256, 256, 3], 100.0), "Received: 256x256x3 numbers"),
            (np.full([3], -100.0), "pixels 0-255. Received: -100 to -100"),
            (np.full([3], np.nan), "pixels 0-255"),
            (
                np.array(["a", "b", "c"]),
                "mean.npy does not hold numbers. Received: a .npy array of <U1",
            ),
            (np.array([{}, 1, 2]), "cannot be read as a .npy array"),
        ],
    )
    def test_a_mean_that_cannot_be_is_refused(self, mean, message, small, write, tmp_path):
        model = keras_alexnet.build(small)
        np.save(tmp_path / "mean.npy", mean)
        with pytest.raises(UserError, match=message):
            weights.load(model, write(), mean=tmp_path / "mean.npy")

    def test_a_damaged_mean_is_refused(self, small, write, tmp_path):
        path = self.written(tmp_path, "mean.binaryproto", self.IMAGE)
        path.write_bytes(path.read_bytes()[:-4])
        for file in (path, tmp_path / "missing.npy"):
            with pytest.raises(UserError, match=f"{file.name} cannot be read"):
                weights.load(keras_alexnet.build(small), write(), mean=file)

    def test_without_a_mean_file_it_is_told_what_is_subtracted(self, small, write, caplog):
        caplog.set_level("INFO", logger="absl")
        keras_alexnet.build(small, weights=write())
        mean = ", ".join(
            f"{channel} {value:.3f}"
            for channel, value in zip("RGB", variants.get(small).standardization.mean, strict=True)
        )
        assert (
            f"No mean file was given with {write()}. {mean} is subtracted from each pixel."
            in caplog.text
        )

    def test_a_mean_belongs_to_caffe(self, tmp_path):
        path = tmp_path / "v2.safetensors"
        path.touch()
        with pytest.raises(
            UsageError, match="belongs to Caffe's weights, a .caffemodel or .npy file"
        ):
            weights.load(keras_alexnet.build("cifar_v2"), path, mean=tmp_path / "mean.npy")


class TestBadInput:
    def assert_refused(self, small, path, message):
        model = keras_alexnet.build(small, seed=3)
        before = model.get_weights()
        with pytest.raises(UserError, match=message):
            weights.load(model, path)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)

    def test_every_blob_that_does_not_fit_is_named(self, small, tensors, write):
        kernel, bias = tensors["conv3"]
        changes = {
            "conv2": tensors["conv2"][:1],
            "conv3": (kernel[:, :4], bias),
            "pool1": (np.zeros(3),),
        }
        self.assert_refused(
            small,
            write(changes=changes),
            r"missing: conv2 blob 1; unknown: pool1 blob 0 \(3\); misshapen: conv3 blob 0 "
            r"\(8x4x3x3\) for 8x8x3x3\.",
        )

    def test_infinite_numbers_are_refused(self, small, tensors, write):
        kernel, bias = tensors["fc6"]
        path = write(changes={"fc6": (kernel, np.full_like(bias, np.inf))})
        self.assert_refused(
            small, path, rf"NaN or infinite: fc6 blob 1 \({bias.size} of {bias.size}\)"
        )

    def test_caffenets_order_of_layers_is_refused(self, small, write):
        order = "conv1 pool1 lrn1 conv2 pool2 lrn2 conv3 conv4 conv5 pool5 fc6 fc7 fc8".split()
        message = "not hold caffe_small, but a different network. Its layers: conv1, pool1, lrn1"
        self.assert_refused(small, write(order=order), message)

    @pytest.mark.parametrize("kept", [0, 0.3, 0.999])
    def test_a_file_cut_off_is_refused(self, kept, small, write):
        path = write()
        contents = path.read_bytes()
        path.write_bytes(contents[: int(kept * len(contents))])
        self.assert_refused(small, path, "no layer with weights|cut off, damaged")

    def test_a_blob_of_too_few_numbers_is_refused(self, small, tmp_path):
        shape = caffe_files.counted(7, caffe_files.counted(1, bytes([4, 2])))
        data = caffe_files.counted(5, np.zeros(7, "<f4").tobytes())
        layer = caffe_files.counted(1, "fc6") + caffe_files.counted(7, shape + data)
        (tmp_path / "a.caffemodel").write_bytes(caffe_files.net([layer]))
        message = "blob 0 of layer fc6 should hold 4x2 numbers but holds 7"
        self.assert_refused(small, tmp_path / "a.caffemodel", message)

    def test_another_format_is_refused(self, small, tmp_path):
        (tmp_path / "a.caffemodel").write_bytes(b"\x80\x02}q\x00." * 9)
        self.assert_refused(small, tmp_path / "a.caffemodel", "cannot be read as a .caffemodel")

    def test_a_network_of_more_layers_than_caffes_is_refused(self, small, write):
        spec, more = variants.get(small), SameMapNormSpec("norm2", 5, 1.0, 4e-5, 0.75)
        features = (*spec.features[:5], more, *spec.features[5:])
        with registered(dataclasses.replace(spec, features=features)):
            self.assert_refused(small, write(), "layers that Caffe's AlexNet lacks: norm2. Use")

    def test_a_network_without_these_layers_is_refused(self, write):
        model = keras_alexnet.build("cifar_v2")
        with pytest.raises(UserError, match="missing: fc3 blob 0.*unknown: conv3 blob 0"):
            weights.load(model, write())
