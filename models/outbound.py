"""Which addresses of others this server may call: by default https to public ones, so that nobody reaches inside through us.

The one guard for webhooks, storages and watermarks. Opens no connection; only ``look_up`` and ``check`` ask the name server.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MAX_URL_CHARS: Final = 2000
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Refused(ValueError):
    """The address may not be called; the text says why and what to do, for who gave it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address. ``path`` carries the query; ``authority`` is the Host header."""

    is_tls: bool
    host: str
    port: int
    path: str
    authority: str


@dataclass(frozen=True, slots=True)
class Guard:
    """``private``: http and private addresses too; ``setting`` is what an administrator sets to allow that."""

    private: bool
    setting: str

    def parse(self, url: str) -> Target:
        """Look at an address without looking it up. Raises Refused."""
        if len(url) > MAX_URL_CHARS or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
            raise Refused(f"The address must have at most {MAX_URL_CHARS} plain characters.")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Refused("Enter an address such as https://host or https://host:port.") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise Refused("The address must begin with https:// and name a host.")
        if parts.scheme == "http" and not self.private:
            raise Refused(f"The address must begin with https://. {self._allow}")
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
        literal = _literal(target.host)
        is_here = target.host == "localhost" or target.host.endswith(".localhost")
        if not self.private and (is_here or (literal is not None and not is_public(literal))):
            raise self._inside(target)
        return target

    def look_up(self, target: Target) -> list[str]:
        """The IP addresses to connect to: those and no others, for a name may change its mind at any moment.

        Raises Refused when one of them is not public, OSError or UnicodeError when there are none.
        """
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if not self.private and not all(
            is_public(ipaddress.ip_address(a.partition("%")[0])) for a in addresses
        ):
            raise self._inside(target)
        return addresses

    def check(self, url: str) -> None:
        """Both, for libraries that make their connections by themselves. Call it before each use.

        What slips through between is stopped by the check of the server's certificate. Raises Refused.
        """
        target = self.parse(url)
        if self.private:
            return
        try:
            self.look_up(target)
        except (OSError, UnicodeError):
            raise Refused(
                f"The host {target.host} can’t be found. Check its spelling and this server’s DNS."
            ) from None

    @property
    def _allow(self) -> str:
        return f"If it really is in your own network, an administrator sets {self.setting}=true."

    def _inside(self, target: Target) -> Refused:
        return Refused(f"{target.host} leads to this machine or a private network. {self._allow}")


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
