"""The predictor that uses TensorFlow Serving's REST API."""

import base64
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

import numpy as np

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

FORM = "http://host:8501/v1/models/NAME[/versions/N]"

_PATH = re.compile(r".*/v1/models/[^/:]+(/versions/\d+|/labels/[^/:]+)?")

_TOO_LARGE = 413  # what gateways answer; a single image may be accepted


class RestPredictor(EncodedPredictor):
    """Sends images to `:predict`, after reading the network's signatures.

    The environment variables `http_proxy` and `no_proxy` are respected.

    Args:
        url: an address of the form `FORM`.
        top: how many classes to name.
        labels: the names of the classes, or None.
        timeout: seconds that the whole answer to a request may take.

    Raises:
        UsageError: if the address has a different form, or as `EncodedPredictor`.
        UserError: if the server does not answer or answers with an error, or as `EncodedPredictor`.
    """

    request_bytes = 8 * 2**20  # base64 adds a third

    def __init__(self, url: str, top: int, labels: Sequence[str] | None, timeout: float):
        self._url, self._timeout = _checked_url(url), timeout
        answer = self._call("/metadata")
        try:
            signatures = _signatures(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise unknown_answer(self._url, answer) from error
        super().__init__(self._url, signatures, top, labels)

    def call_signature(self, images: list[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
        encoded = [{"b64": base64.b64encode(image).decode("ascii")} for image in images]
        # The columnar form: the row form repeats the names of all outputs with every image.
        answer = self._call(":predict", {"signature_name": SIGNATURE, "inputs": {INPUT: encoded}})
        try:
            outputs = {
                name: np.array(answer["outputs"][name], str if name == "classes" else np.float32)
                for name in names
            }
        except (KeyError, TypeError, ValueError) as error:
            raise unknown_answer(self._url, answer) from error
        return checked_outputs(outputs, names, len(images), self._url)

    def _call(self, path: str, value: object = None) -> dict[str, Any]:
        url = self._url + path
        body = None if value is None else json.dumps(value).encode("ascii")
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            return json.loads(_answer(request, self._timeout))
        except urllib.error.HTTPError as error:
            raise self._explained(error, url, sends_images=value is not None) from error
        except urllib.error.URLError as error:
            raise self._unanswered(url, error.reason) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._unanswered(url, error) from error
        except ValueError as error:
            raise unknown_answer(url, f"not JSON ({error}).") from error

    def _unanswered(self, url: str, error: object) -> UserError:
        if isinstance(error, TimeoutError):
            return UserError(
                f"{url} did not answer completely within {self._timeout:g} seconds. Allow more "
                "time with --timeout (timeout=), or choose a smaller --batch_size."
            )
        if isinstance(error, (ConnectionResetError, BrokenPipeError, http.client.HTTPException)):
            return UserError(
                f"{url} closed the connection in the middle of a request ({error!r}). Has the "
                "server stopped?"
            )
        return UserError(f"{url} cannot be reached: {error}. Is the server running there?")

    def _explained(self, error: urllib.error.HTTPError, url: str, sends_images: bool) -> Exception:
        try:
            text = _error_text(error.read())
        except (OSError, http.client.HTTPException):
            text = "and broke off"
        if sends_images and error.code in (http.client.BAD_REQUEST, _TOO_LARGE):
            return Refused(reason(text))
        hint = (
            " Does the server have a model of this name, and this version of it?"
            if error.code == http.client.NOT_FOUND
            else ""
        )
        return UserError(f"{url} answered {error.code} {error.reason}: {reason(text)}.{hint}")


def _checked_url(url: str) -> str:
    trimmed = url.removesuffix(":predict").rstrip("/")
    try:
        parts = urllib.parse.urlsplit(trimmed)
        usable = parts.hostname and parts.port != 0  # reading the port checks it
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise UsageError(f"The address of a REST server has the form {FORM}. Received: {url}.")
    return trimmed


def _answer(request: urllib.request.Request, timeout: float) -> bytes:
    """Reads a whole answer; the socket's own timeout restarts with every byte."""
    end = time.monotonic() + timeout
    with urllib.request.urlopen(request, timeout=timeout) as response:
        parts = []
        while part := response.read1(2**16):
            parts.append(part)
            if time.monotonic() > end:
                raise TimeoutError
        body, promised = b"".join(parts), response.headers.get("Content-Length")
    if promised is not None and len(body) < int(promised):
        raise http.client.IncompleteRead(body, int(promised) - len(body))
    return body


def _signatures(answer: dict[str, Any]) -> dict[str, dict[str, list[int | None]]]:
    defined = answer["metadata"]["signature_def"]["signature_def"]
    return {
        name: {
            key: [int(axis["size"]) for axis in tensor["tensor_shape"]["dim"]]
            for key, tensor in signature["outputs"].items()
        }
        for name, signature in defined.items()
        if "outputs" in signature
    }


def _error_text(body: bytes) -> str:
    """The server's message in `{"error": …}`, or all that it answered."""
    # It may quote bytes of an image, which need not be UTF-8.
    text = body.decode("utf-8", "replace")
    try:
        return str(json.loads(text, strict=False)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
