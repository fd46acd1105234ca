"""Exported pages in Chromium, which node drives."""

import contextlib
import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

import pytest

_DRIVER = pathlib.Path(__file__).with_suffix(".mjs")
_SECONDS = 300

# Where npm has put playwright-core, @litertjs/core and @litertjs/wasm-utils.
MODULES = os.environ.get("WEB_NODE_MODULES", "")


def missing() -> str | None:
    """What is missing for pages to be opened, if something is."""
    if not shutil.which("node"):
        return "node"
    if not _chromium():
        return "chromium"
    for package in ("playwright-core", "@litertjs/core", "@litertjs/wasm-utils"):
        if not MODULES or not pathlib.Path(MODULES, package).is_dir():
            return f"{package} (in the folder that WEB_NODE_MODULES names)"
    return None


def require() -> None:
    if (what := missing()) is not None:
        pytest.skip(f"there is no {what}")


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextlib.contextmanager
def served(folder, *, isolated: bool = False):
    """The address of a static server of a folder; `isolated` allows threads with shared memory."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self):
            if isolated:
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def browse(steps, **options) -> list:
    """Does the steps of browser.mjs in a new profile, and returns the result of each."""
    with tempfile.TemporaryDirectory() as profile:
        job = {"modules": MODULES, "chromium": _chromium(), "profile": profile, "steps": steps}
        node = subprocess.Popen(
            ["node", _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            text = json.dumps({**job, **options}, default=str)
            results, errors = node.communicate(text, timeout=_SECONDS)
        finally:
            node.terminate()  # which closes the browser, too
            node.wait()
    assert node.returncode == 0, errors
    return json.loads(results)
