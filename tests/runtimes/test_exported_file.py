"""What the runtimes of all exported files have in common."""

import numpy as np
import pytest
import tensorflow as tf

from keras_alexnet import UsageError, UserError, runtimes
from keras_alexnet.exporting.formats import onnx, tflite
from keras_alexnet.runtimes.litert import LiteModel
from keras_alexnet.runtimes.onnx_runtime import OnnxModel
from support.exports import keras_logits, noise, trained

KINDS = {".tflite": LiteModel, ".onnx": OnnxModel}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "cifar_v2", ["cat", "dog", "owl"], num_classes=3)


@pytest.fixture(scope="module", params=KINDS)
def files(request, network, tmp_path_factory):
    """Number type of the pixels → path of a file that takes them."""
    found, folder = {}, tmp_path_factory.mktemp("files")
    for dtype in ("uint8", "float32"):
        found[dtype] = folder / f"{dtype}{request.param}"
        if request.param == ".tflite":
            found[dtype].write_bytes(tflite.convert(network, "float32", input_dtype=dtype))
        else:
            for package in ("onnx", "tf2onnx", "onnxruntime"):
                pytest.importorskip(package)
            onnx.write(network, found[dtype], dtype)
    return found


@pytest.fixture
def path(files):
    return files["uint8"]


@pytest.fixture
def kind(path):
    return KINDS[path.suffix]


def test_says_what_it_is(network, files, kind):
    runtime = {LiteModel: "ai-edge-litert 2.", OnnxModel: "onnxruntime 1."}[kind]
    for dtype, path in files.items():
        for file in (path.read_bytes(), path, str(path)):
            model = kind(file, num_threads=1)
            assert model.description == network.description()
            assert (model.input_dtype, model.input_shape) == (dtype, (32, 32, 3))
            assert model.runtime.startswith(runtime)
        opened = runtimes.open_file(path, num_threads=1)
        assert type(opened) is kind and opened.input_dtype == dtype


@pytest.mark.parametrize("count", [0, 1, 65, 150])
def test_any_number_of_images_in_any_order(network, path, kind, count):
    model = kind(path)
    model.run(noise(2, network, 1))
    images = noise(count, network)
    found = model.run(images)
    assert {name: (array.dtype, array.shape) for name, array in found.items()} == {
        "logits": (np.float32, (count, 3)),
        "probabilities": (np.float32, (count, 3)),
    }
    if count:
        wanted = keras_logits(network, images)
        assert np.abs(found["logits"] - wanted).max() < 1e-4 * np.abs(wanted).max()
        np.testing.assert_allclose(found["probabilities"], tf.nn.softmax(wanted), atol=1e-5)


def test_number_type_of_the_pixels_is_the_callers(network, files, kind):
    images = noise(3, network)
    wanted = keras_logits(network, images)
    for path in files.values():
        for pixels in (images, images.astype("float32")):
            np.testing.assert_allclose(kind(path).run(pixels)["logits"], wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros([2, 28, 28, 3], "uint8"), r"\[N, 32, 32, 3\]. Received: uint8 \[2, 28, 28, 3\]"),
        (np.zeros([32, 32, 3], "uint8"), r"Received: uint8 \[32, 32, 3\]"),
        (np.zeros([0], "uint8"), r"Received: uint8 \[0\]"),
        (np.zeros([1, 32, 32, 3], "int64"), r"Received: int64 \[1, 32, 32, 3\]"),
        (np.full([1, 32, 32, 3], 99.5, "float32"), "not whole numbers 0–255. Round"),
        (np.full([1, 32, 32, 3], 0.5, "float32"), "must be pixels 0–255. Received: .* from 0.5 to"),
        (np.full([1, 32, 32, 3], 256, "float32"), "not whole numbers 0–255"),
        (np.full([1, 32, 32, 3], np.nan, "float32"), "not whole numbers 0–255"),
    ],
)
def test_wrong_pixels(path, kind, pixels, message):
    with pytest.raises(UsageError, match=message):
        kind(path).run(pixels)


def test_seconds_per_call(network, path, kind):
    model = kind(path, num_threads=2)
    model.run(noise(70, network))
    seconds = model.seconds_per_call(5)
    assert len(seconds) == 5 and all(0 < each < 1 for each in seconds)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_wrong_number_of_threads(path, kind, threads):
    with pytest.raises(UsageError, match="num_threads must be a whole number of at least 1"):
        kind(path, num_threads=threads)


@pytest.mark.parametrize("name", ["missing", "."])
def test_no_file(kind, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"There is no {kind.kind} file at {name}"):
        kind(name)


@pytest.mark.parametrize("contents", [b"", b"TFL3", bytes(100), b"<html>no network</html>"])
def test_no_file_of_the_kind(kind, contents, tmp_path):
    path = tmp_path / "some"
    path.write_bytes(contents)
    for file, name in ((path, path), (contents, f"The {kind.kind} file")):
        with pytest.raises(UserError, match=f"^{name} cannot be read as an? .* cut off: .* again"):
            kind(file)


def test_suffix_of_no_exported_file(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"")
    with pytest.raises(UserError, match="ends in .tflite or .onnx. Received: .*model.keras"):
        runtimes.open_file(tmp_path / "model.keras")
