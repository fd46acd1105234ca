"""Answers of any server end in time, and with as much memory as predictions need."""

import base64
import contextlib
import socket
import threading
import time
import tracemalloc

import pytest

from keras_alexnet import UsageError, UserError
from keras_alexnet.predicting import addresses, bounded_http, rest

HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
ERROR = b"HTTP/1.1 500 Internal Server Error\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


class RawServer:
    """Sends bytes to whoever connects.

    Args:
        begin: what it sends at once, after it has read a request.
        again: what it sends again and again, until the client leaves.
        pause: seconds between two of those.
    """

    def __init__(self, begin=b"", again=b"", pause=0.0):
        self._begin, self._again, self._pause = begin, again, pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/models/mine"
        self.requests = []
        self._stopping = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client):
        with contextlib.suppress(OSError), client:
            self.requests.append(client.recv(2**16))
            client.sendall(self._begin)
            while self._again and not self._stopping.wait(self._pause):
                client.sendall(self._again)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def ask(url, timeout=0.4):
    return rest.RestPredictor(url, 5, None, timeout)


@pytest.mark.parametrize(
    ("begin", "again", "text"),
    [
        (b"", b"", "closed the connection"),
        (b"", b"H", "did not answer completely within 0.4 seconds"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", "within 0.4 seconds"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "within 0.4 seconds"),
        (HEAD + b"\r\n", b" ", "within 0.4 seconds"),
        (HEAD + b"Content-Length: 99\r\n\r\n", b" ", "within 0.4 seconds"),
        (HEAD + CHUNKED, b"1\r\nx\r\n", "within 0.4 seconds"),
        (ERROR + b"\r\nslow", b".", "answered 500 Internal Server Error: slow"),
        (ERROR + b"Content-Length: 99\r\n\r\n", b"", "answered 500"),
    ],
)
def test_slow_answers(begin, again, text):
    with RawServer(begin, again, pause=0.05) as server:
        started = time.monotonic()
        with pytest.raises(UserError, match=text):
            ask(server.url)
        assert time.monotonic() - started < 2


def test_a_server_that_never_reads():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        address = addresses.parsed(f"http://127.0.0.1:{server.getsockname()[1]}/")
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            bounded_http.send(address, b"x" * 10**8, proxy=None, timeout=0.3, most_bytes=9)
        assert time.monotonic() - started < 2


def test_a_name_that_takes_long_to_look_up(monkeypatch):
    asleep = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: asleep.wait(30))
    started = time.monotonic()
    with pytest.raises(UserError, match="within 0.4 seconds"):
        ask("http://slow.test/v1/models/mine")
    assert time.monotonic() - started < 2
    asleep.set()


def test_a_name_that_does_not_exist(monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(UserError, match="Name or service not known. Is the server running there"):
        ask("http://nowhere.test/v1/models/mine")


@pytest.mark.parametrize(
    ("begin", "again", "text"),
    [
        (HEAD + b"\r\n", b"x" * 2**16, "more than 1048576 bytes"),
        (HEAD + b"Content-Length: 999999999999999\r\n\r\n", b"", "more than 1048576 bytes"),
        (HEAD + CHUNKED, b"10000\r\n" + b"x" * 2**16 + b"\r\n", "more than 1048576 bytes"),
        (HEAD + CHUNKED + b"fffffffffffff\r\n", b"x" * 2**16, "more than 1048576 bytes"),
        (HEAD + CHUNKED + b"1;", b"x" * 2**16, "closed|more than"),
        (HEAD, b"X: " + b"x" * 2**15 + b"\r\n", "more than 1048576 bytes|more than 100 headers"),
        (HEAD + b"X: ", b"x" * 2**16, "more than|closed the connection"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "more than 1048576 bytes"),
        (ERROR + b"\r\n", b"x" * 2**16, "answered 500 Internal Server Error: x{500}….$"),
        (ERROR + CHUNKED, b"10000\r\n" + b"x" * 2**16 + b"\r\n", "answered 500"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\nx", b"", r"it is compressed \(gzip\)"),
        (b"HTTP/1.1 200 " + b"x" * 2**16, b"x" * 2**16, "closed the connection"),
        (b"SSH-2.0-OpenSSH_9\r\n", b"", "closed the connection .*SSH-2.0"),
    ],
)
def test_endless_answers(begin, again, text, monkeypatch):
    monkeypatch.setattr(rest, "_METADATA_BYTES", 2**20)
    with RawServer(begin, again) as server:
        tracemalloc.start()
        try:
            with pytest.raises(UserError, match=text) as error:
                ask(server.url, timeout=20)
            assert tracemalloc.get_traced_memory()[1] < 2**23
        finally:
            tracemalloc.stop()
        assert len(str(error.value)) < 1200


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (b"http://me:secret@other/v1/models/mine", r"leads to http://\*\*\*@other/v1/models/mine:"),
        (b"/" + b"\x1b" * 2000, r"leads to /\\x1b"),
    ],
)
def test_redirects_are_named_and_not_followed(place, text):
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + place + b"\r\n\r\n"
    with RawServer(answer) as server:
        with pytest.raises(UserError, match=f"answered 307 Temporary Redirect: .*{text}") as error:
            ask(server.url, timeout=20)
        assert len(server.requests) == 1 and len(str(error.value)) < 1000


def test_a_password_is_sent_and_never_shown(caplog):
    with RawServer(b"HTTP/1.1 401 Unauthorized\r\n\r\n") as server:
        url = server.url.replace("://", "://me:se%2Fcret@")
        with pytest.raises(UserError, match="answered 401 Unauthorized: .*name and a password"):
            ask(url)
        [request] = server.requests
        sent = base64.b64encode(b"me:se/cret")
        assert b"Authorization: Basic " + sent + b"\r\n" in request
        assert b"Host: 127.0.0.1:" in request
    for url in (
        server.url.replace("://", "://me:secret@"),  # nobody is there any more
        "http://me:secret@127.0.0.1:port/v1/models/mine",
        "http://me:secret@host/wrong",
        "http://me:sec/secret@host/v1/models/mine",
        "http://me:1/secret@host/v1/models/mine",
        "http://me:s?secret@host/v1/models/mine",
        "http://me:s#secret@host/v1/models/mine",
        "http://secret@[::1/v1/models/mine",
        "https://me:secret@127.0.0.1:9/v1/models/mine",
    ):
        with pytest.raises(UserError) as error:
            ask(url)
        chain, current = [], error.value
        while current is not None:
            chain.append(repr(current))
            current = current.__cause__ or current.__context__
        assert "secret" not in " ".join(chain) and "***@" in str(error.value)
    assert "secret" not in caplog.text


def test_a_password_in_an_address_of_grpc_is_refused_and_not_shown():
    grpc_client = pytest.importorskip("keras_alexnet.predicting.grpc_client")
    for url in ("grpc://me:secret@host/mine", "grpc://me:se/secret@host/mine", "grpc://secret@/x"):
        with pytest.raises(UsageError) as error:
            grpc_client.GrpcPredictor(url, 5, None, 1.0)
        assert "secret" not in str(error.value) and "***@" in str(error.value)


def test_names_that_an_address_cannot_hold_are_encoded():
    with RawServer(b"HTTP/1.1 403 Forbidden\r\n\r\n") as server:
        with pytest.raises(UserError, match="answered 403 Forbidden"):
            ask(server.url + " ü%20")
        assert server.requests[0].startswith(b"GET /v1/models/mine%20%C3%BC%20/metadata HTTP/1.1")
