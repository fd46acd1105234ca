"""A stand-in for TensorFlow Serving, which the test machines do not have.

It serves the SavedModels of a folder on loopback by gRPC, with the official stubs, and by REST,
with the official routes and JSON formats. It can be made slow, die, and send invalid answers:

    with serving_double.serve("saved_models/mine", name="mine") as server:
        keras_alexnet.predict(server.rest_url, images)

References: tensorflow_serving/g3doc/api_rest.md, apis/prediction_service.proto.
"""

import base64
import contextlib
import http.server
import json
import pathlib
import re
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:(predict)")
_STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(?:/(metadata))?")
_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class Status(Exception):
    """The refusal of a request: a gRPC status code and a text."""

    def __init__(self, code: grpc.StatusCode, text: str):
        super().__init__(text)
        self.code, self.text = code, text


def _invalid(text: str) -> Status:
    return Status(grpc.StatusCode.INVALID_ARGUMENT, text)


class Server:
    """A running server; its attributes may be set while it runs.

    Attributes:
        rest_url, grpc_url: what `keras_alexnet.predict` takes.
        grpc_address: host:port, what gRPC takes.
        requests: the number of images in every Predict request so far.
        seconds: the delay of every answer to Predict.
        most_images: larger batches are refused, as by `max_batch_size`.
        dies_after: number of Predict requests to answer; the next one is broken off.
        metadata_status: HTTP status in place of the metadata, which gRPC does not implement then.
        rest_answer: (HTTP status, body) in place of any answer to a REST Predict.
        grpc_answer: a PredictResponse in place of any answer to a gRPC Predict.
    """

    def __init__(self, base_path, name: str):
        versions = {int(p.name): p for p in pathlib.Path(base_path).iterdir() if p.name.isdecimal()}
        self.name = name
        self.versions = {version: _Loaded(versions[version]) for version in sorted(versions)}
        self.requests: list[int] = []
        self.seconds = 0.0
        self.metadata_status = None
        self.most_images = self.dies_after = self.rest_answer = self.grpc_answer = None
        self._stopping = threading.Event()
        self._grpc = grpc.server(
            ThreadPoolExecutor(4),
            options=[(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Grpc(self), self._grpc)
        self.grpc_address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        handler = type("Handler", (_Rest,), {"server_double": self})
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.rest_address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.rest_url = f"{self.rest_address}/v1/models/{name}"
        self.grpc_url = f"grpc://{self.grpc_address}/{name}"

    def start(self) -> None:
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self.break_grpc_off()
        self._http.shutdown()
        self._http.server_close()

    def break_grpc_off(self) -> None:
        self._grpc.stop(grace=None)

    def find(self, name: str, version: int | None) -> "_Loaded":
        if name == self.name and version in (None, *self.versions):
            return self.versions[max(self.versions) if version is None else version]
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise Status(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")

    def begin(self, inputs: dict) -> bool:
        """Records a request, delays it, and returns whether to die."""
        images = max((len(value) for value in inputs.values()), default=0)
        self.requests.append(images)
        self._stopping.wait(self.seconds)
        if self.most_images is not None and images > self.most_images:
            raise _invalid(
                f"Task size {images} is larger than maximum input batch size {self.most_images}"
            )
        return self.dies_after is not None and len(self.requests) > self.dies_after


@contextlib.contextmanager
def serve(base_path, name: str = "model", **switches):
    """Serves every version in `base_path`, and yields the `Server`, which ends with the body.

    Args:
        base_path: a folder of SavedModels named by integers.
        name: the name of the model.
        **switches: attributes of the `Server` to set.
    """
    server = Server(base_path, name)
    for switch, value in switches.items():
        setattr(server, switch, value)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Loaded:
    """One version: the signatures that the graph declares, and functions to run them."""

    def __init__(self, folder: pathlib.Path):
        self._model = tf.saved_model.load(str(folder))
        described = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signatures = {
            name: signature
            for name, signature in described.meta_graphs[0].signature_def.items()
            if name != "__saved_model_init_op"
        }

    def run(self, name: str, inputs: dict[str, np.ndarray], wanted=()) -> dict[str, np.ndarray]:
        signature = self.signatures[name]
        if set(inputs) != set(signature.inputs):
            sent, needed = ",".join(sorted(inputs)), ",".join(sorted(signature.inputs))
            raise _invalid(
                f"input size does not match signature: {len(inputs)}!={len(signature.inputs)} "
                f"len({{{sent}}}) != len({{{needed}}})."
            )
        for alias in wanted:
            if alias not in signature.outputs:
                raise _invalid(f"output tensor alias not found in signature: {alias}")
        for key, value in inputs.items():
            if tf.as_dtype(value.dtype) != tf.as_dtype(signature.inputs[key].dtype):
                raise _invalid(f"input {key} has the wrong type")
        try:
            tensors = {key: tf.constant(value) for key, value in inputs.items()}
            outputs = self._model.signatures[name](**tensors)
        except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
            raise _invalid(str(error)) from error
        return {key: outputs[key].numpy() for key in wanted or outputs}


class _Grpc(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: Server):
        self._server = server

    def Predict(self, request, context):  # noqa: N802
        try:
            return self._predict(request, context)
        except Status as status:
            context.abort(status.code, status.text)

    def GetModelMetadata(self, request, context):  # noqa: N802
        if self._server.metadata_status is not None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")
        try:
            model = self._find(request.model_spec)
        except Status as status:
            context.abort(status.code, status.text)
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
        answer = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=request.model_spec)
        answer.metadata["signature_def"].Pack(signatures)
        return answer

    def _find(self, spec) -> _Loaded:
        if spec.HasField("version_label"):
            text = f"Unrecognized servable version label: {spec.version_label}"
            raise Status(grpc.StatusCode.FAILED_PRECONDITION, text)
        version = spec.version.value if spec.HasField("version") else None
        return self._server.find(spec.name, version)

    def _predict(self, request, context):
        model, name = self._find(request.model_spec), request.model_spec.signature_name
        name = name or "serving_default"
        if name not in model.signatures:
            raise Status(
                grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
            )
        inputs = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        if self._server.begin(inputs):
            self._server.break_grpc_off()
            time.sleep(0.2)
        if self._server.grpc_answer is not None:
            return self._server.grpc_answer
        outputs = model.run(name, inputs, request.output_filter)
        answer = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for key, value in outputs.items():
            answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return answer


class _Rest(http.server.BaseHTTPRequestHandler):
    server_double: Server

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802
        self._answer(self._get)

    def do_POST(self):  # noqa: N802
        self._answer(self._post)

    def _answer(self, handle) -> None:
        code, dies = 200, False
        try:
            value, dies = handle()
        except Status as status:
            code, value = _HTTP[status.code], {"error": status.text}
        body = json.dumps(value, indent=4).encode()
        if self.path.endswith("/metadata") and self.server_double.metadata_status is not None:
            code, body = self.server_double.metadata_status, b'{"detail":"Not Found"}'
        if self.command == "POST" and self.server_double.rest_answer is not None:
            code, body = self.server_double.rest_answer
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A client may have stopped waiting.
        with contextlib.suppress(OSError):
            self.wfile.write(body[: len(body) // 2] if dies else body)

    def _get(self):
        match = _STATUS.fullmatch(self.path)
        if not match:
            raise _invalid(f"Malformed request: GET {self.path}")
        name, version = self._named(match)
        if match[3]:
            model = self.server_double.find(name, version)
            return _metadata(name, version or max(self.server_double.versions), model), False
        found = [version] if version else sorted(self.server_double.versions, reverse=True)
        if name != self.server_double.name or not set(found) <= set(self.server_double.versions):
            missing = f"version {version}" if version else "any versions"
            raise Status(grpc.StatusCode.NOT_FOUND, f"Could not find {missing} of model {name}")
        fine = {"error_code": "OK", "error_message": ""}
        states = [{"version": str(v), "state": "AVAILABLE", "status": fine} for v in found]
        return {"model_version_status": states}, False

    def _post(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match = _PREDICT.fullmatch(self.path)
        if not match:
            raise _invalid(f"Malformed request: POST {self.path}")
        model = self.server_double.find(*self._named(match))
        try:
            request = json.loads(body)
        except ValueError as error:
            raise _invalid(f"JSON Parse error: {error}") from error
        if not isinstance(request, dict):
            raise _invalid(f"JSON Value: {request} Is not object")
        name = request.get("signature_name", "serving_default")
        if name not in model.signatures:
            raise _invalid(f'Serving signature name: "{name}" not found in signature def')
        by_row, inputs = _inputs(request, model.signatures[name].inputs)
        dies = self.server_double.begin(inputs)
        outputs = model.run(name, inputs)
        columns = {key: _as_json(key, value) for key, value in outputs.items()}
        if len(columns) == 1:
            [column] = columns.values()
            return {"predictions" if by_row else "outputs": column}, dies
        if not by_row:
            return {"outputs": columns}, dies
        rows = zip(*columns.values(), strict=True)
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}, dies

    def _named(self, match) -> tuple[str, int | None]:
        return urllib.parse.unquote(match[1]), int(match[2]) if match[2] else None


def _metadata(name: str, version: int, model: _Loaded) -> dict:
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signatures)
    described = json_format.MessageToDict(
        signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": described},
    }


def _inputs(request: dict, declared) -> tuple[bool, dict[str, np.ndarray]]:
    """Returns whether the request is in the row format, and its tensors."""
    if ("instances" in request) == ("inputs" in request):
        raise _invalid("Missing 'inputs' or 'instances' key, or both are there")
    [only, *others] = declared
    if "inputs" in request:
        columns = request["inputs"]
        if not isinstance(columns, dict) or set(columns) == {"b64"}:
            columns = {only: columns}
    else:
        rows = request["instances"]
        if not isinstance(rows, list) or not rows:
            raise _invalid("Excepting 'instances' to be an list/array with values")
        if isinstance(rows[0], dict) and set(rows[0]) != {"b64"}:
            if any(not isinstance(row, dict) or set(row) != set(declared) for row in rows):
                raise _invalid(f"keys must be equal to: {','.join(declared)}")
            columns = {key: [row[key] for row in rows] for key in declared}
        elif others:
            raise _invalid("instances is a plain list, but expecting list of objects")
        else:
            columns = {only: rows}
    for key in set(declared) - set(columns):
        raise _invalid(f"Missing named input: {key} in 'inputs' object.")
    tensors = {key: _tensor(columns[key], tf.as_dtype(declared[key].dtype)) for key in declared}
    return "instances" in request, tensors


def _tensor(value, dtype: tf.DType) -> np.ndarray:
    def leaf(each):
        if isinstance(each, list):
            return [leaf(part) for part in each]
        if dtype == tf.string:
            if isinstance(each, dict) and set(each) == {"b64"}:
                return base64.b64decode(each["b64"], validate=True)
            if isinstance(each, str):
                return each.encode()
        elif isinstance(each, (int, float)) and (dtype.is_floating or isinstance(each, int)):
            return each
        raise _invalid(f"JSON Value: {each} is not of expected type: {dtype.name}")

    try:
        return np.array(leaf(value), object if dtype == tf.string else dtype.as_numpy_dtype)
    except (ValueError, OverflowError) as error:
        raise _invalid(f"Encountered list at unexpected size: {error}") from error


def _as_json(name: str, value):
    if isinstance(value, (np.ndarray, list)):
        return [_as_json(name, part) for part in value]
    if isinstance(value, bytes):
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode()
    return float(str(value)) if isinstance(value, np.floating) else value.item()
