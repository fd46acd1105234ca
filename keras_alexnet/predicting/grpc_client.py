"""The predictor that uses TensorFlow Serving's gRPC API."""

import math
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from google.protobuf.message import DecodeError

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting import addresses
from keras_alexnet.predicting.encoded_predictor import OUTPUTS, EncodedPredictor, Signatures
from keras_alexnet.predicting.messages import reason, unknown_answer
from keras_alexnet.predicting.pixel_inputs import PixelInputs
from keras_alexnet.predicting.predictor import Refused
from keras_alexnet.utils.proxies import Proxy, proxy_for

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

_BASE_BYTES = 2**24  # of an answer without its predictions
_NUMBER_BYTES, _LABEL_BYTES = 8, 2**12  # of a number and a name, generously
_ROW_BYTES = 2**20  # of all outputs for an image, if it is unknown how many there are
_MOST_BYTES = 2**31 - 1  # that gRPC can be told

_PATH = re.compile(r"/(?P<name>[^/:]+)(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?/?")


_HINTS = {
    grpc.StatusCode.UNAVAILABLE: "Is the server running there?",
    grpc.StatusCode.NOT_FOUND: "Does the server have a model of this name, and this version of it?",
}


class GrpcPredictor(EncodedPredictor):
    """Sends images to `PredictionService.Predict`, after reading the network's signatures.

    A server without `GetModelMetadata` is asked for all outputs, and its first answer is checked in
    place of the signatures.

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
        self._timeout, self._url = timeout, addresses.shown(url)
        self._has_metadata = False
        host, self._target, self._spec = _parsed(url)
        self._proxy = proxy_for("grpc", host)
        if self._proxy is not None:
            logging.info("%s is asked through %s.", self._url, self._proxy)
            self._url = f"{self._url} (through {self._proxy})"
        self._open(_BASE_BYTES)
        try:
            super().__init__(self._url, self.find_signatures(), top, labels)
        except BaseException:
            self.close()
            raise

    def call_signature(self, images: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
        wanted = names if self._has_metadata else ()
        request = predict_pb2.PredictRequest(model_spec=self._spec, output_filter=wanted)
        request.model_spec.signature_name = self.signature
        request.inputs[self.input].CopyFrom(self.tensor(images))
        self._allow(images, names)
        try:
            answer = self._stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            if _is_about_the_images(error):
                raise Refused(reason(error.details())) from error
            raise self._explained(error) from error
        try:
            expected = names if self._has_metadata else OUTPUTS
            outputs = {
                name: _array(answer.outputs[name]) for name in expected if name in answer.outputs
            }
        except (TypeError, ValueError) as error:
            raise unknown_answer(self._url, str(error)) from error
        if not self._has_metadata:
            other = {name: np.zeros(0) for name in answer.outputs if name not in outputs}
            self.learn_outputs({**other, **outputs})
        return self.checked(outputs, names, len(images))

    def tensor(self, images: list[Any]) -> Any:
        """Returns what `preprocess` made as the tensor of a request."""
        return tf.make_tensor_proto(images, tf.string)

    def close(self) -> None:
        self._channel.close()

    def _open(self, most_bytes: int) -> None:
        """Opens a channel that accepts answers up to a size, which is a property of a channel."""
        self._most_bytes = most_bytes
        options: dict[str, Any] = {
            "grpc.max_send_message_length": -1,
            "grpc.max_receive_message_length": most_bytes,
            # gRPC would choose the proxy by rules of its own.
            "grpc.enable_http_proxy": 0 if self._proxy is None else 1,
        }
        if self._proxy is not None:
            options["grpc.http_proxy"] = _proxy_url(self._proxy)
        self._channel = grpc.insecure_channel(self._target, options=list(options.items()))
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def _allow(self, images: list[bytes], names: Sequence[str]) -> None:
        """Accepts answers as large as the predictions of these images."""
        each = _ROW_BYTES
        if self._has_metadata:
            each = sum(
                self.width(name) * (_LABEL_BYTES if name == "classes" else _NUMBER_BYTES)
                for name in names
            )
        needed = min(_BASE_BYTES + each * len(images), _MOST_BYTES)
        if needed > self._most_bytes:
            self.close()
            self._open(needed)

    def find_signatures(self) -> Signatures | None:
        """Asks for the signatures, and returns None if the server does not tell them."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec, metadata_field=["signature_def"]
        )
        try:
            answer = self._stub.GetModelMetadata(request, timeout=self._timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                logging.info(
                    "%s has no GetModelMetadata, so its first answer shows what it serves.",
                    self._url,
                )
                return None
            raise self._explained(error) from error
        self._has_metadata = True
        found = get_model_metadata_pb2.SignatureDefMap()
        try:
            unpacked = answer.metadata["signature_def"].Unpack(found)
        except DecodeError as error:
            raise unknown_answer(self._url, str(error)) from error
        if not unpacked:
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
        if _is_too_large(error):
            return unknown_answer(self._url, f"more than {self._most_bytes} bytes.")
        hint = _HINTS.get(error.code(), "")
        said = reason(error.details() or "")
        return UserError(f"{self._url} answered {error.code().name}: {said}. {hint}".rstrip())


class GrpcPixelPredictor(PixelInputs, GrpcPredictor):
    """Decodes images here, and sends pixels; arguments as `PixelInputs` and `GrpcPredictor`."""

    # Which of them a network takes is not known at first.
    _dtypes: tuple[tf.DType, ...] = (tf.uint8, tf.float32)

    def tensor(self, images: list[Any]) -> Any:
        return tf.make_tensor_proto(self.pixels(images), self._dtypes[0])

    def call_signature(self, images: list[Any], names: Sequence[str]) -> dict[str, np.ndarray]:
        try:
            outputs = super().call_signature(images, names)
        except Refused as error:
            if len(self._dtypes) == 1:
                raise
            first, other = self._dtypes
            self._dtypes = (other,)
            try:
                outputs = super().call_signature(images, names)
            except Refused:  # the images are refused for another reason
                self._dtypes = (first, other)
                raise error from None
            logging.info("%s takes pixels as %s, so they are sent so.", self._url, other.name)
        self._dtypes = self._dtypes[:1]
        return outputs


def _parsed(url: str) -> tuple[str, str, model_pb2.ModelSpec]:
    """Returns the host, what gRPC connects to, and the network."""
    found = addresses.parsed(url)
    match = None if found is None else _PATH.fullmatch(found.path)
    if found is None or match is None:
        raise UsageError(
            f"The address of a gRPC server has the form {FORM}. Received: {addresses.shown(url)}."
        )
    if found.user is not None:
        raise UsageError(
            "A gRPC server is asked without encryption, so no name and password are sent to it. "
            f"Leave them out. Received: {addresses.shown(url)}."
        )
    spec = model_pb2.ModelSpec(name=urllib.parse.unquote(match["name"]))
    if match["version"]:
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = urllib.parse.unquote(match["label"])
    return found.host, found._replace(port=found.port or _DEFAULT_PORT).netloc, spec


def _proxy_url(proxy: Proxy) -> str:
    server = addresses.Address("http", proxy.host, proxy.port, "", None, None).netloc
    if proxy.user is None:
        return f"http://{server}"
    user, password = (
        urllib.parse.quote(each or "", safe="") for each in (proxy.user, proxy.password)
    )
    return f"http://{user}:{password}@{server}"


def _array(tensor: Any) -> np.ndarray:
    """Returns a tensor of an answer, if it has as many values as its shape says.

    A single value stands for a whole tensor, however large its shape is.
    """
    shape = [axis.size for axis in tensor.tensor_shape.dim]
    if tensor.dtype not in (tf.string.as_datatype_enum, tf.float32.as_datatype_enum):
        raise TypeError(f"{tf.as_dtype(tensor.dtype).name} in place of texts or float32.")
    values = max(len(tensor.string_val), len(tensor.float_val), len(tensor.tensor_content) // 4)
    if math.prod(shape) != values:
        raise ValueError(f"{values} values in the shape {shape}.")
    return tf.make_ndarray(tensor)


def _is_about_the_images(error: grpc.RpcError) -> bool:
    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
        # A single image may be accepted.
        return "larger than max" in (error.details() or "") and not _is_too_large(error)
    return error.code() == grpc.StatusCode.INVALID_ARGUMENT


def _is_too_large(error: grpc.RpcError) -> bool:
    """Returns whether this client refused an answer, rather than the server a request."""
    exhausted, said = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error.details() or ""
    return exhausted and ("CLIENT: " in said or said.startswith("Decompressed message"))
