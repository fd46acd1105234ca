"""Predictions from servers that do not say what they serve, as KServe's do."""

import json

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet import UsageError, UserError
from keras_alexnet.exporting.formats import saved_model
from support import predict_places

pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
serving_double = pytest.importorskip("support.serving_double")

pytestmark = pytest.mark.usefixtures("no_proxy")
WAYS = ("rest", "grpc")
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)


@pytest.fixture(scope="module")
def loaded(places):
    with serving_double.serve(places.exported, "mine", metadata_status=404) as server:
        yield server


def predict(server, way, images=PIXELS, **options):
    url = {"rest": server.rest_url, "grpc": server.grpc_url}[way]
    return keras_alexnet.predict(url, images, timeout=30, **options)


def _assert_same(found, truth):
    for one, other in zip(found, truth, strict=True):
        assert (one.image, one.classes, one.error) == (other.image, other.classes, other.error)
        assert one.scores == pytest.approx(other.scores, abs=predict_places.TOLERANCE)


@pytest.mark.parametrize(("way", "status"), [("rest", 404), ("rest", 405), ("grpc", 501)])
def test_the_first_answer_takes_the_place_of_the_signatures(server, places, way, status):
    server.metadata_status = status
    images = [*PIXELS, tf.io.encode_png(PIXELS[0]).numpy()[:70]]
    found = predict(server, way, images, batch_size=2)
    assert server.requests == [2, 2, 1, 1]
    assert found[3].error is not None
    _assert_same(found[:3], keras_alexnet.predict(places.run, PIXELS))
    truth = keras_alexnet.predict(places.run, PIXELS, top=6)
    _assert_same(predict(server, way, top=6, labels=places.labels), truth)


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_be_named(server, places, way):
    with pytest.raises(UsageError, match="top must be at most 5.*--labels.*Received: 6"):
        predict(server, way, top=6)
    with pytest.raises(UserError, match="Received: 3 names"):
        predict(server, way, labels=places.small / "labels.txt")
    with pytest.raises(UserError, match="Servable not found for request: Latest"):
        server.name = "another"
        predict(server, way)


def test_a_network_of_three_classes(places, tmp_path):
    saved_model.write(keras_alexnet.load(places.small), tmp_path / "1")
    with serving_double.serve(tmp_path, "small", metadata_status=404) as server:
        _assert_same(predict(server, "rest"), keras_alexnet.predict(places.small, PIXELS))


def test_a_server_that_names_classes_without_their_probabilities(server, places, caplog):
    rows = [{"classes": ["cat", "dog"], "scores": [0.75, 0.25]}] * 3
    server.rest_answer = 200, json.dumps({"predictions": rows}).encode()
    assert [each.classes for each in predict(server, "rest")] == [("cat", "dog")] * 3
    assert "names 2 classes" in caplog.text
    with pytest.raises(UserError, match="without probabilities.*Leave out --labels"):
        predict(server, "rest", labels=places.labels)


GOOD = {"classes": ["a"], "scores": [0.5]}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"predictions": [[0.1, 0.9]] * 3}, "form"),
        ({"predictions": ["classes"] * 3}, "form"),
        ({"predictions": [GOOD] * 2}, "for 3 images"),
        ({"predictions": [GOOD, GOOD, {"scores": [0.5]}]}, "without classes.*Received: classes,"),
        ({"predictions": [{}] * 3}, "without classes and scores.*Received: nothing"),
        ({"predictions": [{"logits": [1.0], "probabilities": [1.0]}] * 3}, "without classes and"),
        ({"predictions": [{"classes": "a", "scores": 0.5}] * 3}, "form"),
        ({"predictions": [{"classes": ["a"], "scores": [7]}] * 3}, "no probabilities"),
        ({"predictions": []}, "form"),
        ({"predictions": {"0": GOOD}}, "form"),
        ({"outputs": {"classes": [["a"]] * 3}}, "form"),
        ({"error": "no"}, "form"),
        ([1, 2], "form"),
    ],
)
def test_answers_that_are_no_predictions(server, answer, text):
    server.rest_answer = 200, json.dumps(answer).encode()
    with pytest.raises(UserError, match=text):
        predict(server, "rest")


def test_later_answers_must_be_as_the_first(server):
    rows = [GOOD | {"classes": ["a", "b"], "scores": [0.5, 0.5]}]
    predictor = keras_alexnet.predicting.predict.open_predictor(server.rest_url)
    image = [tf.io.encode_png(PIXELS[0]).numpy()]
    for given in (rows, [GOOD]):
        server.rest_answer = 200, json.dumps({"predictions": given}).encode()
        if given is rows:
            predictor.classify(image)
    with pytest.raises(UserError, match="for 1 images"):
        predictor.classify(image)


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_other_refusals_of_metadata_are_errors(server, status):
    server.metadata_status = status
    with pytest.raises(UserError, match=f"answered {status}"):
        predict(server, "rest")
    assert server.requests == []


def test_a_grpc_answer_without_classes(server):
    server.grpc_answer = predict_pb2.PredictResponse()
    server.grpc_answer.outputs["predictions"].CopyFrom(tf.make_tensor_proto([[0.5]]))
    with pytest.raises(UserError, match="without classes and scores.*Received: predictions"):
        predict(server, "grpc")


@pytest.mark.parametrize("way", WAYS)
def test_pixels_are_sent_for_a_variant(server, places, way):
    server.metadata_status = 500  # it is not asked
    damaged = tf.io.encode_png(PIXELS[0]).numpy()[:70]
    found = predict(server, way, [*PIXELS, damaged], variant="cifar_v2", batch_size=3)
    assert server.requests == [3] and found[3].error is not None
    _assert_same(found[:3], keras_alexnet.predict(places.run, PIXELS))
    truth = keras_alexnet.predict(places.run, PIXELS, top=6)
    _assert_same(predict(server, way, variant="cifar_v2", top=6, labels=places.labels), truth)
    with pytest.raises(UsageError, match="cifar_v9.*Did you mean"):
        predict(server, way, variant="cifar_v9")
    [other, *_] = predict(server, way, variant="cifar_resized")  # has inputs of another size
    assert other.error is not None


@pytest.mark.parametrize("way", WAYS)
def test_pixels_of_the_type_that_the_server_takes(places, tmp_path, way, caplog):
    caplog.set_level("INFO", logger="absl")
    saved_model.write(keras_alexnet.load(places.run), tmp_path / "1", input_dtype="float32")
    with serving_double.serve(tmp_path, "floats", metadata_status=404) as server:
        found = predict(server, way, variant="cifar_v2", batch_size=2)
        assert server.requests == ([2, 2, 1] if way == "grpc" else [2, 1])
    _assert_same(found, keras_alexnet.predict(places.run, PIXELS))
    assert ("takes pixels as float32" in caplog.text) == (way == "grpc")
