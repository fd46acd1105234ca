"""Addresses of servers: their parts, and how they are shown without passwords."""

import contextlib
import urllib.parse
from typing import NamedTuple

from keras_alexnet.utils.text import printable

_MODELS = "/v1/models/"  # what comes after the server's own part of a REST address


class Address(NamedTuple):
    """The parts of a server's address.

    Attributes:
        scheme: "http", "https" or "grpc".
        host: the name, in ASCII, or the number, without brackets.
        port: None if there is none.
        path: as given, from the first slash.
        user, password: decoded, or None.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    user: str | None
    password: str | None

    @property
    def netloc(self) -> str:
        """Host and port, as in an address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parsed(url: str) -> Address | None:
    """Splits an address; None if it has no host, an impossible one or a query.

    Example:
        >>> parsed("http://me:secret@host:8501/v1/models/mine")[1:4]
        ('host', 8501, '/v1/models/mine')
    """
    with contextlib.suppress(ValueError):  # for invalid hosts and ports
        parts = urllib.parse.urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.query or parts.fragment:
            return None
        host = parts.hostname.encode("idna").decode("ascii")  # UnicodeError is a ValueError
        user, password = (
            None if each is None else urllib.parse.unquote(each)
            for each in (parts.username, parts.password)
        )
        return Address(parts.scheme, host, parts.port, parts.path, user, password)
    return None


def shown(url: str) -> str:
    """Returns an address as messages show it, without the name and password of a user.

    Whatever precedes an @ is left out, because a password with a slash is taken for a path.

    Example:
        >>> shown("http://me:secret@host:8501/v1/models/mine")
        'http://***@host:8501/v1/models/mine'
    """
    scheme, separator, rest = url.partition("://")
    server, models, model = rest.partition(_MODELS)
    if "@" in server:
        server = f"***@{server.rpartition('@')[2]}"
    return printable(f"{scheme}{separator}{server}{models}{model}")
