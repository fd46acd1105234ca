"""Running TFLite files: ours with any number of images, and files that are not ours."""

import builtins
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from keras_alexnet import UserError
from keras_alexnet.exporting import tflite
from keras_alexnet.runtimes import litert
from keras_alexnet.runtimes.litert import LiteModel
from support.exports import noise, trained


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "cifar_v2", ["cat", "dog", "owl"], num_classes=3)


@pytest.fixture(scope="module")
def contents(network):
    return tflite.convert(network, "float32")


def keras_logits(network, images):
    return network.model(images.astype("float32"), training=False).numpy()


def converted(function) -> bytes:
    """A file of any function, as others make them."""
    module = tf.Module()
    module.function = function
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    ).convert()


def test_says_what_it_is(network, contents, tmp_path):
    path = tmp_path / "v2.tflite"
    path.write_bytes(contents)
    for file in (contents, path, str(path)):
        model = LiteModel(file, num_threads=1)
        assert model.description == network.description()
        assert (model.input_dtype, model.input_shape) == ("uint8", (32, 32, 3))
        assert model.runtime.startswith("ai-edge-litert 2.")
    floats = LiteModel(tflite.convert(network, "float32", input_dtype="float32"))
    assert floats.input_dtype == "float32"


@pytest.mark.parametrize("count", [0, 1, 3, 64, 65, 150])
def test_any_number_of_images_in_any_order(network, contents, count):
    model = LiteModel(contents)
    model.run(noise(2, network, 1))
    images = noise(count, network)
    found = model.run(images)
    assert {name: array.dtype for name, array in found.items()} == {
        "logits": np.float32,
        "probabilities": np.float32,
    }
    assert found["logits"].shape == found["probabilities"].shape == (count, 3)
    if count:
        wanted = keras_logits(network, images)
        assert np.abs(found["logits"] - wanted).max() < 1e-4 * np.abs(wanted).max()
        np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(wanted), atol=1e-5)


def test_number_type_of_the_pixels_is_the_callers(network, contents):
    images = noise(3, network)
    wanted = LiteModel(contents).run(images)["logits"]
    floats = LiteModel(tflite.convert(network, "float32", input_dtype="float32"))
    for model, pixels in [
        (LiteModel(contents), images.astype("float32")),
        (floats, images),
        (floats, images.astype("float32")),
    ]:
        np.testing.assert_allclose(model.run(pixels)["logits"], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros([2, 28, 28, 3], "uint8"), r"\[N, 32, 32, 3\]. Received: uint8 \[2, 28, 28, 3\]"),
        (np.zeros([32, 32, 3], "uint8"), r"Received: uint8 \[32, 32, 3\]"),
        (np.zeros([1, 32, 32, 3], "int64"), r"Received: int64 \[1, 32, 32, 3\]"),
        (np.full([1, 32, 32, 3], 0.5, "float32"), "not whole numbers 0–255. Round"),
        (np.full([1, 32, 32, 3], 256, "float32"), "not whole numbers 0–255"),
        (np.full([1, 32, 32, 3], np.nan, "float32"), "not whole numbers 0–255"),
    ],
)
def test_wrong_pixels(contents, pixels, message):
    with pytest.raises(UserError, match=message):
        LiteModel(contents).run(pixels)


def test_seconds_per_call(network, contents):
    model = LiteModel(contents, num_threads=2)
    model.run(noise(70, network))
    seconds = model.seconds_per_call(5)
    assert len(seconds) == 5 and all(0 < each < 1 for each in seconds)


def test_without_litert_tensorflow_runs_it_and_says_so_once(
    network, contents, monkeypatch, caplog, recwarn
):
    real_import = builtins.__import__

    def without_litert(name, *arguments, **options):
        if name.startswith("ai_edge_litert"):
            raise ModuleNotFoundError(name)
        return real_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_litert)
    monkeypatch.setattr(logging.get_absl_logger(), "propagate", True)
    litert._runtime.cache_clear()
    try:
        models = [LiteModel(contents) for _ in range(2)]
        images = noise(5, network)
        np.testing.assert_allclose(
            models[1].run(images)["logits"], keras_logits(network, images), rtol=1e-3, atol=1e-4
        )
    finally:
        litert._runtime.cache_clear()
    assert models[0].runtime == f"tf.lite {tf.__version__}"
    said = [record.message for record in caplog.records if "ai-edge-litert" in record.message]
    assert len(said) == 1 and "pip install ai-edge-litert" in said[0]
    assert not [each for each in recwarn if "tf.lite.Interpreter" in str(each.message)]


@tf.function(input_signature=[tf.TensorSpec([1, 10], tf.float32, "features")], autograph=False)
def of_ten_numbers(features):
    return {"score": tf.reduce_sum(features, 1)}


@tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, "image")], autograph=False)
def of_gray_images(image):
    logits = tf.reduce_sum(image, [1, 2])
    return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


@tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, "image")], autograph=False)
def of_our_kind(image):
    logits = tf.reduce_sum(image, [1, 2])
    return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


@pytest.mark.parametrize("function", [of_ten_numbers, of_gray_images])
def test_another_network(function):
    name = next(iter(function.input_signature)).name
    with pytest.raises(UserError, match=f"of another network. Wanted: .*Received: .*'{name}'"):
        LiteModel(converted(function))


def test_file_from_elsewhere_with_the_same_signature_runs_without_a_description():
    model = LiteModel(converted(of_our_kind))
    assert model.description is None
    assert model.run(np.ones([2, 8, 8, 3], "float32"))["logits"].tolist() == [[64] * 3] * 2


@pytest.mark.parametrize("file", ["missing.tflite", "."])
def test_no_file(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="There is no TFLite file "):
        LiteModel(file)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 100, b"\x1c\0\0\0TFL3" + bytes(200)])
def test_no_tflite_file(data, tmp_path):
    path = tmp_path / "some.tflite"
    path.write_bytes(data)
    for file in (data, path):
        with pytest.raises(UserError, match="cut off"):
            LiteModel(file)


def test_file_whose_zip_is_damaged(contents, tmp_path):
    start = contents.rindex(b'"format": 1')
    changed = contents[:start] + b'"format": 2' + contents[start + 11 :]
    path = tmp_path / "some.tflite"
    for cause in (changed, contents[:-30]):
        path.write_bytes(cause)
        for file, name in ((cause, "The TFLite file"), (path, path)):
            wanted = f"^{name} is damaged.*signature.json, which it names, cannot be read"
            with pytest.raises(UserError, match=wanted):
                LiteModel(file)


def test_file_without_the_description_that_it_names(contents, tmp_path):
    path = tmp_path / "stripped.tflite"
    path.write_bytes(contents[: contents.index(b"PK\3\4")])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\n")
    with pytest.raises(UserError, match="signature.json, which it names, cannot be read"):
        LiteModel(path)


# In a process of its own, since a flatbuffer that is read past its end can take the process along.
TRY_TRUNCATED = """
import pathlib, sys
from keras_alexnet import UserError
from keras_alexnet.litert import LiteModel
contents = pathlib.Path(sys.argv[1]).read_bytes()
path = pathlib.Path(sys.argv[1] + ".cut")
zip_start = contents.index(b"PK\\3\\4")
lengths = {round(len(contents) * part / 25) for part in range(25)}
lengths |= {7, 30, zip_start - 1, zip_start, zip_start + 60, len(contents) - 30, len(contents) - 1}
for length in sorted(lengths):
    path.write_bytes(contents[:length])
    for file in (path, contents[:length]):
        try:
            LiteModel(file)
            print("accepted", length)
        except UserError as error:
            assert "cut off" in str(error), error
print("tried", len(lengths))
"""


def test_truncated_files_are_errors_and_no_crash(contents, tmp_path):
    path = tmp_path / "v2.tflite"
    path.write_bytes(contents)
    done = subprocess.run(
        [sys.executable, "-c", TRY_TRUNCATED, str(path)],
        cwd=pathlib.Path(litert.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tried", "32"]
