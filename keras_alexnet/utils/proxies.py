"""Which proxy leads to a server, by the environment variables that curl knows."""

import contextlib
import dataclasses
import ipaddress
import os
import urllib.parse
from collections.abc import Sequence

from keras_alexnet.errors import UsageError
from keras_alexnet.utils.text import printable

_DEFAULT_PORT = 1080  # curl's

# Scheme of an address → variables that name its proxy, the first that is set counts. curl leaves
# out HTTP_PROXY, which a client of a CGI program could set; grpc_proxy is gRPC's own.
_VARIABLES = {
    "http": ("http_proxy", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    "grpc": (
        *("grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy"),
        *("all_proxy", "ALL_PROXY"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host, port: where it is.
        user, password: what it asks for, or None.
        variable: the environment variable that names it.
    """

    host: str
    port: int
    user: str | None = dataclasses.field(default=None, repr=False)
    password: str | None = dataclasses.field(default=None, repr=False)
    variable: str = "http_proxy"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return printable(f"the proxy http://{host}:{self.port} of {self.variable}")


def proxy_for(scheme: str, host: str) -> Proxy | None:
    """Returns the proxy for a server, or None if it is reached directly.

    Args:
        scheme: "http", "https" or "grpc".
        host: the server's name or its address, without brackets.

    Raises:
        UsageError: the variable does not name an HTTP proxy.

    Example:
        >>> str(proxy_for("http", "models.example.org"))  # doctest: +SKIP
        'the proxy http://proxy:3128 of http_proxy'
    """
    variable = next((each for each in _VARIABLES[scheme] if os.environ.get(each)), None)
    if variable is None or is_exempt(
        host, os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    ):
        return None
    return _parsed(os.environ[variable], variable)


def is_exempt(host: str, no_proxy: str | None) -> bool:
    """Returns whether a server is reached without a proxy.

    Args:
        host: the server's name or its address, without brackets.
        no_proxy: `*` for all servers, or names of servers and domains and addresses, alone or with
            the length of a network's prefix, separated by commas or spaces. As in curl, ports and
            patterns are not known, and "localhost" is a name like others.

    Example:
        >>> is_exempt("a.example.org", "example.org"), is_exempt("localhost", "127.0.0.1")
        (True, False)
    """
    if not no_proxy or no_proxy == "*":
        return bool(no_proxy)
    entries = no_proxy.replace(",", " ").replace("\t", " ").split()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _has_name(host.removesuffix(".").lower(), entries)
    return any(_is_in(address, entry) for entry in entries)


def _has_name(host: str, entries: Sequence[str]) -> bool:
    names = [entry.removesuffix(".").removeprefix(".").lower() for entry in entries]
    return any(name and (host == name or host.endswith(f".{name}")) for name in names)


def _is_in(address: ipaddress.IPv4Address | ipaddress.IPv6Address, entry: str) -> bool:
    with contextlib.suppress(ValueError):  # for names, and what is no address
        return address in ipaddress.ip_network(entry, strict=False)
    return False


def _parsed(value: str, variable: str) -> Proxy:
    with contextlib.suppress(ValueError):  # for invalid hosts and ports
        parts = urllib.parse.urlsplit(value if "://" in value else f"http://{value}")
        if parts.scheme == "http" and parts.hostname:
            return Proxy(
                host=parts.hostname,
                port=parts.port or _DEFAULT_PORT,
                user=None if parts.username is None else urllib.parse.unquote(parts.username),
                password=urllib.parse.unquote(parts.password or ""),
                variable=variable,
            )
    # The value is not shown, because it may hold a password.
    raise UsageError(
        f"The environment variable {variable} must name an HTTP proxy, such as "
        "http://host:3128: others, such as SOCKS, are not supported. Change it, or name the "
        "server in no_proxy."
    )
