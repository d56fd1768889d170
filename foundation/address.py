"""Web addresses that others write: one server has many spellings of its name."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

_PORTS: Final = {"https": 443, "http": 80}


def origin(url: str) -> str:
    """Scheme and server of an address as browsers write them: lower case, without the scheme's own port.

    Raises ValueError for what is no http or https address.
    """
    parts = _web(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def is_same_server(one: str, other: str) -> bool:
    """Whether two addresses are of one server, however they are spelt, each at its scheme's own port or both at another."""
    try:
        return origin(one).partition(":")[2] == origin(other).partition(":")[2]
    except ValueError:
        return False


def at_server_of(known: str, url: str) -> str:
    """The path and query of ``url`` (absolute or relative) at the server that ``known`` names.

    A server behind a proxy writes its inner name, another port or ``http:`` into the addresses that it gives; what was sent
    with a token to the known server must go nowhere else. Raises ValueError for what is no web address.
    """
    parts = _web(urljoin(known, url))
    at = urlsplit(known)
    return parts._replace(scheme=at.scheme, netloc=at.netloc, fragment="").geturl()


def _web(url: str) -> SplitResult:
    parts = urlsplit(url.strip())
    if parts.scheme not in _PORTS or not parts.hostname or parts.port == 0:
        raise ValueError("no web address")
    return parts
