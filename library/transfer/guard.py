"""Keeps storage endpoints away from this machine and its network, unless the administrator allows it (a setting)."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit


class EndpointRefused(ValueError):
    """The endpoint may not be used; the text says why and what to do."""


ALLOW = "set SIDEROOM_STORAGE_PRIVATE_ENDPOINTS=true if this store really is on your own network"


def check_endpoint(url: str, *, allow_private: bool) -> None:
    """Refuse an address that is no plain https origin, or whose name leads to this machine or a private network.

    Called when a storage is saved and again before each use, as names may change what they lead to; what slips
    through between is stopped by the check of the server's certificate. Raises EndpointRefused.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise EndpointRefused("The endpoint's port is not a number from 1 to 65535.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise EndpointRefused("Give the endpoint as https://host or https://host:port.")
    if parts.username is not None or parts.query or parts.fragment:
        raise EndpointRefused("An endpoint has no user name, query or fragment; give it as https://host.")
    if allow_private:
        return
    if parts.scheme != "https":
        raise EndpointRefused(f"The endpoint must begin with https://; {ALLOW}.")
    for address in _addresses(parts.hostname, port or 443):
        if not address.is_global or address.is_multicast:
            raise EndpointRefused(f"{parts.hostname} leads to this machine or a private network; {ALLOW}.")


def _addresses(host: str, port: int) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise EndpointRefused(
            f"The host {host} cannot be found. Check its spelling and this server's DNS."
        ) from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    # A mapped address such as ::ffff:127.0.0.1 is judged by what it maps to.
    return [getattr(address, "ipv4_mapped", None) or address for address in addresses]
