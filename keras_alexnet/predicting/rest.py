"""The predictor that uses the REST API of TensorFlow Serving, or KServe's version 1 of it."""

import base64
import http
import http.client
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from keras_alexnet.errors import UsageError, UserError
from keras_alexnet.predicting import addresses, bounded_http
from keras_alexnet.predicting.encoded_predictor import OUTPUTS, EncodedPredictor, Signatures
from keras_alexnet.predicting.messages import reason, shortened, unknown_answer
from keras_alexnet.predicting.pixel_inputs import PixelInputs
from keras_alexnet.predicting.predictor import Refused
from keras_alexnet.utils.proxies import proxy_for

FORM = "http://host:8501/v1/models/NAME[/versions/N]"

_PATH = re.compile(r".*/v1/models/[^/:]+(/versions/\d+|/labels/[^/:]+)?")

_TOO_LARGE = 413  # what gateways answer; a single image may be accepted

_METADATA_BYTES = 2**24  # of an answer; that of this package's networks has some thousand
_NUMBER_BYTES, _LABEL_BYTES = 64, 2**14  # of a number and a name in JSON, generously
_ROW_BYTES = 2**22  # of all outputs for an image, if it is unknown how many there are

# What servers without metadata answer to the question for them.
_NO_METADATA = (
    http.HTTPStatus.NOT_FOUND,
    http.HTTPStatus.METHOD_NOT_ALLOWED,
    http.HTTPStatus.NOT_IMPLEMENTED,
)


class RestPredictor(EncodedPredictor):
    """Sends images to `:predict`, after reading the network's signatures.

    A server without `/metadata`, such as KServe's, is sent rows (`instances`), which is the only
    form of its protocol, and its first answer is checked in place of the signatures.

    A proxy is used where curl would use one: the environment variables `http_proxy`, `https_proxy`,
    `all_proxy` and `no_proxy` are respected. A user's name and password in the address are sent as
    basic authentication, and never shown.

    Args:
        url: an address of the form `FORM`.
        top: how many classes to name.
        labels: the names of the classes, or None.
        timeout: seconds that a request and its whole answer may take.

    Raises:
        UsageError: if the address has a different form, or as `EncodedPredictor`.
        UserError: if the server does not answer, answers with an error or with more bytes than
            predictions have, or as `EncodedPredictor`.
    """

    request_bytes = 8 * 2**20  # base64 adds a third

    def __init__(self, url: str, top: int, labels: Sequence[str] | None, timeout: float):
        self._address, self._timeout = _checked(url), timeout
        self._has_metadata = False
        self._url = addresses.shown(url.removesuffix(":predict").rstrip("/"))
        self._proxy = proxy_for(self._address.scheme, self._address.host)
        if self._proxy is not None:
            logging.info("%s is asked through %s.", self._url, self._proxy)
            self._url = f"{self._url} (through {self._proxy})"
        super().__init__(self._url, self.find_signatures(), top, labels)

    def call_signature(self, images: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
        encoded = self.values(images)
        if not self._has_metadata:
            return self._by_rows(encoded, names)
        # The columnar form: the row form repeats the names of all outputs with every image.
        request = {"signature_name": self.signature, "inputs": {self.input: encoded}}
        numbers = len(images) * sum(self.width(name) for name in names)
        named = len(images) * self.width("classes") if "classes" in names else 0
        most = _METADATA_BYTES + numbers * _NUMBER_BYTES + named * _LABEL_BYTES
        answer = self._call(":predict", request, most)
        try:
            outputs = {name: _array(answer["outputs"][name], name) for name in names}
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise unknown_answer(self._url, answer) from error
        return self.checked(outputs, names, len(images))

    def values(self, images: list[Any]) -> list[Any]:
        """Returns what `preprocess` made as JSON, a value for each image."""
        return [{"b64": base64.b64encode(image).decode("ascii")} for image in images]

    def _by_rows(self, encoded: list[Any], names: Sequence[str]) -> dict[str, np.ndarray]:
        request = {
            "signature_name": self.signature,
            "instances": [{self.input: image} for image in encoded],
        }
        most = _METADATA_BYTES + len(encoded) * _ROW_BYTES
        answer = self._call(":predict", request, most)
        try:
            rows = answer["predictions"]
            if not all(isinstance(row, dict) for row in rows):
                raise TypeError
            found = [name for name in OUTPUTS if all(name in row for row in rows)]
            outputs = {name: _array([row[name] for row in rows], name) for name in found}
            other = {name: np.zeros(0) for name in rows[0] if name not in outputs}
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise unknown_answer(self._url, answer) from error
        self.learn_outputs({**other, **outputs})
        return self.checked(outputs, names, len(encoded))

    def find_signatures(self) -> Signatures | None:
        """Asks for the signatures, and returns None if the server does not tell them."""
        answer = self._answer("/metadata", None, _METADATA_BYTES)
        self._has_metadata = answer.status not in _NO_METADATA
        if not self._has_metadata:
            logging.info(
                "%s has no /metadata (%d), so its first answer shows what it serves.",
                *(self._url, answer.status),
            )
            return None
        value = self._value(answer, sends_images=False)
        try:
            return _signatures(value)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise unknown_answer(self._url, value) from error

    def _call(self, path: str, value: object, most_bytes: int) -> Any:
        return self._value(self._answer(path, value, most_bytes), sends_images=True)

    def _answer(self, path: str, value: object, most_bytes: int) -> bounded_http.Answer:
        address = self._address._replace(path=self._address.path + path)
        body = None if value is None else json.dumps(value).encode("ascii")
        try:
            return bounded_http.send(
                *(address, body),
                proxy=self._proxy,
                timeout=self._timeout,
                most_bytes=most_bytes,
            )
        except bounded_http.TooLarge as error:
            raise unknown_answer(self._url, f"more than {most_bytes} bytes.") from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unanswered(error) from error

    def _value(self, answer: bounded_http.Answer, sends_images: bool) -> Any:
        """Returns the JSON of an answer."""
        if answer.status != http.HTTPStatus.OK:
            raise self._explained(answer, sends_images)
        if answer.encoding not in (None, "identity"):
            raise unknown_answer(self._url, f"it is compressed ({answer.encoding}).")
        try:
            return json.loads(answer.body or b"")
        except (ValueError, RecursionError) as error:
            raise unknown_answer(self._url, f"not JSON ({error}).") from error

    def _unanswered(self, error: Exception) -> UserError:
        if isinstance(error, TimeoutError):
            return UserError(
                f"{self._url} did not answer completely within {self._timeout:g} seconds. Allow "
                "more time with --timeout (timeout=), or choose a smaller --batch_size."
            )
        if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.HTTPException)):
            return UserError(
                f"{self._url} closed the connection in the middle of a request "
                f"({shortened(repr(error))}). Has the server stopped?"
            )
        return UserError(
            f"{self._url} cannot be reached: {shortened(str(error))}. Is the server running there?"
        )

    def _explained(self, answer: bounded_http.Answer, sends_images: bool) -> Exception:
        text = f"no text of it within {self._timeout:g} seconds"
        if answer.body is not None:
            text = reason(_error_text(answer.body))
        if sends_images and answer.status in (http.HTTPStatus.BAD_REQUEST, _TOO_LARGE):
            return Refused(text)
        hint = ""
        if answer.status == http.HTTPStatus.NOT_FOUND:
            hint = " Does the server have a model of this name, and this version of it?"
        elif answer.status == http.HTTPStatus.UNAUTHORIZED:
            hint = " Does it need a name and a password, as http://name:password@host/… has them?"
        elif answer.location is not None:
            place = shortened(addresses.shown(answer.location))
            hint = f" It leads to {place}: give the address of the server itself."
        name = http.client.responses.get(answer.status, "")
        return UserError(f"{self._url} answered {answer.status} {name}: {text.rstrip('.')}.{hint}")


class RestPixelPredictor(PixelInputs, RestPredictor):
    """Decodes images here, and sends pixels; arguments as `PixelInputs` and `RestPredictor`."""

    def values(self, images: list[Any]) -> list[Any]:
        return self.pixels(images).tolist()


def _checked(url: str) -> addresses.Address:
    found = addresses.parsed(url.removesuffix(":predict").rstrip("/"))
    if found is None or not _PATH.fullmatch(found.path):
        raise UsageError(
            f"The address of a REST server has the form {FORM}. Received: {addresses.shown(url)}."
        )
    return found


def _signatures(answer: Any) -> dict[str, dict[str, list[int | None]]]:
    defined = answer["metadata"]["signature_def"]["signature_def"]
    return {
        name: {
            key: [int(axis["size"]) for axis in tensor["tensor_shape"]["dim"]]
            for key, tensor in signature["outputs"].items()
        }
        for name, signature in defined.items()
        if "outputs" in signature
    }


def _array(rows: Any, name: str) -> np.ndarray:
    """Returns the rows of an output; numpy alone would take words for numbers, and the reverse."""
    kinds = (str,) if name == "classes" else (int, float)
    for row in rows:
        if not isinstance(row, list) or any(type(value) not in kinds for value in row):
            raise TypeError
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        return np.array(rows, object if name == "classes" else np.float32)


def _error_text(body: bytes) -> str:
    """The server's message in `{"error": …}`, or all that it answered."""
    # It may quote bytes of an image, which need not be UTF-8.
    text = body.decode("utf-8", "replace")
    try:
        return str(json.loads(text, strict=False)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return text.strip()
