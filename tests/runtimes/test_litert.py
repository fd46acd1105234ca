"""TFLite files without LiteRT, of other projects, and damaged."""

import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from absl import logging
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_alexnet import UserError
from keras_alexnet.exporting.formats import tflite
from keras_alexnet.networks.spec import ImagePlan
from keras_alexnet.runtimes import litert
from keras_alexnet.runtimes.litert import LiteModel
from support.exports import keras_logits, noise, trained, transparent
from support.mutations import SEARCH, damaged, read_or_refused


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "cifar_v2", ["cat", "dog", "owl"], num_classes=3)


@pytest.fixture(scope="module")
def contents(network):
    return tflite.convert(network, "float32")


def converted(function) -> bytes:
    """A file of any function, as others make them."""
    module = tf.Module()
    module.function = function
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    ).convert()


def test_without_litert_tensorflow_runs_it_and_says_so_once(
    network, contents, monkeypatch, caplog, recwarn
):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setattr(logging.get_absl_logger(), "propagate", True)
    models = [LiteModel(contents) for _ in range(2)]
    images = noise(5, network)
    np.testing.assert_allclose(
        models[1].run(images)["logits"], keras_logits(network, images), rtol=1e-3, atol=1e-4
    )
    assert models[0].runtime == f"tf.lite {tf.__version__}"
    said = [record.message for record in caplog.records if "ai-edge-litert" in record.message]
    assert len(said) == 1 and 'pip install -e ".[tflite]"' in said[0]
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
    with pytest.raises(
        UserError, match=f"not exported by keras_alexnet. Expected: .*Received: .*'{name}'"
    ):
        LiteModel(converted(function))


def test_file_from_elsewhere_with_the_same_signature_runs_without_a_description():
    model = LiteModel(converted(of_our_kind))
    assert model.description is None
    assert model.run(np.ones([2, 8, 8, 3], "float32"))["logits"].tolist() == [[64] * 3] * 2


def test_file_whose_zip_is_damaged(contents, tmp_path):
    start = contents.rindex(b'"format": 1')
    changed = contents[:start] + b'"format": 2' + contents[start + 11 :]
    path = tmp_path / "some.tflite"
    for cause in (changed, contents[:-30]):
        path.write_bytes(cause)
        for file, name in ((cause, "The TFLite file"), (path, path)):
            wanted = f"^{name} is damaged.*its signature.json cannot be read"
            with pytest.raises(UserError, match=wanted):
                LiteModel(file)


def test_file_without_the_description_that_it_names(contents, tmp_path):
    path = tmp_path / "stripped.tflite"
    path.write_bytes(contents[: contents.index(b"PK\3\4")])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\n")
    with pytest.raises(UserError, match="its signature.json cannot be read"):
        LiteModel(path)


def test_compressed_description_is_not_unpacked(contents, tmp_path):
    path = tmp_path / "bomb.tflite"
    path.write_bytes(contents[: contents.index(b"PK\3\4")])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("signature.json", b" " * 10**6 + b"{}")
    with pytest.raises(UserError, match="compressed, which exports never are"):
        LiteModel(path)


@pytest.fixture(scope="module")
def small():
    """A file of a few kilobytes."""
    return tflite.convert(transparent(ImagePlan(2, 2, 0, 2)), "float32")


@settings(SEARCH, max_examples=300)
@given(data=st.data())
def test_description_of_damaged_files_is_a_user_error(small, data):
    changed = data.draw(damaged(small))
    read_or_refused(lambda: litert.read_description(changed), bytes_at_most=100 * len(changed))


# In a process of its own, because an interpreter of damaged files could take the process along.
TRY_DAMAGED = """
import pathlib, random, sys
from keras_alexnet import UserError
from keras_alexnet.runtimes.litert import LiteModel
contents = pathlib.Path(sys.argv[1]).read_bytes()
path = pathlib.Path(sys.argv[1] + ".damaged")
zip_start = contents.index(b"PK\\3\\4")
lengths = [round(len(contents) * part / 25) for part in range(25)]
lengths += [7, 30, zip_start - 1, zip_start, zip_start + 60, len(contents) - 30, len(contents) - 1]
for length in sorted(lengths):
    path.write_bytes(contents[:length])
    for file in (path, contents[:length]):
        try:
            LiteModel(file)
            print("accepted", length)
        except UserError as error:
            assert "cut off" in str(error), error
draws, refused = random.Random(0), 0
for _ in range(500):
    changed = bytearray(contents)
    for _ in range(draws.randint(1, 4)):
        place = draws.randrange(zip_start - 4)
        width = draws.choice([1, 4])
        changed[place : place + width] = draws.randbytes(width)
    try:
        LiteModel(bytes(changed))
    except UserError:
        refused += 1
print("tried", len(lengths), refused > 100)
"""


def test_damaged_files_are_errors_and_no_crash(small, tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(small)
    done = subprocess.run(
        [sys.executable, "-c", TRY_DAMAGED, str(path)],
        cwd=pathlib.Path(litert.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tried", "32", "True"]
