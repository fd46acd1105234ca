"""The predictor that uses TensorFlow Serving's gRPC API."""

import contextlib
import re
import urllib.parse
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting.predictor import (
    INPUT,
    SIGNATURE,
    EncodedPredictor,
    Refused,
    checked_outputs,
    reason,
    unknown_answer,
)

try:
    import grpc
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        model_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )
except ImportError as error:
    raise UserError(
        f"gRPC needs an optional package ({error}): "
        'pip install -e ".[serving]" installs it. '
        "The REST address of the same server needs none."
    ) from error

FORM = "grpc://host:8500/NAME[/versions/N]"

_DEFAULT_PORT = 8500

_PATH = re.compile(r"/(?P<name>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?/?")


_HINTS = {
    grpc.StatusCode.UNAVAILABLE: "Is the server running there?",
    grpc.StatusCode.NOT_FOUND: "Does the server have a model of this name, and this version of it?",
}


class GrpcPredictor(EncodedPredictor):
    """Sends images to `PredictionService.Predict`, after reading the network's signatures.

    Args:
        url: an address of the form `FORM`.
        top: how many classes to name.
        labels: the names of the classes, or None.
        timeout: seconds that a request may take.

    Raises:
        UsageError: if the address has a different form, or as `EncodedPredictor`.
        UserError: if the server does not answer or answers with an error, or as `EncodedPredictor`.
    """

    request_bytes = 16 * 2**20

    def __init__(self, url: str, top: int, labels: Sequence[str] | None, timeout: float):
        self._url, self._timeout = url, timeout
        target, self._spec = _parsed(url)
        no_limit = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        self._channel = grpc.insecure_channel(target, options=no_limit)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        try:
            super().__init__(url, self._signatures(), top, labels)
        except BaseException:
            self.close()
            raise

    def call_signature(self, images: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
        request = predict_pb2.PredictRequest(model_spec=self._spec, output_filter=names)
        request.model_spec.signature_name = SIGNATURE
        request.inputs[INPUT].CopyFrom(tf.make_tensor_proto(images, tf.string))
        try:
            answer = self._stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            if _is_about_the_images(error):
                raise Refused(reason(error.details())) from error
            raise self._explained(error) from error
        try:
            outputs = {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}
        except (TypeError, ValueError) as error:
            raise unknown_answer(self._url, error) from error
        return checked_outputs(outputs, names, len(images), self._url)

    def close(self) -> None:
        self._channel.close()

    def _signatures(self) -> dict[str, dict[str, list[int]]]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        try:
            answer = self._stub.GetModelMetadata(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise self._explained(error) from error
        found = get_model_metadata_pb2.SignatureDefMap()
        if not answer.metadata["signature_def"].Unpack(found):
            raise unknown_answer(self._url, "no signatures.")
        return {
            name: {
                key: [axis.size for axis in tensor.tensor_shape.dim]
                for key, tensor in signature.outputs.items()
            }
            for name, signature in found.signature_def.items()
        }

    def _explained(self, error: grpc.RpcError) -> UserError:
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            return UserError(
                f"{self._url} did not answer within {self._timeout:g} seconds. Allow more time "
                "with --timeout (timeout=), or choose a smaller --batch_size."
            )
        hint = _HINTS.get(error.code(), "")
        said = reason(error.details() or "")
        return UserError(f"{self._url} answered {error.code().name}: {said}. {hint}".rstrip())


def _parsed(url: str) -> tuple[str, model_pb2.ModelSpec]:
    match, host, port = None, None, _DEFAULT_PORT
    with contextlib.suppress(ValueError):  # for invalid hosts and ports
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
        if host and not parts.query and not parts.fragment:
            match = _PATH.fullmatch(parts.path)
    if match is None or host is None:
        raise UsageError(f"The address of a gRPC server has the form {FORM}. Received: {url}.")
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(match["name"]))
    if match["version"]:
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = urllib.parse.unquote(match["label"])
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}", spec


def _is_about_the_images(error: grpc.RpcError) -> bool:
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return "larger than max" in (error.details() or "")  # a single image may be accepted
    return error.code() == grpc.StatusCode.INVALID_ARGUMENT
