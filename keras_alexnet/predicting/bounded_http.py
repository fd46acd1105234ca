"""HTTP requests whose whole answers are bounded in time and size."""

import base64
import http.client
import io
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Any, NamedTuple

from keras_alexnet.predicting.addresses import Address
from keras_alexnet.utils.proxies import Proxy

_HEADER_BYTES = 2**18  # for the lines before a body and between its chunks
_ERROR_BYTES = 2**16  # of the text of an error; the rest is not read
_PIECE = 2**16

_PORTS = {"http": 80, "https": 443}


class TooLarge(Exception):
    """Raised when an answer has more bytes than expected."""


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: 200 or another number.
        body: all of it; of an error its first bytes, or None if they did not come in time.
        location: where a redirect leads, or None.
        encoding: what compresses the body, although that was not asked for, or None.
    """

    status: int
    body: bytes | None
    location: str | None
    encoding: str | None


def send(
    address: Address, body: bytes | None, *, proxy: Proxy | None, timeout: float, most_bytes: int
) -> Answer:
    """Sends a GET request or, with a body, a POST request of JSON, and reads the answer.

    Args:
        address: the server; its user and password are sent as basic authentication.
        body: the JSON text, or None.
        proxy: the proxy to send it through.
        timeout: seconds for everything, from looking up the host's name to the last byte.
        most_bytes: the largest size of the body of an answer.

    Raises:
        TimeoutError: it took longer.
        TooLarge: the answer is larger.
        OSError: there is no connection, or it broke off.
        http.client.HTTPException: the answer is not HTTP, or it broke off.
    """
    end = time.monotonic() + timeout
    connection = _connection(address, proxy, end, most_bytes + _HEADER_BYTES)
    path = urllib.parse.quote(address.path, safe="/%:@!$&'()*+,;=~")
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if address.user is not None:
        headers["Authorization"] = _basic(address.user, address.password)
    if proxy is not None and address.scheme == "http":
        path = f"http://{address.netloc}{path}"
        headers.update(_proxy_headers(proxy))
    try:
        connection.connect()
        connection.sock.settimeout(_left(end))
        connection.request("GET" if body is None else "POST", path, body, headers)
        with connection.getresponse() as response:
            return _read(response, most_bytes)
    finally:
        connection.close()


def _connection(
    address: Address, proxy: Proxy | None, end: float, most_bytes: int
) -> http.client.HTTPConnection:
    server = (address.host, address.port or _PORTS[address.scheme])
    host, port = server if proxy is None else (proxy.host, proxy.port)
    connection = http.client.HTTPConnection(host, port)
    if address.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, context=context)
        if proxy is not None:
            connection.set_tunnel(*server, headers=_proxy_headers(proxy))

    def response(sock: socket.socket, **options: Any) -> http.client.HTTPResponse:
        bounded: Any = _Bounded(sock, end, most_bytes)
        return http.client.HTTPResponse(bounded, **options)

    # Both are how http.client connects and reads, and what its own subclasses replace.
    replaced: Any = connection
    replaced._create_connection = lambda place, *_: _connected(place, end)
    replaced.response_class = response
    return connection


def _connected(place: tuple[str, int], end: float) -> socket.socket:
    *others, last = _looked_up(place, end)
    for family, kind, protocol, _, address in (*others, last):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(end))
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            if isinstance(error, TimeoutError) or address == last[-1]:
                raise
    raise AssertionError


def _looked_up(place: tuple[str, int], end: float) -> list[Any]:
    """Looks up the addresses of a host, in a thread, because nothing else can stop waiting."""
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(*place, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_left(end))
    if not found:
        raise TimeoutError
    if isinstance(found[0], Exception):
        raise OSError(found[0]) from found[0]
    return found[0]


class _Bounded(io.RawIOBase):
    """A socket to read from, until a time and for a number of bytes.

    A socket's own timeout restarts with every byte.
    """

    def __init__(self, sock: socket.socket, end: float, most_bytes: int):
        self._sock, self._end, self._bytes_left = sock, end, most_bytes
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open while it is read

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._end))
        count = self._raw.readinto(buffer)
        self._bytes_left -= count or 0
        if self._bytes_left < 0:
            raise TooLarge
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def _read(response: http.client.HTTPResponse, most_bytes: int) -> Answer:
    location, encoding = response.getheader("Location"), response.getheader("Content-Encoding")
    if response.status >= http.client.MULTIPLE_CHOICES:
        return Answer(response.status, _start(response), location, None)
    if (response.length or 0) > most_bytes:
        raise TooLarge
    body = b"".join(iter(lambda: response.read1(_PIECE), b""))
    if response.length:  # what was promised and did not come
        raise http.client.IncompleteRead(b"", response.length)
    return Answer(response.status, body, None, encoding)


def _start(response: http.client.HTTPResponse) -> bytes | None:
    """Returns the first bytes of an error's text, or None if it broke off or took too long."""
    parts, size = [], 0
    try:
        while size < _ERROR_BYTES and (part := response.read1(_PIECE)):
            parts.append(part)
            size += len(part)
    except (OSError, http.client.HTTPException, TooLarge):
        return b"".join(parts) or None
    return b"".join(parts)


def _proxy_headers(proxy: Proxy) -> dict[str, str]:
    if proxy.user is None:
        return {}
    return {"Proxy-Authorization": _basic(proxy.user, proxy.password)}


def _basic(user: str, password: str | None) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
