"""TF Serving's warm-up requests: what it will read, replayed as it replays them."""

import io
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_alexnet.exporting import warmup
from support.exports import SIGNATURES, trained
from support.saved_models import by_c_api


@pytest.fixture(autouse=True)
def packages():
    pytest.importorskip("tensorflow_serving")


def requests(folder):
    """The requests in a SavedModel's folder: [(signature, inputs by name)]."""
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests"))
    found = []
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        assert not request.model_spec.name and not request.model_spec.HasField("version")
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        found.append((request.model_spec.signature_name, inputs))
    return found


def test_every_signature_is_warmed_by_one_image_and_by_several(export):
    _, folder, dtype = export
    sizes = {name: set() for name in SIGNATURES}
    for signature, inputs in requests(folder):
        [(name, values)] = inputs.items()
        assert name == ("image_bytes" if signature == "image_bytes" else "image")
        assert values.dtype == (object if signature == "image_bytes" else dtype)
        sizes[signature].add(len(values))
    assert sizes == {name: {1, 4} for name in SIGNATURES}
    assert len(requests(folder)) <= 1000


def test_images_are_of_both_kinds_and_not_of_one_color(export):
    kinds = set()
    for signature, inputs in requests(export[1]):
        if signature != "image_bytes":
            assert {image.min() for image in inputs["image"]} == {0}
            assert {image.max() for image in inputs["image"]} == {255}
            continue
        for contents in inputs["image_bytes"]:
            image = Image.open(io.BytesIO(contents))
            kinds.add(image.format)
            assert np.ptp(np.asarray(image)) > 200
    assert kinds == {"JPEG", "PNG"}


def test_python_replays_them(export):
    _, folder, _ = export
    loaded = tf.saved_model.load(str(folder))
    for signature, inputs in requests(folder):
        outputs = loaded.signatures[signature](**{k: tf.constant(v) for k, v in inputs.items()})
        for name in ("features",) if signature == "features" else ("logits", "scores"):
            assert np.all(np.isfinite(outputs[name]))


def test_the_loader_of_tf_serving_replays_them(export, tmp_path):
    _, folder, _ = export
    asked = requests(folder)
    answers = by_c_api([(str(folder), *request) for request in asked], tmp_path)
    for (signature, inputs), answer in zip(asked, answers, strict=True):
        assert not isinstance(answer, str), answer
        [batch] = {len(values) for values in inputs.values()}
        assert {len(values) for values in answer.values()} == {batch}
        assert ("features" in answer) == (signature == "features")


def test_always_the_same(export):
    network, folder, dtype = export
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    before = path.read_bytes()
    warmup.write(folder, network, dtype)
    assert path.read_bytes() == before


def test_without_the_package_it_says_so_once(tmp_path, monkeypatch, caplog):
    network = trained(tmp_path / "run", "cifar_v2")
    for name in [name for name in sys.modules if name.startswith("tensorflow_serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    with caplog.at_level("INFO", logger="absl"):
        assert warmup.write(tmp_path / "1", network) is False
    [record] = caplog.records
    assert "tensorflow-serving-api" in record.getMessage()
    assert not (tmp_path / "1").exists()
