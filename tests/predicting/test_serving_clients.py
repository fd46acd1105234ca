"""Predictions over REST and gRPC, from servers that work, fail, dawdle and die."""

import http.server
import json
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

import keras_alexnet
from keras_alexnet import UsageError, UserError
from keras_alexnet.exporting.formats import saved_model
from keras_alexnet.predicting import output, rest
from keras_alexnet.predicting.predict import predictions
from support import predict_places

grpc = pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
stubs = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
serving_double = pytest.importorskip("support.serving_double")

pytestmark = pytest.mark.usefixtures("no_proxy")
WAYS = ("rest", "grpc")


def predict(*arguments, timeout=30, **options):
    return keras_alexnet.predict(*arguments, timeout=timeout, **options)


@pytest.fixture(scope="module")
def loaded(places):
    with serving_double.serve(places.exported, "mine") as server:
        yield server


@pytest.fixture
def mortal(places):
    """A server of its own, to be killed."""
    with serving_double.serve(places.exported, "mine") as server:
        yield server


def _url(server, way):
    return {"rest": server.rest_url, "grpc": server.grpc_url}[way]


def _pixels(count, size=24):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def _assert_same(found, truth):
    assert len(found) == len(truth)
    for one, other in zip(found, truth, strict=True):
        assert (one.image, one.classes, one.error) == (other.image, other.classes, other.error)
        assert one.scores == pytest.approx(other.scores, abs=predict_places.TOLERANCE)


@pytest.mark.parametrize("way", WAYS)
def test_a_server_says_what_the_keras_model_says(server, places, way):
    images = [places.photos, *_pixels(3)]
    _assert_same(predict(_url(server, way), images, batch_size=4), predict(places.run, images))
    assert server.requests == [4, 4, 4, 1]


@pytest.mark.parametrize("way", WAYS)
def test_the_newest_version_unless_one_is_named(server, places, way):
    pixels = _pixels(3)
    new, old = predict(places.run, pixels), predict(places.old, pixels)
    assert [each.scores for each in new] != [each.scores for each in old]
    url = _url(server, way)
    _assert_same(predict(url, pixels), new)
    _assert_same(predict(f"{url}/versions/2", pixels), new)
    _assert_same(predict(f"{url}/versions/1", pixels), old)


def test_addresses_may_be_written_in_other_ways(server):
    pixels = _pixels(1)
    truth = predict(server.rest_url, pixels)
    host = server.rest_address.removeprefix("http://")
    for url in (
        f"{server.rest_url}:predict",
        f"{server.rest_url}/",
        f"HTTP://{host}/v1/models/mine",
    ):
        _assert_same(predict(url, pixels), truth)
    _assert_same(predict(f"{server.grpc_url}/", pixels), truth)


def test_a_version_may_be_named_by_a_label(server):
    # The double knows no labels, so what counts is the one that it refuses.
    with pytest.raises(UserError, match="Malformed request: GET /v1/models/mine/labels/stable/"):
        predict(f"{server.rest_url}/labels/stable", _pixels(1))
    with pytest.raises(UserError, match="Unrecognized servable version label: my label"):
        predict(f"{server.grpc_url}/labels/my%20label", _pixels(1))


def test_parts_of_a_grpc_address(server):
    with pytest.raises(UserError, match=r"Latest\(my net\)"):
        predict(f"grpc://{server.grpc_address}/my%20net", _pixels(1))
    with pytest.raises(UserError, match="UNAVAILABLE.*:8500"):  # the port when none is given
        predict("grpc://127.0.0.1/mine", _pixels(1), timeout=5)


@pytest.mark.parametrize("way", WAYS)
def test_requests_are_kept_small(server, way, monkeypatch):
    from keras_alexnet.predicting import grpc_client

    predictor = {"rest": rest.RestPredictor, "grpc": grpc_client.GrpcPredictor}[way]
    weight = len(tf.io.encode_png(_pixels(1)[0], compression=1).numpy())
    monkeypatch.setattr(predictor, "request_bytes", int(2.5 * weight))
    found = predict(_url(server, way), [*_pixels(5), _pixels(1, size=100)[0], *_pixels(1)])
    assert len(found) == 7 and all(each.error is None for each in found)
    assert server.requests == [2, 2, 1, 1, 1]  # the large one goes alone


@pytest.mark.parametrize("way", WAYS)
def test_one_bad_image_is_named_and_the_others_go_on(server, places, way):
    whole = tf.io.encode_png(_pixels(1)[0]).numpy()
    images = [whole, whole[:70], whole, b"BM but no bitmap", whole]
    found = predict(_url(server, way), images)
    assert [index for index, each in enumerate(found) if each.error] == [1, 3]
    assert "Invalid PNG" in found[1].error and "\n" not in found[1].error
    _assert_same(
        [found[0], found[2], found[4]],
        [each for each in predict(places.run, images) if not each.error],
    )
    assert server.requests == [4, 1, 1, 1, 1]


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_too_large_for_the_server_is_sent_image_by_image(server, places, way):
    server.most_images = 2
    _assert_same(predict(_url(server, way), _pixels(3)), predict(places.run, _pixels(3)))
    assert server.requests == [3, 1, 1, 1]


@pytest.mark.parametrize("way", WAYS)
def test_more_classes_than_the_server_names_need_labels(server, places, way):
    pixels, url = _pixels(2), _url(server, way)
    with pytest.raises(UsageError, match="top must be at most 5.*--labels.*Received: 6"):
        predict(url, pixels, top=6)
    _assert_same(predict(url, pixels, top=3), predict(places.run, pixels, top=3))
    found = predict(url, pixels, top=6, labels=places.labels)
    _assert_same(found, predict(places.run, pixels, top=6))
    with pytest.raises(UserError, match="Received: 3 names"):
        predict(url, pixels, labels=places.small / "labels.txt")


def test_a_network_of_three_classes(places, tmp_path):
    saved_model.write(keras_alexnet.load(places.small), tmp_path / "1")
    wanted = predict(places.small, _pixels(2))
    with serving_double.serve(tmp_path, "small") as server:
        for way in WAYS:
            found = predict(_url(server, way), _pixels(2))
            assert [len(each.classes) for each in found] == [3, 3]
            _assert_same(found, wanted)


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_name_and_a_missing_version(server, way):
    url = _url(server, way)
    with pytest.raises(UserError, match=r"Servable not found for request: Latest\(mined\)"):
        predict(f"{url}d", _pixels(1))
    with pytest.raises(UserError, match=r"Specific\(mine, 3\).*this version of it"):
        predict(f"{url}/versions/3", _pixels(1))
    assert server.requests == []


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_server(server, way):
    server.seconds = 20
    started = time.monotonic()
    with pytest.raises(UserError, match=r"answer.* within 0.3 seconds.*--timeout"):
        predict(_url(server, way), _pixels(1), timeout=0.3)
    assert time.monotonic() - started < 5
    # Asleep as they are, the handlers must not outlive the test.
    server.seconds = 0.2
    assert predict(_url(server, way), _pixels(1), timeout=30)[0].error is None


def test_a_server_that_sends_byte_by_byte():
    class Dawdling(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):  # noqa: N802
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            try:
                for _ in range(100):
                    self.wfile.write(b" ")
                    time.sleep(0.05)
            except OSError:
                pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dawdling)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    started = time.monotonic()
    with pytest.raises(UserError, match="did not answer completely within 0.3 seconds"):
        predict(f"http://127.0.0.1:{httpd.server_port}/v1/models/mine", _pixels(1), timeout=0.3)
    assert time.monotonic() - started < 3
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize(
    ("way", "text"), [("rest", "closed the connection in the middle"), ("grpc", "UNAVAILABLE")]
)
def test_a_server_that_dies_in_the_middle(mortal, way, text):
    mortal.dies_after = 1
    found = predictions(_url(mortal, way), _pixels(6), batch_size=2, timeout=10)
    assert next(found).error is None and next(found).error is None
    with pytest.raises(UserError, match=f"{text}.* 2 of 6 images were done[.]$"):
        next(found)


@pytest.mark.parametrize("way", WAYS)
def test_what_was_done_before_a_server_died_is_kept(mortal, way, tmp_path):
    mortal.dies_after = 2
    found = predictions(_url(mortal, way), iter(_pixels(6)), batch_size=2, timeout=10)
    kept = tmp_path / "found.csv"
    with pytest.raises(
        UserError, match=f" 4 images were done. The predictions so far are in {kept}[.] "
    ):
        with output.PredictionFiles(5, csv=kept) as written:
            for each in found:
                written.add(each)
    rows = kept.read_text(encoding="utf-8").splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [f"image {number}" for number in range(4)]


@pytest.mark.parametrize("way", WAYS)
def test_no_images_are_no_request(server, way):
    assert predict(_url(server, way), []) == [] and server.requests == []


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_has_stopped(mortal, way):
    url = _url(mortal, way)
    mortal.stop()
    with pytest.raises(UserError, match="Connection refused.*Is the server running there"):
        predict(url, _pixels(1), timeout=5)


def test_an_address_that_is_the_other_ports(server):
    with pytest.raises(UserError, match="127.0.0.1"):
        predict(f"http://{server.grpc_address}/v1/models/mine", _pixels(1), timeout=5)
    host = server.rest_address.removeprefix("http://")
    with pytest.raises(UserError, match="grpc://127.0.0.1.* answered "):
        predict(f"grpc://{host}/mine", _pixels(1), timeout=5)


@pytest.mark.parametrize(
    "url",
    [
        "http://host:8501/mine",
        "http://host:8501/v1/models/",
        "http://host:8501/v1/models/mine/versions/new",
        "http://host:port/v1/models/mine",
        "http:///v1/models/mine",
        "http://host/v1/models/mine?signature=x",
        "grpc://host:8500",
        "grpc://host:8500/",
        "grpc://host:port/mine",
        "grpc://host:8500/mine/versions/new",
        "grpc:///mine",
        "grpcs://host:8500/mine",
        "http://a..b/v1/models/mine",
        f"http://{'x' * 70}/v1/models/mine",
    ],
)
def test_addresses_of_another_form(url):
    with pytest.raises(UsageError) as error:
        predict(url, _pixels(1))
    assert f"Received: {url}." in str(error.value) and "NAME[/versions/N]" in str(error.value)


def _answer(**changed):
    """A REST answer for two images; the changed output is that of the second."""
    outputs = {"classes": [list("abcde")] * 2, "scores": [[0.5, 0.25, 0.1, 0.1, 0.05]] * 2}
    for name, value in changed.items():
        outputs[name] = [outputs[name][0], value]
    return 200, json.dumps({"outputs": outputs}).encode()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((200, b"<html>Welcome</html>"), "does not have the form.*not JSON"),
        ((200, b"[1, 2]"), "does not have the form"),
        ((200, b'{"outputs": {"classes": [["a"], ["b"]]}}'), "does not have the form"),
        ((200, b'{"outputs": {"classes": [["a"]], "scores": [[0.5]]}}'), "for 2 images"),
        (
            (200, b'{"outputs": {"classes": ["a", "b"], "scores": [1, 2]}}'),
            "does not have the form",
        ),
        (_answer(scores=["x"] * 5), "form"),
        (_answer(scores=["0.5"] * 5), "form"),
        (_answer(scores=[True] * 5), "form"),
        (_answer(scores=[[0.5]] * 5), "form"),
        (_answer(scores=[None] * 5), "form"),
        (_answer(scores={"0": 0.5}), "form"),
        (_answer(scores=[0.5, 0.5, 0.5, 0.5, 10**400]), "form"),
        (_answer(scores=[0.5, 0.5, 0.5, 0.5, 1e39]), "no probabilities"),
        (_answer(scores=[0.5, 0.5, 0.5, 0.5, -0.5]), "no probabilities"),
        (_answer(scores=[0.5, 0.5, 0.5, 0.5, float("nan")]), "not finite"),
        (_answer(scores=[0.5] * 4), "form"),
        (_answer(classes=[1, 2, 3, 4, 5]), "form"),
        (_answer(classes=[{"b64": "YQ=="}] * 5), "form"),
        ((200, b"[" * 10**5 + b"]" * 10**5), "not JSON"),
        ((200, b'{"outputs": ' + b"[" * 300 + b"]" * 300 + b"}"), "form"),
        ((200, b"9" * 10**5), "not JSON"),
        ((204, b""), "answered 204 No Content"),
        ((302, b""), "answered 302 Found"),
        ((500, b'{"error": "red\\u001b[31m\\u202e"}'), r"500 .*: red\\x1b\[31m\\u202e[.]"),
        ((500, b"x" * 10**6), "500 Internal Server Error: x{500}….$"),
        ((500, b'{"error": ' + b"[" * 10**5), "answered 500"),
        ((500, b'{"error": "out of luck"}'), "answered 500 .*: out of luck"),
        ((502, b"<html>Bad gateway</html>"), "answered 502 .*Bad gateway"),
        ((503, b""), "answered 503"),
    ],
)
def test_answers_that_are_no_predictions(server, answer, text):
    server.rest_answer = answer
    with pytest.raises(UserError, match=text):
        predict(server.rest_url, _pixels(2))


def test_an_error_that_quotes_bytes_of_the_image(server):
    server.rest_answer = (400, b'{ "error": "No image: \xff\xd8\n again" }')
    [found] = predict(server.rest_url, _pixels(1))
    assert found.error == "again" or "No image" in found.error


def test_a_grpc_answer_that_is_no_prediction(server):
    server.grpc_answer = predict_pb2.PredictResponse()
    outputs = server.grpc_answer.outputs
    outputs["classes"].CopyFrom(tf.make_tensor_proto([["a", "b\x1b[31m", "c" * 600, "d", "e"]]))
    with pytest.raises(UserError, match="does not have the form"):
        predict(server.grpc_url, _pixels(1))
    outputs["scores"].CopyFrom(tf.make_tensor_proto([[0.25] * 5]))
    [found] = predict(server.grpc_url, _pixels(1))
    assert found.scores == (0.25,) * 5
    assert found.classes[:2] == ("a", "b\\x1b[31m") and len(found.classes[2]) == 501
    with pytest.raises(UserError, match="for 2 images"):
        predict(server.grpc_url, _pixels(2))
    for changed in (
        tf.make_tensor_proto([[0.25] * 4]),
        tf.make_tensor_proto([[25.0] * 5]),
        tf.make_tensor_proto([[1] * 5]),
        tf.make_tensor_proto(0.5, shape=[1, 5]),  # one number, which stands for all
        tf.make_tensor_proto(0.5, shape=[10**6, 10**6]),
    ):
        outputs["scores"].CopyFrom(changed)
        with pytest.raises(UserError, match="does not have the form"):
            predict(server.grpc_url, _pixels(1))


def test_a_grpc_answer_that_is_too_large(server, monkeypatch):
    from keras_alexnet.predicting import grpc_client

    monkeypatch.setattr(grpc_client, "_BASE_BYTES", 2**14)
    server.grpc_answer = predict_pb2.PredictResponse()
    label = tf.make_tensor_proto([["x" * 10**6] * 5])
    server.grpc_answer.outputs["classes"].CopyFrom(label)
    with pytest.raises(UserError, match=r"more than \d{5} bytes"):
        predict(server.grpc_url, _pixels(1))
    # What this many predictions need is accepted, although it is more than at the start.
    server.grpc_answer.outputs["classes"].CopyFrom(tf.make_tensor_proto([["x" * 3000] * 5] * 8))
    server.grpc_answer.outputs["scores"].CopyFrom(tf.make_tensor_proto([[0.2] * 5] * 8))
    assert len(predict(server.grpc_url, _pixels(8))) == 8


@pytest.mark.parametrize("way", WAYS)
def test_a_network_of_another_project(tmp_path, way):
    predict_places.save_foreign(tmp_path / "1", "twice", tf.TensorSpec([None], tf.float32), ["y"])
    with serving_double.serve(tmp_path, "other") as server:
        with pytest.raises(UserError, match=r"no signature 'image_bytes'.*It has: twice \(y\)"):
            predict(_url(server, way), _pixels(1))


def test_without_the_optional_package_rest_still_works(server, monkeypatch):
    assert predict(server.grpc_url, _pixels(1))[0].error is None
    for name in [name for name in sys.modules if name.startswith("tensorflow_serving")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "keras_alexnet.predicting.grpc_client")
    with pytest.raises(UserError, match=r"pip install -e ..\[serving\]"):
        predict(server.grpc_url, _pixels(1))
    assert predict(server.rest_url, _pixels(1))[0].error is None


def _post(url, value):
    request = urllib.request.Request(url, json.dumps(value).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def test_the_double_answers_as_documented(server, places):
    """What it stands in for: both forms of JSON, status, and errors."""
    with urllib.request.urlopen(server.rest_url, timeout=30) as response:
        states = json.load(response)["model_version_status"]
    assert [(each["version"], each["state"]) for each in states] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]
    pixels = _pixels(2, size=32)
    by_column = _post(f"{server.rest_url}:predict", {"inputs": {"image": pixels.tolist()}})
    by_row = _post(f"{server.rest_url}:predict", {"instances": pixels.tolist()})
    plain = _post(f"{server.rest_url}:predict", {"inputs": pixels.tolist()})
    assert by_column == plain
    model = places.network.model
    logits = model(tf.cast(pixels, tf.float32), training=False).numpy()
    np.testing.assert_allclose(by_column["outputs"]["logits"], logits, rtol=1e-4, atol=1e-3)
    for row, expected in zip(by_row["predictions"], logits, strict=True):
        np.testing.assert_allclose(row["logits"], expected, rtol=1e-4, atol=1e-3)
    features = _post(
        f"{server.rest_url}:predict", {"signature_name": "features", "instances": pixels.tolist()}
    )
    assert len(features["predictions"][0]) == model.get_layer("logits").kernel.shape[0]


@pytest.mark.parametrize(
    ("path", "value", "code", "text"),
    [
        (":predict", {"instances": _pixels(1, size=24).tolist()}, 400, "32"),
        (":predict", {"instances": [[1], [1, 2]]}, 400, "unexpected size"),
        (":predict", {"signature_name": "nope", "instances": [1]}, 400, "not found in signature"),
        (":predict", {"inputs": [1], "instances": [1]}, 400, "'instances'"),
        (":predict", [1], 400, "Is not object"),
        (":guess", {"instances": [1]}, 400, "Malformed request"),
        ("s:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(mines)"),
    ],
)
def test_the_double_refuses_as_documented(server, path, value, code, text):
    with pytest.raises(urllib.error.HTTPError) as error:
        _post(f"{server.rest_url}{path}", value)
    assert error.value.code == code
    assert text in json.load(error.value)["error"]


def test_the_double_refuses_by_grpc_with_the_official_codes(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = stubs.PredictionServiceStub(channel)

        def code_of(signature, **inputs):
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = "mine", signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            with pytest.raises(grpc.RpcError) as error:
                stub.Predict(request, timeout=30)
            return error.value.code()

        assert code_of("nope") == grpc.StatusCode.FAILED_PRECONDITION
        for inputs in ({}, {"image": _pixels(1, size=24)}, {"image": np.zeros([1, 32, 32, 3])}):
            assert code_of("", **inputs) == grpc.StatusCode.INVALID_ARGUMENT
