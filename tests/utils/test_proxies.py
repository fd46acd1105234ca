"""Proxies are used where curl would use them, and messages name them."""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import threading

import pytest

from keras_alexnet import UsageError, UserError
from keras_alexnet.predicting import rest
from keras_alexnet.utils import proxies

PROXY = "http://127.0.0.9:31"

# Host, no_proxy, whether it is reached directly, as curl 7.88 does it.
EXEMPT = [
    ("localhost", None, False),
    ("localhost", "", False),
    ("localhost", "*", True),
    ("localhost", "a.b,*", False),
    ("localhost", "LOCALHOST", True),
    ("localhost", ".localhost", True),
    ("localhost", "localhost.", True),
    ("localhost", "localhost:1", False),
    ("localhost", "a.b, localhost", True),
    ("localhost", "a.b localhost", True),
    ("localhost", "127.0.0.1", False),
    ("localhost", "ocalhost", False),
    ("a.b.test", "b.test", True),
    ("a.b.test", ".b.test", True),
    ("a.b.test", "*.b.test", False),
    ("a.b.test", "xa.b.test", False),
    ("a.b.test.", "a.b.test", True),
    ("ab.test", "b.test", False),
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "127.0.0.0/8", True),
    ("127.0.0.1", "127.0.0.0/33", False),
    ("127.0.0.1", "126.0.0.0/8", False),
    ("127.0.0.1", ".0.0.1", False),
    ("127.0.0.1", "127.0.0.1:1", False),
    ("::1", "::1", True),
    ("::1", "[::1]", False),
]

# Variables, scheme, whether there is a proxy, as curl 7.88 does it.
VARIABLES = [
    ({}, "http", False),
    ({"http_proxy": PROXY}, "http", True),
    ({"http_proxy": "127.0.0.9:31"}, "http", True),
    ({"HTTP_PROXY": PROXY}, "http", False),
    ({"https_proxy": PROXY}, "http", False),
    ({"https_proxy": PROXY}, "https", True),
    ({"HTTPS_PROXY": PROXY}, "https", True),
    ({"all_proxy": PROXY}, "http", True),
    ({"ALL_PROXY": PROXY}, "https", True),
    ({"http_proxy": "", "all_proxy": PROXY}, "http", True),
    ({"http_proxy": PROXY, "NO_PROXY": "localhost"}, "http", False),
    ({"http_proxy": PROXY, "no_proxy": "x", "NO_PROXY": "localhost"}, "http", True),
    ({"http_proxy": PROXY, "no_proxy": "", "NO_PROXY": "localhost"}, "http", False),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return monkeypatch.setenv


def curl_uses_the_proxy(url, variables):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sv", "--max-time", "2", url]
    environment = {"PATH": os.environ["PATH"], **variables}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return "Trying 127.0.0.9:31" in said.stderr


@pytest.mark.parametrize(("host", "no_proxy", "exempt"), EXEMPT)
def test_servers_that_are_reached_directly(host, no_proxy, exempt):
    assert proxies.is_exempt(host, no_proxy) is exempt


@pytest.mark.parametrize(("variables", "scheme", "used"), VARIABLES)
def test_variables_that_name_a_proxy(variables, scheme, used, environment):
    for name, value in variables.items():
        environment(name, value)
    found = proxies.proxy_for(scheme, "localhost")
    assert (found is not None) is used
    if used:
        assert (found.host, found.port) == ("127.0.0.9", 31)


@pytest.mark.slow
def test_curl_does_the_same():
    for host, no_proxy, exempt in EXEMPT:
        url = f"http://[{host}]:1/" if ":" in host else f"http://{host}:1/"
        variables = {"http_proxy": PROXY, "no_proxy": no_proxy or ""}
        assert curl_uses_the_proxy(url, variables) is not exempt, (host, no_proxy)
    for variables, scheme, used in VARIABLES:
        assert curl_uses_the_proxy(f"{scheme}://localhost:1/", variables) is used, variables


@pytest.mark.parametrize(
    ("variable", "scheme"),
    [("grpc_proxy", "grpc"), ("https_proxy", "grpc"), ("http_proxy", "grpc"), ("no", "grpc")],
)
def test_proxies_of_grpc(variable, scheme, environment):
    environment(variable, PROXY)
    found = proxies.proxy_for(scheme, "host")
    assert found is None if variable == "no" else found.variable == variable


@pytest.mark.parametrize("value", ["socks5://me:secret@host:1", "https://secret@h", "http://h:x"])
def test_other_kinds_of_proxies(value, environment):
    environment("http_proxy", value)
    with pytest.raises(UsageError, match="http_proxy must name an HTTP proxy") as error:
        proxies.proxy_for("http", "host")
    assert "secret" not in str(error.value)


@contextlib.contextmanager
def listening(answer):
    """Yields the port of a server that reads one request and gives one answer, and the requests."""
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        requests.append(client.recv(2**16))
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], requests


@pytest.mark.parametrize(
    ("scheme", "begin"),
    [
        ("http", b"GET http://models.test:8501/v1/models/mine/metadata HTTP/1.1\r\n"),
        ("https", b"CONNECT models.test:8501 HTTP/1."),
    ],
)
def test_requests_go_through_the_proxy_and_messages_name_it(scheme, begin, environment):
    with listening(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, requests):
        environment(f"{scheme}_proxy", f"http://me:sec%40ret@127.0.0.1:{port}")
        with pytest.raises(
            UserError,
            match=rf"mine \(through the proxy http://127.0.0.1:{port} of {scheme}_proxy\) .*407",
        ) as error:
            rest.RestPredictor(f"{scheme}://models.test:8501/v1/models/mine", 5, None, 5.0)
    [request] = requests
    assert request.startswith(begin)
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:sec@ret") in request
    assert "sec" not in str(error.value).replace("seconds", "")


def test_grpc_goes_through_the_proxy_and_messages_name_it(environment):
    grpc_client = pytest.importorskip("keras_alexnet.predicting.grpc_client")
    with listening(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, requests):
        environment("http_proxy", f"http://me:sec%40ret@127.0.0.1:{port}")
        with pytest.raises(
            UserError, match=rf"through the proxy http://127.0.0.1:{port} of"
        ) as error:
            grpc_client.GrpcPredictor("grpc://models.test:8500/mine", 5, None, 2.0)
        environment("no_proxy", "127.0.0.0/8")
        with pytest.raises(UserError, match="UNAVAILABLE") as direct:
            grpc_client.GrpcPredictor(f"grpc://127.0.0.1:{port}/mine", 5, None, 2.0)
    assert requests[0].startswith(b"CONNECT models.test:8500 HTTP/1.")
    assert base64.b64encode(b"me:sec@ret") in requests[0]
    assert "sec@ret" not in str(error.value) and "sec%40ret" not in str(error.value)
    assert "proxy" not in str(direct.value)
