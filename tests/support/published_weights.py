"""Published weights of a small stand-in for torchvision's network, and a server that has them."""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import importlib.util
import pathlib
import threading
from collections.abc import Iterator

import keras_alexnet as ka
from keras_alexnet.networks import variants
from keras_alexnet.networks.spec import NetworkSpec
from support.networks import registered, shrunk


def small_network() -> NetworkSpec:
    """Returns torchvision's network with few weights, under its name."""
    return shrunk(variants.get("alexnet_owt"), filters=4, units=16)


def write(folder: pathlib.Path, seed: int = 1) -> tuple[NetworkSpec, pathlib.Path]:
    """Writes random weights as torchvision's are published, and returns their network and file."""
    spec = small_network()
    file = folder / "alexnet-owt-stand-in.safetensors"
    with registered(spec):
        model = ka.build(spec.name, seed=seed)
        model.get_layer("logits").kernel.assign(model.get_layer("logits").kernel * 100)
        ka.weights.save(model, file)
    if importlib.util.find_spec("torch"):
        import torch
        from safetensors.torch import load_file

        tensors = load_file(file)
        file = file.with_suffix(".pth")
        torch.save(tensors, file)
    return of_file(spec, file), file


def of_file(spec: NetworkSpec, file: pathlib.Path, url: str = "") -> NetworkSpec:
    """Returns a network whose published weights are a file."""
    assert (owt := variants.get("alexnet_owt").published) is not None
    contents = file.read_bytes()
    published = dataclasses.replace(
        spec.published or owt,
        url=f"{url or 'http://127.0.0.1:9'}/models/{file.name}",
        bytes=len(contents),
        sha256=hashlib.sha256(contents).hexdigest(),
    )
    return dataclasses.replace(spec, published=published)


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, on loopback, and is a proxy for it.

    Attributes:
        requests: (path, Authorization, Proxy-Authorization) of each request.
        mode: "whole", "cut", "stated short", "longer", "other", "404", "moved" or "held", which
            sends the rest only once `released` is set.
    """

    def __init__(self, contents: bytes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contents, self.mode = contents, "whole"
        self.released = threading.Event()
        self.requests: list[tuple[str, str | None, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:  # noqa: N802
        mode, contents = self.server.mode, self.server.contents
        headers = (self.headers.get(n) for n in ("Authorization", "Proxy-Authorization"))
        self.server.requests.append((self.path, *headers))
        if mode == "404":
            self.send_error(404)
            return
        if mode == "moved" and "/models/" in self.path:
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")
            self.end_headers()
            return
        sent = {
            "cut": contents[: len(contents) // 2],
            "longer": contents + b"more",
            "other": contents[:-1] + bytes([contents[-1] ^ 1]),
        }.get(mode, contents)
        self.send_response(200)
        if mode == "stated short":
            self.send_header("Content-Length", "17")
        elif mode in ("cut", "whole", "held", "moved"):
            self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may not want it
            if mode == "held":
                self.wfile.write(sent[:1000])
                self.wfile.flush()
                self.server.released.wait(60)
                sent = sent[1000:]
            self.wfile.write(sent)

    def do_CONNECT(self) -> None:  # noqa: N802
        self.server.requests.append((self.path, None, self.headers.get("Proxy-Authorization")))
        self.send_error(502)

    def log_message(self, *_) -> None:
        pass


@contextlib.contextmanager
def serve(contents: bytes) -> Iterator[Server]:
    """Yields a server of a file."""
    server = Server(contents)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def basic(user: str, password: str) -> str:
    """Returns the header of basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
