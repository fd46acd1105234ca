"""Downloads of files whose size and SHA-256 are known."""

import base64
import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from absl import logging

from keras_alexnet.errors import UserError, first_line
from keras_alexnet.utils import files
from keras_alexnet.utils.proxies import Proxy, proxy_for
from keras_alexnet.utils.terminal import Progress
from keras_alexnet.utils.text import printable

SECONDS = 30.0  # without a byte, after which a server counts as silent
_PIECE = 2**18


def download(url: str, path: str | os.PathLike, *, size: int, sha256: str) -> None:
    """Downloads a file, whole or not at all.

    The proxy is that of http_proxy, https_proxy, all_proxy and no_proxy, as curl knows them. A
    user's name and password in the address are sent as basic authentication.

    Args:
        url: its address, of http or https.
        path: where to put it; the folder is created.
        size: its number of bytes.
        sha256: its SHA-256, 64 hexadecimal digits.

    Raises:
        UserError: there is no connection or no such file, or it broke off, or it is a different
            file. Nothing is left behind.
        OSError: `path` cannot be written to, or the disk is full.

    Example:
        >>> download("https://example.org/a.bin", "a.bin", size=3, sha256="…")  # doctest: +SKIP
    """
    with files.atomic_write(path) as temporary:
        free = shutil.disk_usage(temporary.parent).free
        if free < size:  # said before it is tried
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
        logging.info("Downloading %s, %s bytes, to %s.", shown(url), f"{size:,}", path)
        found = hashlib.sha256()
        progress = Progress(size, f"downloading {os.path.basename(path)}", "bytes")
        with open(temporary, "wb") as file, progress:
            for piece in _pieces(url, size):
                file.write(piece)
                found.update(piece)
                progress.advance(len(piece))
        if found.hexdigest() != sha256:
            raise UserError(
                f"{shown(url)} is a different file: its SHA-256 is {found.hexdigest()}, not "
                f"{sha256}."
            )


def shown(url: str) -> str:
    """Returns an address as messages show it, without a user's name, password, and query.

    Example:
        >>> shown("https://me:secret@host/a.bin?token=1")
        'https://***@host/a.bin?***'
    """
    scheme, separator, rest = url.partition("://")
    rest, query, _ = rest.partition("?")
    if "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    return printable(f"{scheme}{separator}{rest}{query and '?***'}")


def _pieces(url: str, size: int) -> Iterator[bytes]:
    """Yields the pieces of a file of a size."""
    with _explained(url), _opened(url) as response:
        stated = response.headers.get("Content-Length")
        if stated not in (None, str(size)):
            raise UserError(f"{shown(url)} is a different file, of {stated} bytes, not {size:,}.")
        left = size
        while piece := response.read1(min(_PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise UserError(f"{shown(url)} is a different file, of more than {size:,} bytes.")
            yield piece
        if left:
            raise UserError(
                f"The connection to {shown(url)} broke off after {size - left:,} of {size:,} bytes."
            )


def _opened(url: str) -> Any:
    parts = urllib.parse.urlsplit(url)
    server = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(
        parts._replace(netloc=server).geturl(), headers={"Accept-Encoding": "identity"}
    )
    if parts.username is not None:
        # Not sent to where the server may redirect to.
        request.add_unredirected_header("Authorization", _basic(parts.username, parts.password))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _ThroughProxy())
    return opener.open(request, timeout=SECONDS)


class _ThroughProxy(urllib.request.BaseHandler):
    """Sends each request through its proxy, also one to where a server redirects to."""

    handler_order = 100  # before those that open connections, as urllib's own

    def http_open(self, request: urllib.request.Request) -> None:
        proxy = _proxy(request.get_full_url())
        if proxy is None:
            return
        host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
        request.set_proxy(f"{host}:{proxy.port}", "http")
        if proxy.user is not None:
            request.add_unredirected_header(
                "Proxy-authorization", _basic(proxy.user, proxy.password)
            )

    https_open = http_open


def _proxy(url: str) -> Proxy | None:
    parts = urllib.parse.urlsplit(url)
    return proxy_for(parts.scheme, parts.hostname or "")


def _basic(user: str, password: str | None) -> str:
    pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns the errors of a connection into a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"the answer is {error.code} {printable(error.reason, 100)}"
        raise _failed(url, reason) from error
    except TimeoutError as error:
        raise _failed(url, f"nothing came for {SECONDS:g} seconds") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", None) or error
        text = first_line(cause) if isinstance(cause, Exception) else str(cause)
        raise _failed(url, printable(text, 300)) from error


def _failed(url: str, reason: str) -> UserError:
    proxy = _proxy(url)
    through = "" if proxy is None else f" through {proxy}"
    return UserError(f"{shown(url)} could not be read{through}: {reason}.")
