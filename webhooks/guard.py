"""Where webhooks may go: by default https to public addresses only, so that nobody reaches inside through us.

The address is looked up once and the connection goes to what was looked at: a name cannot change its mind in between.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_URL_CHARS = 2000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """The address may not be called; the text says why, for the webhook's owner."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address. ``path`` carries the query; ``authority`` is the Host header."""

    is_tls: bool
    host: str
    port: int
    path: str
    authority: str


def parse(url: str, *, private: bool) -> Target:
    """Look at an address without looking it up. ``private`` also allows http and private addresses. Raises Refused."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise Refused(f"The address must have at most {MAX_URL_CHARS} plain characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("This is not an address such as https://example.edu/hooks.") from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        raise Refused("The address must begin with https:// and name a host.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Refused("The address must not carry a user, a password or a fragment.")
    if port == 0:
        raise Refused("The port must be from 1 to 65535.")
    is_tls = parts.scheme == "https"
    target = Target(
        is_tls,
        parts.hostname,
        port or (443 if is_tls else 80),
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        parts.netloc,
    )
    if not private:
        literal = _literal(target.host)
        if literal is not None and not is_public(literal):
            raise Refused("The address lies in a private network; webhooks go to public addresses only.")
        if target.host == "localhost" or target.host.endswith(".localhost"):
            raise Refused("The address is this machine; webhooks go to public addresses only.")
    return target


def look_up(target: Target, *, private: bool) -> list[str]:
    """The IP addresses to connect to. Raises Refused when one of them is not public, OSError when there are none."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if not private and not all(is_public(ipaddress.ip_address(a.partition("%")[0])) for a in addresses):
        raise Refused(f"{target.host} lies in a private network; webhooks go to public addresses only.")
    return addresses


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """False for private, loopback, link-local, shared, multicast and reserved, also when wrapped in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
